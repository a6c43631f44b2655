"""A fair choice of files for the proof of a snapshot, without holding all of them."""

import math
import random
from collections.abc import Sequence

from holdfast.vault.entries import Entry

SIZE = 5


class Reservoir:
    """`SIZE` entries of all that were offered, each with the same chance.

    How many are passed over until the next is chosen is drawn at once (Li's algorithm L): what is
    passed over costs nothing, and most are.
    """

    def __init__(self) -> None:
        self.entries: list[Entry] = []
        self._seen = 0
        self._next = 0
        self._weight = 1.0

    def offer(self, entries: Sequence[Entry]) -> None:
        """Choose among further entries."""
        start = self._seen
        self._seen += len(entries)
        while self._next < self._seen:
            entry = entries[self._next - start]
            if len(self.entries) < SIZE:
                self.entries.append(entry)
            else:
                self.entries[random.randrange(SIZE)] = entry  # noqa: S311
            self._pass_over()

    def _pass_over(self) -> None:
        self._next += 1
        if len(self.entries) == SIZE:
            self._weight *= _chance() ** (1 / SIZE)
            self._next += int(math.log(_chance()) / math.log1p(-self._weight))


def _chance() -> float:
    """Above 0 and below 1."""
    return random.uniform(1e-12, 1 - 1e-12)  # noqa: S311

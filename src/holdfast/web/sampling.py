"""How full the queues were while the page is served: looked at every few seconds, kept in memory.

No engine keeps a history of its queues; this one begins when ``holdfast ui`` does.
"""

import threading
import time
from collections import deque
from collections.abc import Callable
from contextlib import suppress
from typing import Any, NamedTuple

from holdfast.errors import HoldfastError

_PAUSE = 5.0  # seconds between two looks
_FIRST_PAUSE = 1.0  # a line needs two
_SHARE = 20  # a look that is slow is made more rarely: of its time so many go by
_KEPT = 720  # looks: an hour


class Sample(NamedTuple):
    """One look at a queue: the time (seconds of the epoch), what is not done, what is dead."""

    at: float
    depth: int
    dead: int


class Samples:
    """Looks at all queues in a thread of its own, from `begin` to `end`; `looks` counts them."""

    def __init__(self, rows: Callable[[], list[dict[str, Any]]]) -> None:
        self._rows = rows
        self._samples: dict[str, deque[Sample]] = {}
        self.looks = 0
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._run, daemon=True)

    def begin(self) -> None:
        """Look from now on."""
        self._thread.start()

    def end(self) -> None:
        """Look no more."""
        self._over.set()
        self._thread.join()

    def of(self, queue: str) -> list[Sample]:
        """What was seen of a queue, the oldest first."""
        return list(self._samples.get(queue, ()))

    def _run(self) -> None:
        pause = 0.0
        while not self._over.wait(pause):
            began = time.monotonic()
            with suppress(HoldfastError):  # the pages tell it
                self._look()
            self.looks += 1
            shortest = _FIRST_PAUSE if self.looks == 1 else _PAUSE
            pause = max(shortest, _SHARE * (time.monotonic() - began))

    def _look(self) -> None:
        now = time.time()
        for row in self._rows():
            depth = sum(row.get(state) or 0 for state in ("ready", "delayed", "leased", "blocked"))
            kept = self._samples.setdefault(row["queue"], deque(maxlen=_KEPT))
            kept.append(Sample(now, depth, row.get("dead") or 0))

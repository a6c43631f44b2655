"""Killing children at random instants, surely some of them while they work."""

import random
import subprocess
from collections.abc import Iterator, Sequence

ENOUGH = 100
"""Rounds after which the machine is given up on."""


class RandomKills:
    """Runs children of one kind and kills each at a random instant of a whole run's `duration`.

    How long a run lasts is learnt from those that end before: on a busy machine it changes.
    """

    def __init__(self, environment: dict[str, str], duration: float) -> None:
        self.killed = 0
        self._environment = environment
        self._duration = duration  # seconds

    def rounds(self, wanted: int) -> Iterator[int]:
        """Numbers, `wanted` of them and more until a child was killed."""
        for number in range(ENOUGH):
            if number >= wanted and self.killed:
                return
            yield number
        raise AssertionError(f"of {ENOUGH} children none was killed, all had ended")

    def run(self, command: Sequence[str]) -> None:
        """Start `command` and kill it somewhere; one that ends before must end well."""
        process = subprocess.Popen(
            command, env=self._environment, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE
        )
        delay = self._duration * random.uniform(0.2, 1.0)  # Python starts first
        try:
            _, said = process.communicate(timeout=delay)
        except subprocess.TimeoutExpired:
            process.kill()
            process.communicate()
            self.killed += process.returncode != 0
            return
        self._duration = max(delay * 0.9, 0.01)  # it took less than that
        assert process.returncode == 0, said.decode("utf-8", "replace")

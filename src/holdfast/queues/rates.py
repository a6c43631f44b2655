"""How many messages a handle may take in a time."""

import threading
import time

import msgspec

from holdfast.errors import UsageError


class Rate(msgspec.Struct, frozen=True):
    """At most `count` messages in `per` seconds, by one `Queue` object and its threads."""

    count: int
    per: float = 1.0

    def __post_init__(self) -> None:
        if self.count < 1 or not 0 < self.per < 1e10:
            raise UsageError("a rate needs a count of at least 1 and a time above 0 seconds")


class Allowance:
    """A bucket of `Rate.count` permits that fills evenly; thread-safe."""

    def __init__(self, rate: Rate) -> None:
        self._rate = rate
        self._lock = threading.Lock()
        self._permits = float(rate.count)
        self._filled = time.monotonic()

    def take(self, most: int) -> int:
        """Use up to `most` permits; how many there were."""
        with self._lock:
            now = time.monotonic()
            fresh = (now - self._filled) * self._rate.count / self._rate.per
            self._permits = min(float(self._rate.count), self._permits + fresh)
            self._filled = now
            taken = min(most, int(self._permits))
            self._permits -= taken
            return taken

    def give_back(self, count: int) -> None:
        """Return permits that were not used."""
        with self._lock:
            self._permits += count

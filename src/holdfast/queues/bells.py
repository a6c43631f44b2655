"""Bells: how a taker that waits learns at once that there may be something to take.

Whoever puts in the same process rings; so does a store that hears what others put. With no bell a
taker looks by itself every now and then, so a bell that is not rung costs time and nothing else.
"""

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from weakref import WeakValueDictionary


class Ear:
    """One waiting taker. `wake` is called from whatever thread rings."""

    __slots__ = ("rung", "wake")

    def __init__(self, wake: Callable[[], None]) -> None:
        self.wake = wake
        self.rung = False

    def ready(self) -> None:
        """Hear the next ring; the taker looks before it waits again."""
        self.rung = False


class ThreadEar(Ear):
    """A thread that waits."""

    __slots__ = ("_event",)

    def __init__(self) -> None:
        self._event = threading.Event()
        super().__init__(self._event.set)

    def wait(self, seconds: float) -> None:
        """Return when the bell was rung, or after `seconds`. The caller then looks."""
        self._event.wait(seconds)
        self._event.clear()
        self.ready()


class Bell:
    """The bell of one queue; ringing costs nothing while nobody waits."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._ears: dict[Ear, None] = {}

    def ring(self, count: int = 1) -> None:
        """Wake up to `count` takers: those who wait longest."""
        if not self._ears:
            return
        with self._lock:
            for ear in self._ears:
                if count <= 0:
                    return
                if not ear.rung:
                    ear.rung = True
                    ear.wake()
                    count -= 1

    def ring_all(self) -> None:
        """Wake every taker."""
        self.ring(len(self._ears))

    @contextmanager
    def heard_by(self, ear: Ear) -> Iterator[None]:
        """`ear` hears this bell in the body, which looks once before it waits."""
        with self._lock:
            self._ears[ear] = None
        try:
            yield
        finally:
            with self._lock:
                del self._ears[ear]

    @contextmanager
    def ear(self) -> Iterator[ThreadEar]:
        """The ear of this thread, listening in the body."""
        ear = ThreadEar()
        with self.heard_by(ear):
            yield ear


_bells: WeakValueDictionary[tuple[str, str], Bell] = WeakValueDictionary()
_lock = threading.Lock()


def bell_of(url: str, name: str) -> Bell:
    """The bell of a queue, one in this process; a topic's subscriptions share that of the topic."""
    key = (url, name.partition("@")[0])
    with _lock:
        bell = _bells.get(key)
        if bell is None:
            bell = _bells[key] = Bell()
        return bell

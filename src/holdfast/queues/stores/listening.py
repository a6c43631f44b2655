"""Hearing what other processes put: one connection a process and database, and bells that it rings.

The connection is opened when somebody waits for the first time, found again when it breaks, and
closed with the last queue that used it. While it is away takers look by themselves.
"""

import os
import threading
import time
from collections.abc import Callable, Sequence
from contextlib import closing
from typing import Protocol
from weakref import WeakSet

from holdfast.errors import HoldfastError
from holdfast.queues.bells import Bell

_HEARING = 0.2  # seconds between two looks at whether to end
_LONGEST_PAUSE = 2.0  # seconds between two attempts to connect
WATCHED = 10  # seconds for which a taker that waits has puts announced
_RENEWAL = 4.0  # seconds


class HearingConnection(Protocol):
    """A connection that hears the names of queues that were changed."""

    def hear(self, seconds: float) -> Sequence[str]:
        """What was heard within `seconds`. Raises `HoldfastError` when the connection broke."""
        ...

    def close(self) -> None: ...


Connect = Callable[[], HearingConnection]


class Listener:
    """A thread that rings the bells of the queues whose names it hears."""

    def __init__(self, connect: Connect) -> None:
        self.healthy = False
        self._connect = connect
        self._bells: dict[str, WeakSet[Bell]] = {}
        self._changing = threading.Lock()
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._run, name="holdfast-listener", daemon=True)
        self._thread.start()

    def add(self, name: str, bell: Bell) -> None:
        """Ring `bell` whenever `name` is heard."""
        with self._changing:
            self._bells.setdefault(name, WeakSet()).add(bell)

    def end(self) -> None:
        """Close the connection and end the thread, within a moment."""
        self._over.set()
        self._thread.join()

    def _run(self) -> None:
        pause = 0.05
        while not self._over.is_set():
            try:
                with closing(self._connect()) as connection:
                    self.healthy = True
                    self._ring_everything()  # something may have been put meanwhile
                    pause = 0.05
                    while not self._over.is_set():
                        for name in connection.hear(_HEARING):
                            self._ring(name)
            except HoldfastError:
                pause = min(2 * pause, _LONGEST_PAUSE)
            finally:
                self.healthy = False
            self._ring_everything()  # nobody sleeps on in the belief that this hears
            self._over.wait(pause)

    def _ring(self, name: str) -> None:
        with self._changing:
            bells = list(self._bells.get(name, ()))
        for bell in bells:
            bell.ring_all()

    def _ring_everything(self) -> None:
        for name in list(self._bells):
            self._ring(name)


class Watch:
    """One queue's share in the listener of its database."""

    def __init__(self, database: str, names: list[str], bell: Bell, connect: Connect) -> None:
        self._key = (os.getpid(), database)
        self._renewed = -_RENEWAL
        self._closed = False
        with _lock:
            listener, users = _listeners.get(self._key) or (Listener(connect), 0)
            _listeners[self._key] = (listener, users + 1)
        self._listener = listener
        for name in names:
            listener.add(name, bell)

    @property
    def healthy(self) -> bool:
        """Whether everything that is put now will be heard."""
        return self._listener.healthy and self._key[0] == os.getpid()

    def due(self) -> bool:
        """Whether it is time to say again that somebody waits; then it counts as said."""
        now = time.monotonic()
        if now - self._renewed < _RENEWAL:
            return False
        self._renewed = now
        return True

    def close(self) -> None:
        """End the listener if nobody else uses it; closing again does nothing."""
        with _lock:
            if self._closed or self._key[0] != os.getpid():
                return
            self._closed = True
            listener, users = _listeners[self._key]
            _listeners[self._key] = (listener, users - 1)
            if users > 1:
                return
            del _listeners[self._key]
        listener.end()


_listeners: dict[tuple[int, str], tuple[Listener, int]] = {}
_lock = threading.Lock()

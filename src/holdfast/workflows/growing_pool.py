"""A pool of threads that has only as many as help.

Short pieces of work that all use the interpreter are done fastest by one thread: more of them only
take it from each other. Work that waits (for a program, a disk, a network) wants many. So there is
one thread at first, and while work is queued the pool looks every few milliseconds: if the process
was not busy computing meanwhile, or if little was finished, it gets more, up to its limit.
"""

import threading
import time
from collections import deque
from collections.abc import Callable
from contextlib import suppress

_LOOK = 0.004  # seconds between two looks while work is queued
_BUSY = 0.5  # of one core; other programs may have taken the rest
_IDLE = 0.2  # seconds after which a thread with nothing to do ends; the interpreter waits for it

Work = Callable[[], None]


class GrowingPool:
    """Calls what it is given, each once, in threads; what that raises goes nowhere."""

    def __init__(self, most: int, name: str) -> None:
        self._most = most
        self._name = name
        self._lock = threading.Lock()
        self._some = threading.Condition(self._lock)
        self._queue: deque[Work] = deque()
        self._threads: set[threading.Thread] = set()
        self._idle = 0
        self._ended = 0
        self._watched = False
        self._closed = False

    def submit(self, work: Work) -> None:
        """Have `work` called. Raises `RuntimeError` when the interpreter is ending."""
        with self._lock:
            if not self._threads:
                self._add(1)
            self._queue.append(work)
            if self._idle >= len(self._queue):
                self._some.notify()
            elif not self._watched and len(self._threads) < self._most:
                with suppress(RuntimeError):  # no more threads: those there do it
                    self._begin(self._watch, "watch")
                    self._watched = True

    def close(self) -> None:
        """Call what is queued, and wait for the end of all threads."""
        with self._lock:
            self._closed = True
            self._some.notify_all()
        while True:
            with self._lock:
                thread = next(iter(self._threads), None)
            if thread is None:
                return
            thread.join()

    def _work(self) -> None:
        while (work := self._next()) is not None:
            with suppress(BaseException):
                work()
            self._ended += 1

    def _next(self) -> Work | None:
        with self._lock:
            while not self._queue:
                self._idle += 1
                woken = not self._closed and self._some.wait(_IDLE)
                self._idle -= 1
                if not woken and not self._queue:
                    self._threads.discard(threading.current_thread())
                    return None
            return self._queue.popleft()

    def _watch(self) -> None:
        """Add threads while work is queued that they would help with."""
        while True:
            ended, cpu, clock = self._ended, time.process_time(), time.monotonic()
            time.sleep(_LOOK)
            busy = (time.process_time() - cpu) / (time.monotonic() - clock)
            with self._lock:
                if not self._queue or len(self._threads) >= self._most:
                    self._watched = False
                    return
                count = len(self._threads)
                with suppress(RuntimeError):  # the interpreter is ending
                    if busy < _BUSY:
                        self._add(min(count, self._most - count))
                    elif self._ended - ended < count:
                        self._add(1)

    def _add(self, count: int) -> None:
        for _ in range(count):
            self._threads.add(self._begin(self._work, str(len(self._threads))))

    def _begin(self, call: Work, what: str) -> threading.Thread:
        thread = threading.Thread(target=call, name=f"{self._name}-{what}")
        thread.start()
        return thread

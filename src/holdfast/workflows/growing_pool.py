"""A pool of threads of which only as many work at a time as help.

Short pieces of work that all use the interpreter are done fastest by one thread: more of them only
take it from each other. Work that waits (for a program, a disk, a network) wants many. So one works
at first, and while work is queued the pool looks every few milliseconds. When the process was not
busy computing for some looks, twice as many may work, up to the limit; when it was busy and much
was finished, half as many.
"""

import threading
import time
from collections import deque
from collections.abc import Callable
from contextlib import suppress

_LOOK = 0.004  # seconds between two looks while work is queued
_SELDOM = 0.1  # seconds, once all there may be work
_BUSY = 0.5  # of one core; other programs may have taken the rest
_LOOKS = 3  # in a row that the process waited; now and then it waits for the disk, which all share
_IDLE = 0.2  # seconds after which a thread with nothing to do ends; the interpreter waits for it

Work = Callable[[], None]


class GrowingPool:
    """Calls what it is given, each once, in threads; what that raises goes nowhere."""

    def __init__(self, most: int, name: str) -> None:
        self._most = most
        self._name = name
        self._lock = threading.Lock()
        self._called = threading.Condition(self._lock)
        self._queue: deque[Work] = deque()
        self._threads: set[threading.Thread] = set()
        self._wanted = 1
        self._working = 0  # threads; those that are called and not awake yet count
        self._calls = 0  # to idle threads that are not awake yet
        self._ended = 0
        self._watched = False
        self._closed = False

    def submit(self, work: Work) -> None:
        """Have `work` called. Raises `RuntimeError` when the interpreter is ending."""
        with self._lock:
            if not self._threads:
                self._add()
            self._queue.append(work)
            with suppress(RuntimeError):  # no more threads: those there do it
                self._call()
                if len(self._queue) > self._calls and not self._watched and self._most > 1:
                    self._begin(self._watch, "watch")
                    self._watched = True

    def close(self) -> None:
        """Call what is queued, and wait for the end of all threads."""
        with self._lock:
            self._closed = True
            self._called.notify_all()
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
            while not self._queue or (self._working > self._wanted and not self._closed):
                self._working -= 1
                if not self._closed:
                    self._called.wait(_IDLE)
                if self._calls:
                    self._calls -= 1  # whoever called counts this one as working again
                elif self._closed and self._queue:
                    self._working += 1
                else:
                    self._threads.discard(threading.current_thread())
                    return None
            return self._queue.popleft()

    def _call(self) -> None:
        """Let idle threads work, and new ones, while there is work for them and they are wanted."""
        while len(self._queue) > self._calls and self._working < self._wanted:
            if len(self._threads) > self._working:
                self._working += 1
                self._calls += 1
                self._called.notify()
            else:
                self._add()

    def _watch(self) -> None:
        """Change how many are wanted, while there is work that nobody is called for."""
        waited = 0
        while True:
            ended, cpu, clock = self._ended, time.process_time(), time.monotonic()
            time.sleep(_LOOK if self._wanted < self._most else _SELDOM)
            busy = time.process_time() - cpu > _BUSY * (time.monotonic() - clock)
            with self._lock:
                if len(self._queue) <= self._calls:
                    self._watched = False
                    return
                ended = self._ended - ended
                waited = 0 if busy else waited + 1
                if waited >= _LOOKS:
                    waited, self._wanted = 0, min(2 * self._wanted, self._most)
                elif busy and not ended:
                    self._wanted = min(self._wanted + 1, self._most)
                elif busy and ended > self._wanted:
                    self._wanted = max(self._wanted // 2, 1)
                with suppress(RuntimeError):  # the interpreter is ending
                    self._call()

    def _add(self) -> None:
        self._threads.add(self._begin(self._work, str(len(self._threads))))
        self._working += 1

    def _begin(self, call: Work, what: str) -> threading.Thread:
        thread = threading.Thread(target=call, name=f"{self._name}-{what}")
        thread.start()
        return thread

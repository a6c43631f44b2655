"""How many calls of one step may run at once, and how many may begin in a span of time.

The limits hold within one process, over all its runs and threads.
"""

import threading
import time
from collections import deque

from holdfast.errors import UsageError

_LOOK_AGAIN = 0.005  # seconds


class Limiter:
    """At most `concurrency` calls at once, and at most `rate[0]` begun in any `rate[1]` seconds."""

    def __init__(self, concurrency: int | None, rate: tuple[int, float] | None) -> None:
        if concurrency is not None and concurrency < 1:
            raise UsageError("concurrency is at least 1")
        if rate is not None and (rate[0] < 1 or rate[1] <= 0):
            raise UsageError("rate is (calls, seconds): at least 1 call in more than 0 seconds")
        self._concurrency = concurrency
        self._rate = rate
        self._running = 0
        self._begun: deque[float] = deque()
        self._lock = threading.Lock()

    def try_enter(self) -> float:
        """0.0 when the call may run now (then `leave` follows it), else seconds until asking
        again makes sense."""
        with self._lock:
            if self._concurrency is not None and self._running >= self._concurrency:
                return _LOOK_AGAIN
            if self._rate is not None:
                calls, seconds = self._rate
                now = time.monotonic()
                while self._begun and now - self._begun[0] >= seconds:
                    self._begun.popleft()
                if len(self._begun) >= calls:
                    return max(_LOOK_AGAIN, seconds - (now - self._begun[0]))
                self._begun.append(now)
            self._running += 1
            return 0.0

    def leave(self) -> None:
        """The call has ended."""
        with self._lock:
            self._running -= 1

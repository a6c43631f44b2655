"""What is timed of a queue on a server. An adapter module has ``connect(url, name)``."""

import time
from collections.abc import Sequence
from types import ModuleType
from typing import Any, Protocol, cast

from benchmarks.drivers.messages import message


class Connection(Protocol):
    """A queue as this benchmark needs it; bodies are JSON objects."""

    def put_each(self, bodies: Sequence[dict[str, Any]]) -> None:
        """Put one by one, each kept before the next."""

    def put_many(self, bodies: Sequence[dict[str, Any]]) -> None:
        """Put all in batches."""

    def work_off(self, count: int) -> None:
        """Let one worker do `count` jobs that do nothing, and acknowledge them."""

    def close(self) -> None: ...


class Driver:
    """Puts, batches, and the jobs of one worker."""

    def __init__(self, adapter: ModuleType) -> None:
        self._adapter = adapter
        self._queue: Connection | None = None
        self._sent = 0

    def put(self, folder: str, number: int, url: str, count: int) -> dict[str, Any]:
        """One by one."""
        queue, bodies = self._connected(url), self._messages(count)
        started = time.perf_counter()
        queue.put_each(bodies)
        return {"count": count, "seconds": time.perf_counter() - started}

    def put_many(
        self, folder: str, number: int, url: str, count: int, batch: int
    ) -> dict[str, Any]:
        """In batches of `batch`."""
        queue, bodies = self._connected(url), self._messages(count)
        started = time.perf_counter()
        for start in range(0, count, batch):
            queue.put_many(bodies[start : start + batch])
        return {"count": count, "seconds": time.perf_counter() - started}

    def jobs(
        self, folder: str, number: int, url: str, count: int, backlog: int = 0
    ) -> dict[str, Any]:
        """Jobs that do nothing, done by one worker; `backlog` more wait behind them."""
        queue = self._connected(url)
        wanted = count + (backlog if number == 0 else 0)
        for start in range(0, wanted, 1000):
            queue.put_many(self._messages(min(1000, wanted - start)))
        started = time.perf_counter()
        queue.work_off(count)
        return {"count": count, "seconds": time.perf_counter() - started}

    def close(self) -> None:
        """Let go of the server."""
        if self._queue is not None:
            self._queue.close()

    def _messages(self, count: int) -> list[dict[str, Any]]:
        first, self._sent = self._sent, self._sent + count
        return [message(first + number) for number in range(count)]

    def _connected(self, url: str) -> Connection:
        if self._queue is None:
            self._queue = cast("Connection", self._adapter.connect(url, "jobs"))
            self._queue.put_many(self._messages(20))  # warm
            self._queue.work_off(20)
        return self._queue

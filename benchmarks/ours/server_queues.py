"""The queue on a server."""

from collections.abc import Sequence
from typing import Any

from holdfast.queues import Queue

_PREFETCH = 16  # as many as dramatiq takes at a time with 8 threads


class Connection:
    def __init__(self, url: str, name: str) -> None:
        self._queue = Queue(name, url=url)

    def put_each(self, bodies: Sequence[dict[str, Any]]) -> None:
        for body in bodies:
            self._queue.put(body)

    def put_many(self, bodies: Sequence[dict[str, Any]]) -> None:
        self._queue.put_many(bodies)

    def work_off(self, count: int) -> None:
        done = 0

        def enough() -> bool:
            return done >= count

        for _ in self._queue.consume(prefetch=_PREFETCH, stop=enough):
            done += 1

    def close(self) -> None:
        self._queue.close()


def connect(url: str, name: str) -> Connection:
    """The queue `name` on the server at `url`."""
    return Connection(url, name)

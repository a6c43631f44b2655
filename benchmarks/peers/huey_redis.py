"""huey's Redis storage: a list, from which a worker pops; a crash of it loses the job."""

import json
from collections.abc import Sequence
from typing import Any

from huey.storage import RedisStorage


class Connection:
    def __init__(self, url: str, name: str) -> None:
        self._storage = RedisStorage(name, url=url)

    def put_each(self, bodies: Sequence[dict[str, Any]]) -> None:
        for body in bodies:
            self._storage.enqueue(json.dumps(body).encode())

    def put_many(self, bodies: Sequence[dict[str, Any]]) -> None:
        self.put_each(bodies)  # it has no other way

    def work_off(self, count: int) -> None:
        for _ in range(count):
            if self._storage.dequeue() is None:
                raise AssertionError("the queue was empty too early")

    def close(self) -> None:
        self._storage.close()


def connect(url: str, name: str) -> Connection:
    """The queue `name` on the server at `url`."""
    return Connection(url, name)

"""The file journal."""

from pathlib import Path
from typing import Any, Literal

from holdfast.engines.urls import url_for
from holdfast.queues import Queue


class Connection:
    def __init__(self, folder: Path, power: bool) -> None:
        durability: Literal["process", "power"] = "power" if power else "process"
        self._queue = Queue("jobs", url=url_for("file", folder), durability=durability)

    def put(self, body: dict[str, Any]) -> None:
        self._queue.put(body)

    def fill(self, bodies: list[dict[str, Any]]) -> None:
        self._queue.put_many(bodies)

    def take(self) -> dict[str, Any] | None:
        taken = self._queue.take()
        if not taken:
            return None
        taken[0].ack()
        body: dict[str, Any] = taken[0].body
        return body

    def close(self) -> None:
        self._queue.close()


def connect(folder: Path, power: bool) -> Connection:
    """The queue in `folder`."""
    return Connection(folder, power)

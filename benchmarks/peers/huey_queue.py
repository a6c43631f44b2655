"""huey's SQLite storage; a dequeued message is gone, so a crash of its taker loses it."""

import json
from pathlib import Path
from typing import Any

from huey.storage import SqliteStorage


class Connection:
    def __init__(self, folder: Path, power: bool) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self._storage = SqliteStorage(
            filename=str(folder / "huey.db"), fsync=power, strict_fifo=True, timeout=60
        )

    def put(self, body: dict[str, Any]) -> None:
        self._storage.enqueue(json.dumps(body).encode())

    def fill(self, bodies: list[dict[str, Any]]) -> None:
        rows = [(self._storage.name, json.dumps(body).encode(), 0.0) for body in bodies]
        with self._storage.db(commit=True) as cursor:
            cursor.executemany("insert into task (queue, data, priority) values (?, ?, ?)", rows)

    def take(self) -> dict[str, Any] | None:
        data = self._storage.dequeue()
        if data is None:
            return None
        body: dict[str, Any] = json.loads(bytes(data))
        return body

    def close(self) -> None:
        self._storage.close()


def connect(folder: Path, power: bool) -> Connection:
    """The queue in `folder`."""
    return Connection(folder, power)

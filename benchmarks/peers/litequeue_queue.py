"""litequeue: SQLite, pop locks a message, done marks it."""

import json
from pathlib import Path
from typing import Any

from litequeue import LiteQueue


class Connection:
    def __init__(self, folder: Path, power: bool) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self._queue = LiteQueue(folder / "queue.db", timeout=60)
        self._queue.conn.execute(f"PRAGMA synchronous={'FULL' if power else 'NORMAL'}")

    def put(self, body: dict[str, Any]) -> None:
        self._queue.put(json.dumps(body))

    def fill(self, bodies: list[dict[str, Any]]) -> None:
        with self._queue.transaction():
            for body in bodies:
                self.put(body)

    def take(self) -> dict[str, Any] | None:
        taken = self._queue.pop()
        if taken is None:
            return None
        self._queue.done(taken.message_id)
        body: dict[str, Any] = json.loads(taken.data)
        return body

    def close(self) -> None:
        self._queue.close()


def connect(folder: Path, power: bool) -> Connection:
    """The queue in `folder`."""
    return Connection(folder, power)

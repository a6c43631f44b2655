"""diskcache's Deque: SQLite; a popped message is gone, so a crash of its taker loses it."""

import json
from pathlib import Path
from typing import Any

from diskcache import Cache, Deque


class Connection:
    def __init__(self, folder: Path, power: bool) -> None:
        level = 2 if power else 1  # FULL, NORMAL
        self._cache = Cache(
            str(folder), eviction_policy="none", sqlite_synchronous=level, timeout=60
        )
        self._deque = Deque.fromcache(self._cache)

    def put(self, body: dict[str, Any]) -> None:
        self._deque.append(json.dumps(body))

    def fill(self, bodies: list[dict[str, Any]]) -> None:
        with self._cache.transact():
            for body in bodies:
                self.put(body)

    def take(self) -> dict[str, Any] | None:
        try:
            body: dict[str, Any] = json.loads(self._deque.popleft())
        except IndexError:
            return None
        return body

    def close(self) -> None:
        self._cache.close()


def connect(folder: Path, power: bool) -> Connection:
    """The queue in `folder`."""
    return Connection(folder, power)

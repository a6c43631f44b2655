"""No queue at all: the physical floor of a put, one append to a file (and one sync)."""

import json
import os
from pathlib import Path
from typing import Any

# macOS has no fdatasync, and Windows neither.
_sync = getattr(os, "fdatasync", os.fsync)


class Connection:
    def __init__(self, folder: Path, power: bool) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self._file = os.open(folder / "log", os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
        self._power = power

    def put(self, body: dict[str, Any]) -> None:
        os.write(self._file, json.dumps(body).encode() + b"\n")
        if self._power:
            _sync(self._file)

    def fill(self, bodies: list[dict[str, Any]]) -> None:
        raise NotImplementedError

    def take(self) -> dict[str, Any] | None:
        raise NotImplementedError

    def close(self) -> None:
        os.close(self._file)


def connect(folder: Path, power: bool) -> Connection:
    """The log in `folder`."""
    return Connection(folder, power)

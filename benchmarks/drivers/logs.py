"""What is timed of a logging library. An adapter has ``connect(folder) -> Log``."""

import json
import time
from pathlib import Path
from types import ModuleType
from typing import Any, Protocol, cast

_KEYS = {"timestamp", "component", "level", "message", "task_id", "pages", "source"}


class Log(Protocol):
    """A logger of one component, written through on every line."""

    def write(self, lines: int) -> None:
        """Write so many lines of the seed's shape with two more keys, in a task."""

    def path(self) -> Path:
        """The file with the lines."""

    def close(self) -> None: ...


class Driver:
    """Lines, one by one."""

    def __init__(self, adapter: ModuleType) -> None:
        self._adapter = adapter

    def write(self, folder: str, number: int, count: int) -> dict[str, Any]:
        """`count` lines into a file of their own."""
        place = Path(folder) / str(number)
        place.mkdir()
        log = cast("Log", self._adapter.connect(place))
        started = time.perf_counter()
        log.write(count)
        seconds = time.perf_counter() - started
        _check(log.path(), count)
        log.close()
        return {"count": count, "seconds": seconds}

    def close(self) -> None:
        """Nothing is open."""


def _check(path: Path, count: int) -> None:
    lines = path.read_bytes().splitlines()
    if len(lines) != count:
        raise AssertionError(f"{len(lines)} lines instead of {count}")
    for line in (lines[0], lines[-1]):
        if set(json.loads(line)) != _KEYS:
            raise AssertionError(f"not the keys asked for: {line!r}")

"""What is timed of a search through logs. An adapter has ``connect(file) -> Found``."""

import random
import time
from datetime import UTC, datetime, timedelta
from pathlib import Path
from types import ModuleType
from typing import Any, Protocol, cast

_BEGIN = datetime(2026, 11, 23, tzinfo=UTC)
_MESSAGES = ("Task completed", "Page fetched", "Request timed out", "Message taken", "Step retried")
_DAY = 86_400_000_000  # microseconds
_BLOCK = 50_000  # lines written at once


class Found(Protocol):
    """A file of the seed's lines, ready to be searched."""

    def count(self, level: str, text: str, since: str, until: str) -> int:
        """How many lines have that level and text and are of that time (ISO, UTC)."""


class Driver:
    """Searches through one day of lines, over and over."""

    def __init__(self, adapter: ModuleType) -> None:
        self._adapter = adapter

    def three(self, folder: str, number: int, count: int) -> dict[str, Any]:
        """Level, text and the last six hours."""
        return self._timed(folder, count, timedelta(hours=18), timedelta(hours=24))

    def narrow(self, folder: str, number: int, count: int) -> dict[str, Any]:
        """Level, text and one minute."""
        return self._timed(folder, count, timedelta(hours=17), timedelta(hours=17, minutes=1))

    def close(self) -> None:
        """Nothing is open."""

    def _timed(self, folder: str, lines: int, since: timedelta, until: timedelta) -> dict[str, Any]:
        path = Path(folder) / "WorkflowEngine.log"
        if not path.exists():
            _write(path, lines)
        found = cast("Found", self._adapter.connect(path))
        span = (
            f"{_BEGIN + since:%Y-%m-%dT%H:%M:%S.%f}Z",
            f"{_BEGIN + until:%Y-%m-%dT%H:%M:%S.%f}Z",
        )
        started = time.perf_counter()
        matches = found.count("ERROR", "timed out", *span)
        seconds = time.perf_counter() - started
        return {"count": matches, "seconds": seconds}


def _write(path: Path, lines: int) -> None:
    """A day of lines of about 240 bytes, 2 of 100 an error; the same for every side."""
    chance = random.Random(lines)
    with path.open("w", encoding="utf-8", newline="\n") as file:
        for first in range(0, lines, _BLOCK):
            last = min(first + _BLOCK, lines)
            file.writelines(_line(n, _DAY * n // lines, chance) for n in range(first, last))


def _line(number: int, offset: int, chance: random.Random) -> str:
    moment = _BEGIN + timedelta(microseconds=offset)
    level = "ERROR" if chance.random() < 0.02 else "INFO"
    return (
        f'{{"timestamp":"{moment:%Y-%m-%dT%H:%M:%S.%f}Z","component":"WorkflowEngine",'
        f'"level":"{level}","message":"{chance.choice(_MESSAGES)}",'
        f'"task_id":"workflow-{number // 50}:task-{number % 50}","pages":{number % 97},'
        f'"source":"notes/{number % 1000}.md","seconds":{chance.random():.6f},"attempt":1,'
        f'"worker":"worker-{number % 8}"}}\n'
    )

"""What is timed of an event log. An adapter module has ``connect(place, power)``.

`place` is the URL of a database, or the path of a file to be made.
"""

import time
from collections.abc import Iterable, Sequence
from pathlib import Path
from types import ModuleType
from typing import Any, Protocol, cast

from benchmarks.drivers.messages import message

_HISTORY = 100  # streams that the events to be read back are in


class Connection(Protocol):
    """An event log as this benchmark needs it; data are JSON objects."""

    def append(self, stream: int, expected: int, data: dict[str, Any]) -> None:
        """One event to a stream that is at version `expected`."""

    def append_many(self, stream: int, expected: int, data: Sequence[dict[str, Any]]) -> None:
        """Several, all or none."""

    def read(self) -> Iterable[dict[str, Any]]:
        """The data of all events of the log, in order."""

    def close(self) -> None: ...


class Driver:
    """Appends one by one and in batches, and reading the whole log."""

    def __init__(self, adapter: ModuleType) -> None:
        self._adapter = adapter
        self._log: Connection | None = None
        self._streams = 0
        self._history = 0

    def append(
        self, folder: str, number: int, count: int, power: bool, url: str = "", history: int = 0
    ) -> dict[str, Any]:
        """One by one to a stream of its own; `history` events are in the log before."""
        log, data = self._connected(folder, url, power), _data(count)
        self._fill(log, history)
        stream = self._new_stream()
        started = time.perf_counter()
        for version, each in enumerate(data):
            log.append(stream, version, each)
        return {"count": count, "seconds": time.perf_counter() - started}

    def append_many(
        self, folder: str, number: int, count: int, batch: int, power: bool, url: str = ""
    ) -> dict[str, Any]:
        """In batches of `batch` to a stream of its own."""
        log, data = self._connected(folder, url, power), _data(count)
        stream = self._new_stream()
        started = time.perf_counter()
        for version in range(0, count, batch):
            log.append_many(stream, version, data[version : version + batch])
        return {"count": count, "seconds": time.perf_counter() - started}

    def read(
        self, folder: str, number: int, count: int, power: bool, url: str = ""
    ) -> dict[str, Any]:
        """All `count` events of the log, with their data."""
        log = self._connected(folder, url, power)
        self._fill(log, count)
        started = time.perf_counter()
        found = sum(1 for each in log.read() if each)
        seconds = time.perf_counter() - started
        if found != count:
            raise AssertionError(f"{found} of {count} events came back")
        return {"count": count, "seconds": seconds}

    def close(self) -> None:
        """Let go of the log."""
        if self._log is not None:
            self._log.close()

    def _fill(self, log: Connection, count: int) -> None:
        if count > self._history:
            data = _data(count // _HISTORY)
            for _ in range(_HISTORY):
                log.append_many(self._new_stream(), 0, data)
            self._history = count

    def _connected(self, folder: str, url: str, power: bool) -> Connection:
        if self._log is None:
            place = url or str(Path(folder) / "events.db")
            self._log = cast("Connection", self._adapter.connect(place, power))
        return self._log

    def _new_stream(self) -> int:
        self._streams += 1
        return self._streams


def _data(count: int) -> list[dict[str, Any]]:
    return [message(number) for number in range(count)]

"""The event log."""

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, Literal

from holdfast.engines.urls import url_for
from holdfast.events import EventLog


class Connection:
    def __init__(self, place: str, power: bool) -> None:
        durability: Literal["process", "power"] = "power" if power else "process"
        url = place if "://" in place else url_for("sqlite", Path(place))
        self._log = EventLog(url, durability=durability)

    def append(self, stream: int, expected: int, data: dict[str, Any]) -> None:
        self._log.append(f"stream-{stream}", "noted", data, expect=expected)

    def append_many(self, stream: int, expected: int, data: Sequence[dict[str, Any]]) -> None:
        events = [("noted", each) for each in data]
        self._log.append_many(f"stream-{stream}", events, expect=expected)

    def read(self) -> Iterator[dict[str, Any]]:
        for event in self._log.read():
            yield event.data

    def close(self) -> None:
        self._log.close()


def connect(place: str, power: bool) -> Connection:
    """The log at `place`."""
    return Connection(place, power)

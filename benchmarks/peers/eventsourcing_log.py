"""eventsourcing's recorders, with JSON as its own transcoder writes it."""

import json
from collections.abc import Iterator, Sequence
from typing import Any
from urllib.parse import parse_qs, urlsplit
from uuid import UUID

from eventsourcing.persistence import ApplicationRecorder, StoredEvent

_PAGE = 1000  # events a read, as ours


class Connection:
    def __init__(self, recorder: ApplicationRecorder) -> None:
        self._recorder = recorder

    def append(self, stream: int, expected: int, data: dict[str, Any]) -> None:
        self.append_many(stream, expected, [data])

    def append_many(self, stream: int, expected: int, data: Sequence[dict[str, Any]]) -> None:
        identity = UUID(int=stream)
        events = [
            StoredEvent(identity, expected + number, "noted", json.dumps(each).encode())
            for number, each in enumerate(data, start=1)
        ]
        self._recorder.insert_events(events)

    def read(self) -> Iterator[dict[str, Any]]:
        start = 1
        while found := self._recorder.select_notifications(start, _PAGE):
            for each in found:
                yield json.loads(each.state)
            start = found[-1].id + 1

    def close(self) -> None:
        self._recorder.datastore.close()


def connect(place: str, power: bool) -> Connection:
    """The log at `place`, a URL of PostgreSQL or the path of a file."""
    recorder = _on_postgres(place) if "://" in place else _on_sqlite(place, power)
    recorder.create_table()
    return Connection(recorder)


def _on_postgres(url: str) -> Any:
    from eventsourcing.postgres import PostgresApplicationRecorder, PostgresDatastore

    parts = urlsplit(url)
    given = parse_qs(parts.query)
    datastore = PostgresDatastore(
        dbname=parts.path.lstrip("/"),
        host=given.get("host", [parts.hostname or ""])[0],
        port=given.get("port", [str(parts.port or 5432)])[0],
        user=parts.username or "postgres",
        password="",
    )
    return PostgresApplicationRecorder(datastore)


def _on_sqlite(path: str, power: bool) -> Any:
    from eventsourcing.sqlite import SQLiteApplicationRecorder, SQLiteDatastore

    datastore = SQLiteDatastore(path)
    if not power:
        _relax(datastore)
    return SQLiteApplicationRecorder(datastore)


def _relax(datastore: Any) -> None:
    """Sync at checkpoints only; as shipped it syncs every commit."""
    create = datastore.pool._create_connection

    def relaxed() -> Any:
        connection = create()
        connection.cursor().execute("PRAGMA synchronous=NORMAL")
        return connection

    datastore.pool._create_connection = relaxed

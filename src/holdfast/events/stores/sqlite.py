"""Events in SQLite: four tables of its own in a file that other rooms may share.

Bodies are stored as text, so that ``sqlite3`` with ``json_extract`` reads them as they are. One
transaction writes at a time, so positions are committed in their order; an archive keeps the last
position of its stream, so that none is given out twice.
"""

import sqlite3
import threading
from collections.abc import Collection, Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

from holdfast.durable.faults import fault_point
from holdfast.durable.files import Durability
from holdfast.engines.sqlite import open_database, sqlite_errors, transaction
from holdfast.events.store import Appended, NewEvent, State, StateKind, StoredEvent, Stream
from holdfast.events.stores.placing import in_order, key_rows

_MIGRATIONS = (
    """
CREATE TABLE events (
    position INTEGER PRIMARY KEY,
    stream TEXT NOT NULL,
    version INTEGER NOT NULL,
    type TEXT NOT NULL,
    body TEXT NOT NULL
);
CREATE UNIQUE INDEX events_by_stream ON events (stream, version);
CREATE TABLE event_keys (
    stream TEXT NOT NULL,
    key TEXT NOT NULL,
    version INTEGER NOT NULL,
    position INTEGER NOT NULL,
    PRIMARY KEY (stream, key)
) WITHOUT ROWID;
CREATE TABLE event_states (
    kind TEXT NOT NULL,
    name TEXT NOT NULL,
    at INTEGER NOT NULL,
    body TEXT NOT NULL,
    PRIMARY KEY (kind, name)
) WITHOUT ROWID;
CREATE TABLE event_archives (
    stream TEXT PRIMARY KEY,
    version INTEGER NOT NULL,
    position INTEGER NOT NULL,
    note TEXT NOT NULL
) WITHOUT ROWID;
CREATE INDEX event_archives_by_position ON event_archives (position);
""",
)

_VERSION = (
    "SELECT coalesce((SELECT max(version) FROM events WHERE stream = ?1),"
    " (SELECT version FROM event_archives WHERE stream = ?1), 0)"
)
_HEAD = (
    "SELECT max(coalesce((SELECT max(position) FROM events), 0),"
    " coalesce((SELECT max(position) FROM event_archives), 0))"
)
# The usual case, in half the time: the version before is known, and the row's number, which SQLite
# gives by itself, is beyond what is archived. It does nothing, or breaks the index, in other cases.
_APPEND_NEXT = (
    "INSERT INTO events (stream, version, type, body) SELECT ?1, ?4 + 1, ?2, ?3"
    " WHERE CASE ?4 WHEN 0 THEN NOT EXISTS (SELECT 1 FROM event_archives WHERE stream = ?1)"
    " ELSE EXISTS (SELECT 1 FROM events WHERE stream = ?1 AND version = ?4) END"
    " AND NOT EXISTS (SELECT 1 FROM event_archives"
    " WHERE position > coalesce((SELECT max(position) FROM events), 0))"
)
_APPEND_ONE = (
    "INSERT INTO events (position, stream, version, type, body)"
    " SELECT (" + _HEAD + ") + 1, ?1, version + 1, ?2, ?3 FROM (SELECT coalesce("
    "(SELECT max(version) FROM events WHERE stream = ?1), 0) AS version)"
    " WHERE (?4 IS NULL OR version = ?4)"
    " AND NOT EXISTS (SELECT 1 FROM event_archives WHERE stream = ?1)"
    " RETURNING version, position"
)
_INSERT = "INSERT INTO events (position, stream, version, type, body) VALUES (?, ?, ?, ?, ?)"
_INSERT_KEY = "INSERT INTO event_keys (stream, key, version, position) VALUES (?, ?, ?, ?)"
_PUT_ARCHIVE = "INSERT OR IGNORE INTO event_archives VALUES (?, ?, ?, ?)"
_READ = "SELECT position, stream, version, type, CAST(body AS BLOB) FROM events"
# One look into the index for each stream, however many events it has.
_STREAMS = """
WITH RECURSIVE names (name) AS (
    SELECT (SELECT min(stream) FROM events WHERE stream > ?1 AND stream >= ?2)
    UNION ALL
    SELECT (SELECT min(stream) FROM events WHERE stream > name) FROM names
    WHERE substr(name, 1, length(?2)) = ?2
)
SELECT name, (SELECT max(version) FROM events WHERE stream = name) FROM names
WHERE substr(name, 1, length(?2)) = ?2 LIMIT ?3
"""
_SAVE_FIRST = "INSERT OR IGNORE INTO event_states VALUES (?, ?, ?, CAST(? AS TEXT))"
_SAVE_NEXT = (
    "UPDATE event_states SET at = ?, body = CAST(? AS TEXT) WHERE kind = ? AND name = ? AND at = ?"
)


_KNOWN_STREAMS = 1000


class SqliteEventStore:
    """See `holdfast.events.store.EventStore`. Many processes may open the same file."""

    def __init__(self, path: Path, *, durability: Durability = "process") -> None:
        self._path = path
        self._writer = self._open(durability)
        # A second connection: what a reader sees is committed, whatever the writer is doing.
        try:
            self._reader = self._open(durability)
        except BaseException:
            self._writer.close()
            raise
        self._writing, self._reading = threading.Lock(), threading.Lock()
        self._versions: dict[str, int] = {}  # of streams appended to here; others may be further

    def append(
        self, stream: str, events: Sequence[NewEvent], *, expect: int | None, key: str | None
    ) -> Appended | None:
        with sqlite_errors(self._path), self._writing:
            if len(events) == 1 and key is None:
                return self._append_one(stream, events[0], expect)
            with transaction(self._writer) as connection:
                return _append_all(connection, stream, events, expect, key)

    def read(
        self,
        *,
        stream: str | None,
        after: int,
        limit: int,
        types: Collection[str] | None,
    ) -> list[StoredEvent]:
        number = "position" if stream is None else "version"
        conditions = [f"{number} > ?"]
        given: list[Any] = [after]
        if stream is not None:
            conditions, given = ["stream = ?", *conditions], [stream, *given]
        if types is not None:
            conditions.append(f"type IN ({', '.join('?' * len(types))})")
            given.extend(types)
        where = f"WHERE {' AND '.join(conditions)} ORDER BY {number} LIMIT ?"
        return self._read(f"{_READ} {where}", (*given, limit))

    def head(self) -> int:
        return int(self._read(_HEAD, ())[0][0])

    def version(self, stream: str) -> int:
        return int(self._read(_VERSION, (stream,))[0][0])

    def streams(self, *, prefix: str, after: str, limit: int) -> list[Stream]:
        return [Stream(*row) for row in self._read(_STREAMS, (after, prefix, limit))]

    def read_state(self, kind: StateKind, name: str) -> State | None:
        question = "SELECT at, CAST(body AS BLOB) FROM event_states WHERE kind = ? AND name = ?"
        rows = self._read(question, (kind, name))
        return State(*rows[0]) if rows else None

    def save_state(self, kind: StateKind, name: str, state: State, *, replaces: int | None) -> bool:
        with sqlite_errors(self._path), self._writing:
            if replaces is None:
                done = self._writer.execute(_SAVE_FIRST, (kind, name, state.at, state.body))
            else:
                columns = (state.at, state.body, kind, name, replaces)
                done = self._writer.execute(_SAVE_NEXT, columns)
            return done.rowcount > 0

    def states(self, kind: StateKind) -> dict[str, int]:
        return dict(self._read("SELECT name, at FROM event_states WHERE kind = ?", (kind,)))

    def archive(self, stream: str, version: int, note: bytes) -> bool:
        with sqlite_errors(self._path), self._writing, transaction(self._writer) as connection:
            if _version_of(connection, stream) != version or _is_archived(connection, stream):
                return False
            connection.execute(
                "INSERT INTO event_archives"
                " SELECT stream, version, position, ? FROM events WHERE stream = ? AND version = ?",
                (note.decode(), stream, version),
            )
            connection.execute("DELETE FROM events WHERE stream = ?", (stream,))
            connection.execute("DELETE FROM event_keys WHERE stream = ?", (stream,))
            fault_point("events.archive.removed")
            return True

    def archived(self, stream: str) -> bytes | None:
        question = "SELECT CAST(note AS BLOB) FROM event_archives WHERE stream = ?"
        rows = self._read(question, (stream,))
        return rows[0][0] if rows else None

    def archives(self) -> dict[str, bytes]:
        return dict(self._read("SELECT stream, CAST(note AS BLOB) FROM event_archives", ()))

    def unarchive(
        self, stream: str, events: Sequence[StoredEvent], keys: Mapping[int, str]
    ) -> bool:
        with sqlite_errors(self._path), self._writing, transaction(self._writer) as connection:
            gone = connection.execute("DELETE FROM event_archives WHERE stream = ?", (stream,))
            if gone.rowcount == 0:
                return False
            connection.executemany(_INSERT, [(*row[:4], row[4].decode()) for row in events])
            connection.executemany(
                _INSERT_KEY,
                [(stream, keys[row[2]], row[2], row[0]) for row in events if row[2] in keys],
            )
            return True

    def put_events(self, events: Sequence[StoredEvent], keys: Mapping[int, str]) -> bool:
        with sqlite_errors(self._path), self._writing, transaction(self._writer) as connection:
            if not in_order(events, beyond=connection.execute(_HEAD).fetchone()[0]):
                return False
            connection.executemany(_INSERT, [(*row[:4], row[4].decode()) for row in events])
            connection.executemany(_INSERT_KEY, key_rows(events, keys))
            fault_point("events.put")
            return True

    def put_archive(self, stream: str, version: int, note: bytes, head: int) -> bool:
        with sqlite_errors(self._path), self._writing:
            row = (stream, version, head, note.decode())
            return self._writer.execute(_PUT_ARCHIVE, row).rowcount > 0

    def close(self) -> None:
        with self._reading:
            self._reader.close()
        with self._writing:
            self._writer.close()

    def _append_one(self, stream: str, event: NewEvent, expect: int | None) -> Appended | None:
        type_, body = event.type, event.body.decode()
        known = self._versions.get(stream) if expect is None else expect
        if known is not None:
            with suppress(sqlite3.IntegrityError):  # the stream is further than that
                done = self._writer.execute(_APPEND_NEXT, (stream, type_, body, known))
                if done.rowcount:
                    return self._noted(stream, known + 1, done.lastrowid or 0)
        row = self._writer.execute(_APPEND_ONE, (stream, type_, body, expect)).fetchall()
        return self._noted(stream, *row[0]) if row else None

    def _noted(self, stream: str, version: int, position: int) -> Appended:
        if len(self._versions) >= _KNOWN_STREAMS:
            self._versions.clear()
        self._versions[stream] = version
        return Appended(version, position)

    def _open(self, durability: Durability) -> sqlite3.Connection:
        return open_database(
            self._path, room="events", migrations=_MIGRATIONS, durability=durability
        )

    def _read(self, question: str, given: Sequence[Any]) -> list[Any]:
        with sqlite_errors(self._path), self._reading:
            return self._reader.execute(question, given).fetchall()


def _append_all(
    connection: sqlite3.Connection,
    stream: str,
    events: Sequence[NewEvent],
    expect: int | None,
    key: str | None,
) -> Appended | None:
    if key is not None:
        known = connection.execute(
            "SELECT version, position FROM event_keys WHERE stream = ? AND key = ?", (stream, key)
        ).fetchone()
        if known is not None:
            return Appended(*known)
    version = _version_of(connection, stream)
    if expect not in (None, version) or _is_archived(connection, stream):
        return None
    head = connection.execute(_HEAD).fetchone()[0]
    connection.executemany(
        _INSERT,
        [
            (head + number, stream, version + number, event.type, event.body.decode())
            for number, event in enumerate(events, 1)
        ],
    )
    appended = Appended(version + len(events), head + len(events))
    if key is not None:
        connection.execute(_INSERT_KEY, (stream, key, *appended))
    fault_point("events.inserted")
    return appended


def _version_of(connection: sqlite3.Connection, stream: str) -> int:
    return int(connection.execute(_VERSION, (stream,)).fetchone()[0])


def _is_archived(connection: sqlite3.Connection, stream: str) -> bool:
    question = "SELECT 1 FROM event_archives WHERE stream = ?"
    return connection.execute(question, (stream,)).fetchone() is not None

"""A topic in SQLite: a log in a table beside the queues, and a queue for each subscription."""

import secrets
import sqlite3
from collections.abc import Iterable, Sequence
from contextlib import closing
from pathlib import Path

from holdfast.durable.files import Durability
from holdfast.durable.names import long_path
from holdfast.engines.sqlite import open_database, sqlite_errors
from holdfast.errors import storage_errors
from holdfast.queues.store import LogEntry, MovedMessage, NewMessage
from holdfast.queues.stores.sqlite import SqliteQueueStore, take_over_on
from holdfast.queues.stores.sqlite_access import MIGRATIONS, ROOM, SqliteAccess, all_or_nothing
from holdfast.queues.stores.subscriptions import no_subscription

_MAKE = "INSERT OR IGNORE INTO queues (name, id, topic, position, paused) VALUES (?, ?, ?, ?, ?)"
_CURSOR = "SELECT position, paused FROM queues WHERE serial = ?"
_MOVE = "UPDATE queues SET position = ? WHERE serial = ?"
_FEED = (
    "INSERT INTO queue_messages (queue, place, rank, due, at, position, payload)"
    " VALUES (?, ?, ?, ?, ?, ?, CAST(? AS TEXT))"
)
_FED_GROUPS = (
    'SELECT DISTINCT "group" FROM queue_messages'
    ' WHERE queue = ? AND position > ? AND "group" IS NOT NULL'
)
_REWIND = "DELETE FROM queue_messages WHERE queue = ? AND position > ?"

_READ = (
    "SELECT position, at, CAST(payload AS BLOB) FROM queue_log"
    " WHERE topic = ? AND position > ? ORDER BY position LIMIT ?"
)
_APPEND = "INSERT INTO queue_log (topic, position, at, payload) VALUES (?, ?, ?, CAST(? AS TEXT))"
_TRIM = """
UPDATE queue_topics SET trimmed = max(trimmed, min(last, ?2,
    coalesce((SELECT min(position) FROM queues WHERE topic = ?1), last))) WHERE serial = ?1
"""
_FORGET = (
    "DELETE FROM queue_log WHERE topic = ?1"
    " AND position <= (SELECT trimmed FROM queue_topics WHERE serial = ?1)"
)


def topic_names(path: Path) -> list[str]:
    """The topics in the database at `path`, sorted; none when it is missing."""
    with storage_errors(path, "look for the database"):
        if not long_path(path).exists():
            return []
    with closing(open_database(path, room=ROOM, migrations=MIGRATIONS)) as connection:
        rows = connection.execute("SELECT name FROM queue_topics ORDER BY name").fetchall()
    return [name for (name,) in rows]


class SqliteSubscriptionStore(SqliteQueueStore):
    """The queue of one subscription; its name is ``<topic>@<subscription>``."""

    def cursor(self) -> tuple[int, bool]:
        rows = self._read(_CURSOR, (self._serial,))
        if not rows:
            raise no_subscription(self.name)
        return rows[0][0], bool(rows[0][1])

    def feed(self, messages: Sequence[NewMessage], after: int, upto: int, now: float) -> bool:
        def feed(connection: sqlite3.Connection) -> bool:
            row = connection.execute(_CURSOR, (self._serial,)).fetchone()
            if row is None or row[0] != after:
                return False
            if all(message.alone for message in messages):
                connection.executemany(_FEED, (self._row(message, now) for message in messages))
            else:
                for message in messages:
                    self._put_one(connection, message, now)
            connection.execute(_MOVE, (upto, self._serial))
            return True

        return self._write(feed)

    def seek(self, position: int, now: float) -> None:
        def seek(connection: sqlite3.Connection) -> None:
            fed = (self._serial, position)
            groups = connection.execute(_FED_GROUPS, fed).fetchall()
            connection.execute(_REWIND, fed)
            for (group,) in groups:
                if self._place_in_group(connection, group, "ready") == "ready":
                    self._follow(connection, group)
            connection.execute(_MOVE, (position, self._serial))

        self._write(seek)

    def _row(self, message: NewMessage, now: float) -> tuple[object, ...]:
        place = "delayed" if message.due else "ready"
        rank, due = -message.priority, message.due
        return (self._serial, place, rank, due, now, message.position, message.payload)


class SqliteTopicStore(SqliteAccess):
    """The topic `name` in the database at `path`, both made if missing."""

    def __init__(self, path: Path, name: str, *, durability: Durability = "process") -> None:
        self.name = name
        super().__init__(path, durability)

    def append(self, payloads: Sequence[bytes], now: float) -> list[int]:
        return self._write(lambda connection: self.append_on(connection, payloads, now))

    def append_on(
        self, connection: sqlite3.Connection, payloads: Sequence[bytes], now: float
    ) -> list[int]:
        """Append inside a transaction of the caller's."""
        move = "UPDATE queue_topics SET last = last + ? WHERE serial = ?"
        connection.execute(move, (len(payloads), self._serial))
        query = "SELECT last FROM queue_topics WHERE serial = ?"
        last = connection.execute(query, (self._serial,)).fetchone()[0]
        positions = list(range(last - len(payloads) + 1, last + 1))
        rows = zip(positions, payloads, strict=True)
        connection.executemany(_APPEND, ((self._serial, n, now, payload) for n, payload in rows))
        return positions

    def read_after(self, position: int, limit: int) -> list[LogEntry]:
        rows = self._read(_READ, (self._serial, position, limit))
        return [LogEntry(*row) for row in rows]

    def bounds(self) -> tuple[int, int]:
        query = "SELECT trimmed, last FROM queue_topics WHERE serial = ?"
        trimmed, last = self._read(query, (self._serial,))[0]
        return trimmed, last

    def trim(self, upto: int) -> None:
        def trim(connection: sqlite3.Connection) -> None:
            connection.execute(_TRIM, (self._serial, upto))
            connection.execute(_FORGET, (self._serial,))

        self._write(trim)

    def settings(self) -> bytes | None:
        query = "SELECT settings FROM queue_topics WHERE serial = ?"
        text = self._read(query, (self._serial,))[0][0]
        return None if text is None else text.encode()

    def keep_settings(self, settings: bytes) -> None:
        change = "UPDATE queue_topics SET settings = ? WHERE serial = ?"
        row = (settings.decode(), self._serial)
        self._write(lambda connection: connection.execute(change, row))

    def subscribe(self, name: str, position: int) -> None:
        row = (f"{self.name}@{name}", secrets.token_hex(4), self._serial, position)
        make = "INSERT OR IGNORE INTO queues (name, id, topic, position) VALUES (?, ?, ?, ?)"
        self._write(lambda connection: connection.execute(make, row))

    def unsubscribe(self, name: str) -> None:
        def forget(connection: sqlite3.Connection) -> None:
            queue = "queue = (SELECT serial FROM queues WHERE topic = ? AND name = ?)"
            which = (self._serial, f"{self.name}@{name}")
            connection.execute(f"DELETE FROM queue_messages WHERE {queue}", which)
            connection.execute("DELETE FROM queues WHERE topic = ? AND name = ?", which)

        self._write(forget)

    def put_entries(self, entries: Sequence[LogEntry], before: int) -> bool:
        def put(connection: sqlite3.Connection) -> bool:
            query = "SELECT last FROM queue_topics WHERE serial = ?"
            last = connection.execute(query, (self._serial,)).fetchone()[0]
            if last not in (0, before):
                return False
            begin = "UPDATE queue_topics SET trimmed = ? WHERE serial = ? AND last = 0"
            connection.execute(begin, (before, self._serial))
            rows = ((self._serial, one.position, one.at, one.payload) for one in entries)
            connection.executemany(_APPEND, rows)
            end = entries[-1].position if entries else before
            move = "UPDATE queue_topics SET last = ? WHERE serial = ?"
            connection.execute(move, (end, self._serial))
            return True

        return self._write(put)

    def take_over(
        self, name: str, position: int, messages: Iterable[MovedMessage], *, paused: bool
    ) -> bool:
        row = (f"{self.name}@{name}", secrets.token_hex(4), self._serial, position, paused)

        def take_over(connection: sqlite3.Connection) -> bool:
            with all_or_nothing(connection):
                made = connection.execute(_MAKE, row)
                if made.rowcount == 0:
                    return False
                take_over_on(connection, made.lastrowid or 0, messages)
                return True

        return self._write(take_over)

    def cursors(self) -> dict[str, int]:
        query = "SELECT name, position FROM queues WHERE topic = ? ORDER BY name"
        rows = self._read(query, (self._serial,))
        return {name.partition("@")[2]: position for name, position in rows}

    def subscription(self, name: str) -> SqliteSubscriptionStore:
        if name not in self.cursors():
            raise no_subscription(name)
        return SqliteSubscriptionStore(self.path, f"{self.name}@{name}", durability=self.durability)

    def _identify(self) -> None:
        query = "SELECT serial FROM queue_topics WHERE name = ?"
        with sqlite_errors(self.path):
            known = self._writer.execute(query, (self.name,)).fetchone()
            if known is None:
                make = "INSERT OR IGNORE INTO queue_topics (name) VALUES (?)"
                self._writer.execute(make, (self.name,))
                known = self._writer.execute(query, (self.name,)).fetchone()
        self._serial = int(known[0])

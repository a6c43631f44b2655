"""A topic in PostgreSQL: a log in a table beside the queues, and a queue for each subscription.

Whoever appends holds the topic's row until the commit, so positions have no gaps and become visible
in their order: a reader misses none.
"""

from collections.abc import Iterable, Iterator, Sequence
from contextlib import closing, contextmanager
from secrets import token_hex
from typing import TYPE_CHECKING, Any

from holdfast.durable.faults import fault_point
from holdfast.durable.files import Durability
from holdfast.durable.grouping import GroupCommit
from holdfast.engines.postgres import Postgres
from holdfast.engines.urls import EngineUrl
from holdfast.queues.store import LogEntry, MovedMessage, NewMessage
from holdfast.queues.stores import postgres_statements as sql
from holdfast.queues.stores.postgres import ROOM, PostgresQueueStore, present, take_over_on
from holdfast.queues.stores.subscriptions import no_subscription

if TYPE_CHECKING:
    from holdfast.engines.postgres import Connection

_CURSOR = "SELECT position, paused FROM queues WHERE serial = %s"
_LOCKED_CURSOR = f"{_CURSOR} FOR UPDATE"
_MOVE = "UPDATE queues SET position = %s WHERE serial = %s"
_FEED = """
INSERT INTO queue_messages (queue, place, rank, due, at, position, payload)
SELECT %(queue)s, CASE WHEN due > 0 THEN 'delayed' ELSE 'ready' END, rank, due, %(now)s, position,
    payload
FROM unnest(%(ranks)s::bigint[], %(dues)s::float8[], %(positions)s::bigint[], %(payloads)s::text[])
    AS given (rank, due, position, payload) ORDER BY position
"""
_FED_GROUPS = (
    'SELECT DISTINCT "group" FROM queue_messages'
    ' WHERE queue = %s AND position > %s AND "group" IS NOT NULL ORDER BY "group"'
)
_REWIND = "DELETE FROM queue_messages WHERE queue = %s AND position > %s"

_READ = (
    "SELECT position, at, payload FROM queue_log"
    " WHERE topic = %s AND position > %s ORDER BY position LIMIT %s"
)
_NUMBER = "UPDATE queue_topics SET last = last + %s WHERE serial = %s RETURNING last"
_APPEND = (
    "INSERT INTO queue_log (topic, position, at, payload)"
    " SELECT %s, given.position, %s, given.payload"
    " FROM unnest(%s::bigint[], %s::text[]) AS given (position, payload)"
)
_COPY = "COPY queue_log (topic, position, at, payload) FROM STDIN"
_HOLD = "SELECT 1 FROM queue_topics WHERE serial = %s FOR UPDATE"
_TRIM = """
UPDATE queue_topics SET trimmed = greatest(trimmed, least(last, %(upto)s,
    coalesce((SELECT min(position) FROM queues WHERE topic = %(topic)s), last)))
WHERE serial = %(topic)s RETURNING trimmed
"""
_FORGET = "DELETE FROM queue_log WHERE topic = %s AND position <= %s"

_Append = tuple[Sequence[bytes], float]


def topic_names(url: EngineUrl) -> list[str]:
    """The names of all topics in the database, sorted."""
    with (
        closing(Postgres(url, room=ROOM, migrations=sql.MIGRATIONS)) as database,
        database.connection() as connection,
    ):
        rows = connection.execute("SELECT name FROM queue_topics").fetchall()
        return sorted(name for (name,) in rows)


class PostgresSubscriptionStore(PostgresQueueStore):
    """The queue of one subscription; its name is ``<topic>@<subscription>``."""

    def cursor(self) -> tuple[int, bool]:
        with self._statement() as connection:
            row = connection.execute(_CURSOR, (self._serial,)).fetchone()
        if row is None:
            raise no_subscription(self.name)
        return row[0], row[1]

    def feed(self, messages: Sequence[NewMessage], after: int, upto: int, now: float) -> bool:
        with self._transaction() as connection:
            row = connection.execute(_LOCKED_CURSOR, (self._serial,)).fetchone()
            if row is None or row[0] != after:
                return False
            if all(message.alone for message in messages):
                connection.execute(_FEED, self._columns(messages, now))
            else:
                for message in messages:
                    self._put_one(connection, message, now)
            connection.execute(_MOVE, (upto, self._serial))
        return True

    def seek(self, position: int, now: float) -> None:
        with self._transaction() as connection:
            # Nobody trims meanwhile what is about to be needed again, and nobody feeds.
            topic = "SELECT topic FROM queues WHERE serial = %s"
            row = connection.execute(topic, (self._serial,)).fetchone()
            if row is None:
                raise no_subscription(self.name)
            connection.execute(_HOLD, row)
            connection.execute(_LOCKED_CURSOR, (self._serial,))
            fed = (self._serial, position)
            groups = [group for (group,) in connection.execute(_FED_GROUPS, fed).fetchall()]
            for group in groups:
                connection.execute(sql.LOCK, (f"group:{group}", self._serial))
            connection.execute(_REWIND, fed)
            for group in groups:
                if self._place_in_group(connection, group, "ready") == "ready":
                    self._follow(connection, group)
            connection.execute(_MOVE, (position, self._serial))

    def _columns(self, messages: Sequence[NewMessage], now: float) -> dict[str, Any]:
        return {
            "queue": self._serial,
            "now": now,
            "ranks": [-message.priority for message in messages],
            "dues": [message.due for message in messages],
            "positions": [message.position for message in messages],
            "payloads": [message.payload.decode() for message in messages],
        }


class PostgresTopicStore:
    """The topic `name` in the database at `url`."""

    def __init__(self, url: EngineUrl, name: str, *, durability: Durability = "process") -> None:
        self.url = url
        self.name = name
        self.durability: Durability = durability
        self._group: GroupCommit[_Append, list[int]] = GroupCommit(self._append)
        self._database = Postgres(url, room=ROOM, migrations=sql.MIGRATIONS, durability=durability)
        try:
            self._serial = self._identity()
        except BaseException:
            self._database.close()
            raise

    def append(self, payloads: Sequence[bytes], now: float) -> list[int]:
        return self._group.ask((payloads, now)) if payloads else []

    def append_on(
        self, connection: "Connection", payloads: Sequence[bytes], now: float
    ) -> list[int]:
        """Append inside a transaction of the caller's, which holds the topic until it ends."""
        row = connection.execute(_NUMBER, (len(payloads), self._serial)).fetchone()
        last = int(present(row)[0])
        positions = list(range(last - len(payloads) + 1, last + 1))
        texts = [payload.decode() for payload in payloads]
        connection.execute(_APPEND, (self._serial, now, positions, texts))
        connection.execute(sql.TELL_SUBSCRIPTIONS, (self._serial,))
        return positions

    def read_after(self, position: int, limit: int) -> list[LogEntry]:
        with self._database.connection() as connection:
            rows = connection.execute(_READ, (self._serial, position, limit)).fetchall()
        return [LogEntry(position, at, payload.encode()) for position, at, payload in rows]

    def bounds(self) -> tuple[int, int]:
        trimmed, last = self._row("SELECT trimmed, last FROM queue_topics WHERE serial = %s")
        return trimmed, last

    def trim(self, upto: int) -> None:
        with self._transaction() as connection:
            connection.execute(_HOLD, (self._serial,))
            facts = {"topic": self._serial, "upto": upto}
            (trimmed,) = present(connection.execute(_TRIM, facts).fetchone())
            connection.execute(_FORGET, (self._serial, trimmed))

    def settings(self) -> bytes | None:
        (text,) = self._row("SELECT settings FROM queue_topics WHERE serial = %s")
        return None if text is None else str(text).encode()

    def keep_settings(self, settings: bytes) -> None:
        change = "UPDATE queue_topics SET settings = %s WHERE serial = %s"
        with self._database.connection() as connection:
            connection.execute(change, (settings.decode(), self._serial))

    def subscribe(self, name: str, position: int) -> None:
        make = (
            "INSERT INTO queues (name, id, topic, position) VALUES (%s, %s, %s, %s)"
            " ON CONFLICT (name) DO NOTHING"
        )
        with self._transaction() as connection:
            connection.execute(_HOLD, (self._serial,))
            row = (f"{self.name}@{name}", token_hex(4), self._serial, position)
            connection.execute(make, row)

    def unsubscribe(self, name: str) -> None:
        which = (self._serial, f"{self.name}@{name}")
        query = "SELECT serial FROM queues WHERE topic = %s AND name = %s FOR UPDATE"
        with self._transaction() as connection:
            for queue in connection.execute(query, which).fetchall():
                connection.execute("DELETE FROM queue_messages WHERE queue = %s", queue)
                connection.execute("DELETE FROM queues WHERE serial = %s", queue)

    def put_entries(self, entries: Sequence[LogEntry], before: int) -> bool:
        with self._transaction() as connection:
            query = "SELECT last FROM queue_topics WHERE serial = %s FOR UPDATE"
            (last,) = present(connection.execute(query, (self._serial,)).fetchone())
            if last not in (0, before):
                return False
            begin = "UPDATE queue_topics SET trimmed = %s WHERE serial = %s AND last = 0"
            connection.execute(begin, (before, self._serial))
            with connection.cursor() as cursor, cursor.copy(_COPY) as copy:
                for one in entries:
                    copy.write_row((self._serial, one.position, one.at, one.payload.decode()))
            end = entries[-1].position if entries else before
            move = "UPDATE queue_topics SET last = %s WHERE serial = %s"
            connection.execute(move, (end, self._serial))
        return True

    def take_over(
        self, name: str, position: int, messages: Iterable[MovedMessage], *, paused: bool
    ) -> bool:
        with self._transaction() as connection:
            connection.execute(_HOLD, (self._serial,))
            row = (f"{self.name}@{name}", token_hex(4), self._serial, position, paused)
            made = connection.execute(
                "INSERT INTO queues (name, id, topic, position, paused)"
                " VALUES (%s, %s, %s, %s, %s) ON CONFLICT (name) DO NOTHING RETURNING serial",
                row,
            ).fetchone()
            if made is None:
                return False
            take_over_on(connection, made[0], messages)
        return True

    def cursors(self) -> dict[str, int]:
        query = "SELECT name, position FROM queues WHERE topic = %s ORDER BY name"
        with self._database.connection() as connection:
            rows = connection.execute(query, (self._serial,)).fetchall()
        return {name.partition("@")[2]: position for name, position in rows}

    def subscription(self, name: str) -> PostgresSubscriptionStore:
        if name not in self.cursors():
            raise no_subscription(name)
        return PostgresSubscriptionStore(
            self.url, f"{self.name}@{name}", durability=self.durability
        )

    def close(self) -> None:
        """Close the connections."""
        self._database.close()

    def _append(self, group: Sequence[_Append]) -> list[list[int]]:
        """Append what several threads put, with one commit."""
        payloads = [payload for part, _ in group for payload in part]
        now = max(moment for _, moment in group)
        with self._transaction() as connection:
            positions = iter(self.append_on(connection, payloads, now))
        return [[next(positions) for _ in part] for part, _ in group]

    @contextmanager
    def _transaction(self) -> Iterator["Connection"]:
        with self._database.transaction() as connection:
            yield connection
            fault_point("queue.postgres.topic.written")
        fault_point("queue.postgres.topic.committed")

    def _row(self, query: str) -> tuple[Any, ...]:
        with self._database.connection() as connection:
            return present(connection.execute(query.encode(), (self._serial,)).fetchone())

    def _identity(self) -> int:
        query = "SELECT serial FROM queue_topics WHERE name = %s"
        make = "INSERT INTO queue_topics (name) VALUES (%s) ON CONFLICT (name) DO NOTHING"
        with self._database.connection() as connection:
            known = connection.execute(query, (self.name,)).fetchone()
            if known is None:
                connection.execute(make, (self.name,))
                known = connection.execute(query, (self.name,)).fetchone()
        return int(present(known)[0])

"""Events in PostgreSQL: five tables and two functions in the schema ``holdfast``.

How no reader skips an event: an append holds the one lock of all appends until it is committed; the
next append looks only then for the last position, and takes the next. So positions are committed in
their order, without gaps, also when a transaction is rolled back or a connection cut. An append is
one call of ``append_event`` or ``append_events``: one round trip, one commit. It notifies
``holdfast_events`` when somebody listens, see `holdfast.events.stores.postgres_bell`.
"""

from collections.abc import Collection, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from holdfast.durable.faults import fault_point
from holdfast.durable.files import Durability
from holdfast.engines.postgres import Postgres
from holdfast.engines.urls import EngineUrl
from holdfast.events.store import Appended, NewEvent, State, StateKind, StoredEvent, Stream
from holdfast.events.stores.placing import in_order, key_rows
from holdfast.events.stores.postgres_bell import PostgresBell
from holdfast.events.stores.postgres_tables import LOCK_APPENDS, MIGRATIONS

if TYPE_CHECKING:
    from holdfast.engines.postgres import Connection

_APPEND_ONE = (
    "SELECT * FROM append_event(%s::varchar, %s::varchar, %s::text, %s::bigint, %s::varchar)"
)
_APPEND_MANY = "SELECT * FROM append_events(%s::varchar, %b::varchar[], %b::text[], %s::bigint)"
_HEAD = "SELECT greatest((SELECT max(position) FROM events), (SELECT position FROM event_head))"
_READ = "SELECT position, stream, version, type, body FROM events"
_VERSION = (
    "SELECT coalesce((SELECT max(version) FROM events WHERE stream = %(stream)s),"
    " (SELECT version FROM event_archives WHERE stream = %(stream)s), 0)"
)
# One look into the index for each stream, however many events it has.
_STREAMS = """
WITH RECURSIVE names (name) AS (
    SELECT (SELECT min(stream) FROM events
            WHERE stream > %(after)s AND stream >= %(prefix)s)
    UNION ALL
    SELECT (SELECT min(stream) FROM events WHERE stream > name) FROM names
    WHERE starts_with(name, %(prefix)s)
)
SELECT name::varchar, (SELECT max(version) FROM events WHERE stream = name) FROM names
WHERE starts_with(name, %(prefix)s) LIMIT %(limit)s
"""
_SAVE_FIRST = "INSERT INTO event_states VALUES (%s, %s, %s, %s) ON CONFLICT DO NOTHING"
_SAVE_NEXT = "UPDATE event_states SET at = %s, body = %s WHERE kind = %s AND name = %s AND at = %s"
# So that no position is given out twice when the last events are archived.
_KEEP_HEAD = f"UPDATE event_head SET position = ({_HEAD})"
_RAISE_HEAD = "UPDATE event_head SET position = greatest(position, %s)"
_PUT_ARCHIVE = "INSERT INTO event_archives VALUES (%s, %s, %s) ON CONFLICT DO NOTHING"
_PUT_BACK = "INSERT INTO events VALUES (%s, %s, %s, %s, %s)"
_PUT_BACK_KEY = "INSERT INTO event_keys VALUES (%s, %s, %s, %s)"


class PostgresEventStore:
    """See `holdfast.events.store.EventStore`. Many machines may use the same database."""

    def __init__(self, url: EngineUrl, *, durability: Durability = "process") -> None:
        self._postgres = Postgres(url, room="events", migrations=MIGRATIONS, durability=durability)

    def append(
        self, stream: str, events: Sequence[NewEvent], *, expect: int | None, key: str | None
    ) -> Appended | None:
        given: tuple[Any, ...]
        if len(events) == 1:
            ((type_, body),) = events
            call, given = _APPEND_ONE, (stream, type_, body.decode(), expect, key)
        else:
            types = [event.type for event in events]
            bodies = [event.body.decode() for event in events]
            call, given = _APPEND_MANY, (stream, types, bodies, expect)
        with self._postgres.connection() as connection:
            version, position = _first(connection.execute(call.encode(), given))
        return None if version is None else Appended(version, position)

    def read(
        self,
        *,
        stream: str | None,
        after: int,
        limit: int,
        types: Collection[str] | None,
    ) -> list[StoredEvent]:
        number = "position" if stream is None else "version"
        conditions = [f"{number} > %(after)s"]
        if stream is not None:
            conditions.append("stream = %(stream)s")
            if types is None:  # versions have no gaps; a range keeps the planner from sorting all
                conditions.append("version <= %(after)s::bigint + %(limit)s::bigint")
        if types is not None:
            conditions.append("type = ANY(%(types)s)")
        where = f"WHERE {' AND '.join(conditions)} ORDER BY {number} LIMIT %(limit)s"
        wanted = None if types is None else list(types)
        given = {"after": after, "stream": stream, "types": wanted, "limit": limit}
        return self._ask(f"{_READ} {where}", given)

    def head(self) -> int:
        return int(self._ask(_HEAD)[0][0])

    def version(self, stream: str) -> int:
        return int(self._ask(_VERSION, {"stream": stream})[0][0])

    def streams(self, *, prefix: str, after: str, limit: int) -> list[Stream]:
        given = {"prefix": prefix, "after": after, "limit": limit}
        return [Stream(*row) for row in self._ask(_STREAMS, given)]

    def read_state(self, kind: StateKind, name: str) -> State | None:
        question = "SELECT at, body FROM event_states WHERE kind = %s AND name = %s"
        rows = self._ask(question, (kind, name))
        return State(*rows[0]) if rows else None

    def save_state(self, kind: StateKind, name: str, state: State, *, replaces: int | None) -> bool:
        body = state.body.decode()
        with self._postgres.connection() as connection:
            if replaces is None:
                done = connection.execute(_SAVE_FIRST, (kind, name, state.at, body))
            else:
                done = connection.execute(_SAVE_NEXT, (state.at, body, kind, name, replaces))
            return done.rowcount > 0

    def states(self, kind: StateKind) -> dict[str, int]:
        return dict(self._ask("SELECT name, at FROM event_states WHERE kind = %s", (kind,)))

    def archive(self, stream: str, version: int, note: bytes) -> bool:
        with self._postgres.transaction() as connection:
            connection.execute(LOCK_APPENDS)  # nobody appends meanwhile
            row = connection.execute(
                "SELECT max(version) FROM events WHERE stream = %s", (stream,)
            ).fetchone()
            if row != (version,):
                return False
            connection.execute(_KEEP_HEAD)
            connection.execute("DELETE FROM events WHERE stream = %s", (stream,))
            connection.execute("DELETE FROM event_keys WHERE stream = %s", (stream,))
            connection.execute(
                "INSERT INTO event_archives VALUES (%s, %s, %s)", (stream, version, note.decode())
            )
            fault_point("events.archive.removed")
            return True

    def archived(self, stream: str) -> bytes | None:
        rows = self._ask("SELECT note FROM event_archives WHERE stream = %s", (stream,))
        return rows[0][0] if rows else None

    def archives(self) -> dict[str, bytes]:
        return dict(self._ask("SELECT stream, note FROM event_archives"))

    def unarchive(
        self, stream: str, events: Sequence[StoredEvent], keys: Mapping[int, str]
    ) -> bool:
        with self._postgres.transaction() as connection:
            gone = connection.execute("DELETE FROM event_archives WHERE stream = %s", (stream,))
            if gone.rowcount == 0:
                return False
            cursor = connection.cursor()
            cursor.executemany(_PUT_BACK, [(*row[:4], row[4].decode()) for row in events])
            cursor.executemany(
                _PUT_BACK_KEY,
                [(stream, keys[row[2]], row[2], row[0]) for row in events if row[2] in keys],
            )
            return True

    def put_events(self, events: Sequence[StoredEvent], keys: Mapping[int, str]) -> bool:
        with self._postgres.transaction() as connection:
            connection.execute(LOCK_APPENDS)
            if not in_order(events, beyond=_first(connection.execute(_HEAD.encode()))[0]):
                return False
            cursor = connection.cursor()
            cursor.executemany(_PUT_BACK, [(*row[:4], row[4].decode()) for row in events])
            cursor.executemany(_PUT_BACK_KEY, key_rows(events, keys))
            fault_point("events.put")
            return True

    def put_archive(self, stream: str, version: int, note: bytes, head: int) -> bool:
        with self._postgres.transaction() as connection:
            connection.execute(LOCK_APPENDS)
            row = (stream, version, note.decode())
            done = connection.execute(_PUT_ARCHIVE, row).rowcount > 0
            connection.execute(_RAISE_HEAD, (head,))
            return done

    def bell(self) -> PostgresBell:
        return PostgresBell(self._postgres)

    def close(self) -> None:
        self._postgres.close()

    def _ask(self, question: str, given: Any = None) -> list[Any]:
        with self._postgres.connection() as connection:
            cursor = _cursor(connection)
            rows: list[Any] = cursor.execute(question.encode(), given).fetchall()
            return rows


def _first(cursor: Any) -> tuple[Any, ...]:
    row: tuple[Any, ...] | None = cursor.fetchone()
    assert row is not None
    return row


def _cursor(connection: "Connection") -> Any:
    """A cursor that gives columns of type ``text`` as bytes, and those of ``varchar`` as str."""
    from psycopg.types.string import ByteaBinaryLoader

    cursor = connection.cursor(binary=True)
    cursor.adapters.register_loader("text", ByteaBinaryLoader)
    return cursor

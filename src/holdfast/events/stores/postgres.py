"""Events in PostgreSQL: five tables and one function in the schema ``holdfast``.

How no reader skips an event: an append raises the one row of ``event_head`` and so holds its lock
until it is committed; the next append gets its positions only then. So positions are committed in
their order, without gaps, also when a transaction is rolled back or a connection cut. An append is
one call of ``event_append``: one round trip, one commit.
"""

from collections.abc import Collection, Mapping, Sequence
from typing import TYPE_CHECKING, Any, LiteralString

from holdfast.durable.files import Durability
from holdfast.engines.postgres import Postgres
from holdfast.engines.urls import EngineUrl
from holdfast.events.store import Appended, NewEvent, State, StateKind, StoredEvent, Stream

if TYPE_CHECKING:
    from holdfast.engines.postgres import Connection

_MIGRATIONS = (
    """
CREATE TABLE events (
    position bigint PRIMARY KEY,
    stream varchar COLLATE "C" NOT NULL,
    version bigint NOT NULL,
    type varchar NOT NULL,
    body text NOT NULL,
    UNIQUE (stream, version)
);
CREATE TABLE event_keys (
    stream varchar COLLATE "C" NOT NULL,
    key varchar COLLATE "C" NOT NULL,
    version bigint NOT NULL,
    position bigint NOT NULL,
    PRIMARY KEY (stream, key)
);
CREATE TABLE event_head (lone boolean PRIMARY KEY CHECK (lone), position bigint NOT NULL);
INSERT INTO event_head VALUES (true, 0);
CREATE TABLE event_states (
    kind varchar NOT NULL,
    name varchar NOT NULL,
    at bigint NOT NULL,
    body text NOT NULL,
    PRIMARY KEY (kind, name)
);
CREATE TABLE event_archives (
    stream varchar COLLATE "C" PRIMARY KEY,
    version bigint NOT NULL,
    note text NOT NULL
);
CREATE FUNCTION event_append(
    a_stream varchar, types varchar[], bodies text[], expect bigint, a_key varchar
) RETURNS TABLE (last_version bigint, last_position bigint) LANGUAGE plpgsql AS $$
DECLARE
    number bigint := cardinality(types);
    before bigint;
BEGIN
    -- The lock of this row, held to the end of the transaction, puts appends in their order.
    UPDATE holdfast.event_head h SET position = h.position + number
        RETURNING h.position INTO last_position;
    IF a_key IS NOT NULL THEN
        SELECT k.version, k.position INTO last_version, before FROM holdfast.event_keys k
            WHERE k.stream = a_stream AND k.key = a_key;
        IF FOUND THEN
            UPDATE holdfast.event_head h SET position = h.position - number;
            last_position := before;
            RETURN NEXT;
            RETURN;
        END IF;
    END IF;
    SELECT coalesce(max(e.version), 0) INTO before FROM holdfast.events e
        WHERE e.stream = a_stream;
    IF (expect IS NOT NULL AND expect <> before)
        OR EXISTS (SELECT 1 FROM holdfast.event_archives a WHERE a.stream = a_stream) THEN
        UPDATE holdfast.event_head h SET position = h.position - number;
        RETURN;
    END IF;
    IF number = 1 THEN
        INSERT INTO holdfast.events VALUES
            (last_position, a_stream, before + 1, types[1], bodies[1]);
        IF a_key IS NOT NULL THEN
            INSERT INTO holdfast.event_keys VALUES
                (a_stream, a_key, before + 1, last_position);
        END IF;
    ELSE
        INSERT INTO holdfast.events
            SELECT last_position - number + n, a_stream, before + n, t, b
            FROM unnest(types, bodies) WITH ORDINALITY AS new (t, b, n);
    END IF;
    last_version := before + number;
    RETURN NEXT;
END $$;
""",
)

_APPEND = (
    "SELECT * FROM event_append(%s::varchar, %b::varchar[], %b::text[], %s::bigint, %s::varchar)"
)
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
_LOCK_HEAD: LiteralString = "SELECT position FROM event_head FOR UPDATE"
_PUT_BACK = "INSERT INTO events VALUES (%s, %s, %s, %s, %s)"
_PUT_BACK_KEY = "INSERT INTO event_keys VALUES (%s, %s, %s, %s)"


class PostgresEventStore:
    """See `holdfast.events.store.EventStore`. Many machines may use the same database."""

    def __init__(self, url: EngineUrl, *, durability: Durability = "process") -> None:
        self._postgres = Postgres(url, room="events", migrations=_MIGRATIONS, durability=durability)

    def append(
        self, stream: str, events: Sequence[NewEvent], *, expect: int | None, key: str | None
    ) -> Appended | None:
        types = [event.type for event in events]
        bodies = [event.body.decode() for event in events]
        rows = self._ask(_APPEND, (stream, types, bodies, expect, key))
        return Appended(*rows[0]) if rows else None

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
        return int(self._ask("SELECT position FROM event_head")[0][0])

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
            connection.execute(_LOCK_HEAD)  # nobody appends meanwhile
            row = connection.execute(
                "SELECT max(version) FROM events WHERE stream = %s", (stream,)
            ).fetchone()
            if row != (version,):
                return False
            connection.execute("DELETE FROM events WHERE stream = %s", (stream,))
            connection.execute("DELETE FROM event_keys WHERE stream = %s", (stream,))
            connection.execute(
                "INSERT INTO event_archives VALUES (%s, %s, %s)", (stream, version, note.decode())
            )
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

    def close(self) -> None:
        self._postgres.close()

    def _ask(self, question: str, given: Any = None) -> list[Any]:
        with self._postgres.connection() as connection:
            cursor = _cursor(connection)
            rows: list[Any] = cursor.execute(question.encode(), given).fetchall()
            return rows


def _cursor(connection: "Connection") -> Any:
    """A cursor that gives columns of type ``text`` as bytes, and those of ``varchar`` as str."""
    from psycopg.types.string import ByteaBinaryLoader

    cursor = connection.cursor(binary=True)
    cursor.adapters.register_loader("text", ByteaBinaryLoader)
    return cursor

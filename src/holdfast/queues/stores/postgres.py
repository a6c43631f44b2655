"""``postgresql://…``: durable queues as two tables, shared by any number of machines.

Takers pass over each other's rows (``SKIP LOCKED``) and never wait for one another. What belongs
to a key or a group is settled under an advisory lock of that name. Times are those of the callers,
so the clocks of machines that share a queue have to agree to within a fraction of the lease.
"""

from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import closing, contextmanager
from secrets import token_hex
from typing import TYPE_CHECKING, Any, NamedTuple

from holdfast.durable.faults import fault_point
from holdfast.durable.files import Durability
from holdfast.durable.grouping import GroupCommit
from holdfast.engines.postgres import Postgres
from holdfast.engines.urls import EngineUrl
from holdfast.errors import NotFoundError
from holdfast.queues.bells import bell_of
from holdfast.queues.store import MovedMessage, NewMessage, Reserved, Stats, StoredMessage
from holdfast.queues.stores import postgres_statements as sql
from holdfast.queues.stores.clock import ClockWatch
from holdfast.queues.stores.listening import WATCHED, Watch
from holdfast.queues.stores.moving import moved, row_of
from holdfast.queues.stores.postgres_ear import PostgresEar
from holdfast.queues.stores.receipts import (
    id_text,
    parse_id,
    parse_receipt,
    receipt_text,
    stale,
)

if TYPE_CHECKING:
    from holdfast.engines.postgres import Connection

ROOM = "queues"
_READ_AHEAD = 1000  # rows
_WORTH_A_COPY = 50  # messages; fewer are put faster by one INSERT

_PlainPut = tuple[Sequence[NewMessage], float]


class _Holder(NamedTuple):
    """A message whose receipt is in force, its row locked."""

    id: int
    attempts: int
    group: str | None


def queue_names(url: EngineUrl) -> list[str]:
    """The names of all queues in the database, sorted."""
    with (
        closing(Postgres(url, room=ROOM, migrations=sql.MIGRATIONS)) as database,
        database.connection() as connection,
    ):
        rows = connection.execute("SELECT name FROM queues WHERE topic IS NULL").fetchall()
        return sorted(name for (name,) in rows)


class PostgresQueueStore:
    """The queue `name` in the database at `url`."""

    def __init__(self, url: EngineUrl, name: str, *, durability: Durability = "process") -> None:
        self.url = url
        self.name = name
        self._clock = ClockWatch()
        self._watch: Watch | None = None
        self._plain: GroupCommit[_PlainPut, list[int]] = GroupCommit(self._put_plain)
        self._database = Postgres(url, room=ROOM, migrations=sql.MIGRATIONS, durability=durability)
        try:
            self._serial, self._id = self._identity()
        except BaseException:
            self._database.close()
            raise

    def put(self, messages: Sequence[NewMessage], now: float) -> list[str]:
        if not messages:
            return []
        if all(message.plain for message in messages):
            numbers = self._plain.ask((messages, now))
        else:
            with self._transaction() as connection:
                numbers = [self._put_one(connection, message, now) for message in messages]
                self._tell(connection)
        return [id_text(self._id, number) for number in numbers]

    def take(self, limit: int, lease: float, max_attempts: int, now: float) -> list[StoredMessage]:
        if self._clock.stepped_back(now):
            with self._statement() as connection:
                connection.execute(sql.SHORTEN, (now, self._serial, now))
        facts = {
            "queue": self._serial,
            "now": now,
            "until": now + lease,
            "lease": lease,
            "max_attempts": max_attempts,
        }
        taken: list[StoredMessage] = []
        while len(taken) < limit:
            with self._statement() as connection:
                rows = connection.execute(
                    sql.TAKE, {**facts, "limit": limit - len(taken)}
                ).fetchall()
            if not rows:
                break
            if rows[0][0] == "leased":
                taken += [self._stored(row[1:]) for row in rows]
            elif rows[0][0] == "late":
                self._promote(now)
            else:
                self._bury_spent([row[1] for row in rows], max_attempts)
        return taken

    def ack(self, receipts: Sequence[str], now: float) -> None:
        unique = list(dict.fromkeys(receipts))
        if not unique:
            return
        with self._statement() as connection:
            if len(unique) == 1:
                (number,), (token,) = self._parsed(unique)
                done = connection.execute(sql.ACK, (number, self._serial, token)).rowcount
            else:
                done = connection.execute(sql.ACK_MANY, self._given(unique)).rowcount
        if done != len(unique):
            with self._transaction() as connection:
                self.ack_on(connection, unique, now)

    def nack(
        self, receipt: str, due: float, reason: str | None, max_attempts: int, now: float
    ) -> None:
        (number,), (token,) = self._parsed([receipt])
        place = "delayed" if due else "ready"
        with self._statement() as connection:
            which = (number, self._serial, token, max_attempts, self._serial)
            parameters = (place, due, reason, *which)
            if connection.execute(sql.NACK, parameters).rowcount:
                return
        with self._transaction() as connection:
            (holder,) = self._holders(connection, [receipt])
            why = reason or f"given back {holder.attempts} times"
            self._bury(connection, holder, why)

    def release(self, receipts: Sequence[str], now: float) -> None:
        with self._statement() as connection:
            connection.execute(sql.RELEASE, self._given(receipts))

    def extend(self, receipt: str, lease: float, now: float) -> None:
        (number,), (token,) = self._parsed([receipt])
        with self._statement() as connection:
            parameters = (now + lease, lease, number, self._serial, token)
            if not connection.execute(sql.EXTEND, parameters).rowcount:
                raise stale(receipt)

    def peek(self, limit: int, now: float) -> list[StoredMessage]:
        self._promote(now)
        with self._statement() as connection:
            rows = connection.execute(sql.PEEK, (self._serial, limit)).fetchall()
        return [self._stored(row) for row in rows]

    def dead(self, limit: int) -> list[StoredMessage]:
        with self._statement() as connection:
            rows = connection.execute(sql.DEAD, (self._serial, limit)).fetchall()
        return [self._stored(row) for row in rows]

    def requeue(self, ids: Sequence[str] | None, now: float) -> int:
        unique = None if ids is None else list(dict.fromkeys(ids))
        numbers = None if unique is None else [parse_id(id_, self._id) or 0 for id_ in unique]
        with self._transaction() as connection:
            given = (self._serial, numbers, numbers, unique)
            found = connection.execute(sql.REQUEUED, given).fetchall()
            known = {each for number, _, given in found for each in (number, given)}
            for id_, number in zip(unique or (), numbers or (), strict=True):
                if number not in known and id_ not in known:
                    raise NotFoundError(f"no dead letter has the id {id_!r}")
            for number, group, _ in found:
                place = self._place_in_group(connection, group, "ready")
                connection.execute(sql.REVIVE, (place, number))
            self._tell(connection)
        return len(found)

    def purge(self, keep: Callable[[Iterable[StoredMessage]], None], now: float) -> int:
        ids: list[int] = []
        with self._transaction() as connection:
            # Nothing may join a group whose first message is about to go.
            connection.execute("SELECT 1 FROM queues WHERE serial = %s FOR UPDATE", (self._serial,))
            with connection.cursor("purge") as cursor:
                cursor.itersize = _READ_AHEAD
                cursor.execute(sql.ALL, (self._serial,))

                def messages() -> Iterator[StoredMessage]:
                    for row in cursor:
                        ids.append(row[0])
                        yield self._stored(row)

                everything = messages()
                keep(everything)
                for _ in everything:  # what `keep` did not look at goes all the same
                    pass
            connection.execute("DELETE FROM queue_messages WHERE id = ANY(%s)", (ids,))
        return len(ids)

    def pause(self, paused: bool) -> None:
        with self._statement() as connection:
            connection.execute(
                "UPDATE queues SET paused = %s WHERE serial = %s", (paused, self._serial)
            )
            self._tell(connection)

    def depth(self, limit: int) -> int:
        with self._statement() as connection:
            facts = {"queue": self._serial, "limit": limit}
            row = connection.execute(sql.DEPTH, facts).fetchone()
        return min(limit, int(present(row)[0]))

    def stats(self, now: float) -> Stats:
        with self._statement() as connection:
            row = connection.execute(sql.STATS, {"queue": self._serial, "now": now}).fetchone()
        ready, delayed, leased, dead, blocked, paused, oldest = present(row)
        return Stats(
            ready=ready,
            delayed=delayed,
            leased=leased,
            dead=dead,
            paused=paused,
            oldest_age=None if oldest is None else max(0.0, now - oldest),
            blocked=blocked,
        )

    def export(self, now: float) -> Iterator[MovedMessage]:
        with self._statement() as connection:
            dead = connection.execute(sql.DEAD_IDS, (self._serial,)).fetchall()
        ranks = {number: rank for rank, (number,) in enumerate(dead, 1)}
        rows: list[tuple[Any, ...]] = [(0,)]
        while True:
            with self._statement() as connection:
                given = (self._serial, rows[-1][0], _READ_AHEAD)
                rows = connection.execute(sql.EXPORT, given).fetchall()
            if not rows:
                return
            for row in rows:
                yield moved(row, id_text(self._id, row[0]), ranks.get(row[0], 0), now)

    def take_over(self, messages: Iterable[MovedMessage], *, paused: bool) -> bool:
        with self._transaction() as connection:
            lock = "SELECT 1 FROM queues WHERE serial = %s FOR UPDATE"
            connection.execute(lock, (self._serial,))
            some = "SELECT 1 FROM queue_messages WHERE queue = %s LIMIT 1"
            if connection.execute(some, (self._serial,)).fetchone():
                return False
            take_over_on(connection, self._serial, messages)
            change = "UPDATE queues SET paused = %s WHERE serial = %s"
            connection.execute(change, (paused, self._serial))
        return True

    def watch(self) -> bool:
        if self._watch is None:
            bell, names = bell_of(self.url.text, self.name), [str(self._serial)]
            self._watch = Watch(self.url.text, names, bell, lambda: PostgresEar(self._database))
        if self._watch.due():
            with self._database.connection() as connection:
                connection.execute(sql.WATCH, (WATCHED, self._serial))
        return self._watch.healthy

    def next_due(self) -> float | None:
        with self._database.connection() as connection:
            row = connection.execute(sql.NEXT_DUE, (self._serial,)).fetchone()
        due: float | None = present(row)[0]
        return due

    def close(self) -> None:
        """Close the connections."""
        if self._watch is not None:
            self._watch.close()
        self._database.close()

    @contextmanager
    def _statement(self) -> Iterator["Connection"]:
        """A connection for one statement, which is committed when it returns."""
        with self._database.connection() as connection:
            fault_point("queue.postgres.asked")
            yield connection
        fault_point("queue.postgres.answered")

    @contextmanager
    def _transaction(self) -> Iterator["Connection"]:
        with self._database.transaction() as connection:
            yield connection
            fault_point("queue.postgres.written")
        fault_point("queue.postgres.committed")

    def _identity(self) -> tuple[int, str]:
        with self._database.connection() as connection:
            query = "SELECT serial, id FROM queues WHERE name = %s"
            known = connection.execute(query, (self.name,)).fetchone()
            if known is None:
                connection.execute(
                    "INSERT INTO queues (name, id) VALUES (%s, %s) ON CONFLICT (name) DO NOTHING",
                    (self.name, token_hex(4)),
                )
                known = connection.execute(query, (self.name,)).fetchone()
        serial, identity = present(known)
        return int(serial), str(identity)

    def _put_plain(self, group: Sequence[_PlainPut]) -> list[list[int]]:
        """Put what several threads put, with one commit."""
        payloads = [message.payload.decode() for messages, _ in group for message in messages]
        now = max(moment for _, moment in group)
        numbers = iter(self._insert(payloads, now))
        return [[next(numbers) for _ in messages] for messages, _ in group]

    def _insert(self, payloads: list[str], now: float) -> list[int]:
        if len(payloads) >= _WORTH_A_COPY:
            return self._copy(payloads, now)
        with self._statement() as connection:
            if len(payloads) == 1:
                parameters: Any = (self._serial, now, payloads[0], self._serial)
                rows = connection.execute(sql.PUT_PLAIN, parameters).fetchall()
            else:
                parameters = (self._serial, now, payloads, self._serial)
                rows = connection.execute(sql.PUT_MANY, parameters).fetchall()
        return sorted(row[0] for row in rows)

    def _copy(self, payloads: list[str], now: float) -> list[int]:
        with self._transaction() as connection:
            rows = connection.execute(sql.RESERVE, (len(payloads),)).fetchall()
            numbers = sorted(row[0] for row in rows)
            with connection.cursor() as cursor, cursor.copy(sql.COPY) as copy:
                for number, payload in zip(numbers, payloads, strict=True):
                    copy.write_row((number, self._serial, "ready", 0, 0, now, payload))
            self._tell(connection)
        return numbers

    def _put_one(
        self,
        connection: "Connection",
        message: NewMessage,
        now: float,
        number: int | None = None,
    ) -> int:
        """Put one message, under a `number` that was reserved for it; returns its number."""
        if message.key is not None:
            connection.execute(sql.LOCK, (f"key:{message.key}", self._serial))
        known = self._with_key(connection, message.key)
        if known is not None:
            return known
        place = "delayed" if message.due else "ready"
        if message.group is not None:
            connection.execute(sql.NOT_WHILE_PURGED, (self._serial,))
            place = self._place_in_group(connection, message.group, place)
        row = (self._serial, place, -message.priority, message.due, now, message.key, message.group)
        put = (*row, message.position or None, message.payload.decode())
        if number is None:
            inserted = connection.execute(sql.PUT, put).fetchone()
        else:
            inserted = connection.execute(sql.PUT_AS, (*put, number)).fetchone()
        return int(present(inserted)[0])

    def _with_key(self, connection: "Connection", key: str | None) -> int | None:
        """The message that waits or is leased with this key."""
        if key is None:
            return None
        known = connection.execute(sql.WITH_KEY, (self._serial, key)).fetchone()
        return None if known is None else int(known[0])

    def _tell(self, connection: "Connection") -> None:
        """Wake those who wait for messages, once this is committed."""
        connection.execute(sql.TELL, (self._serial,))

    def _promote(self, now: float) -> None:
        """Make ready what is due, and what was leased for too long."""
        with self._statement() as connection:
            connection.execute(sql.PROMOTE, (self._serial, now))

    def _bury_spent(self, ids: list[int], max_attempts: int) -> None:
        with self._transaction() as connection:
            spent = connection.execute(sql.SPENT, (ids, max_attempts)).fetchall()
            for holder in (_Holder(*row) for row in spent):
                self._bury(connection, holder, f"its lease ran out {holder.attempts} times")

    def _bury(self, connection: "Connection", holder: _Holder, reason: str) -> None:
        connection.execute(sql.BURY, (reason, holder.id))
        self._follow(connection, holder.group)

    def ack_on(self, connection: "Connection", receipts: Sequence[str], now: float) -> None:
        holders = self._holders(connection, list(dict.fromkeys(receipts)))
        ids = [holder.id for holder in holders]
        connection.execute("DELETE FROM queue_messages WHERE id = ANY(%s)", (ids,))
        groups = sorted({holder.group for holder in holders if holder.group is not None})
        for group in groups:
            self._follow(connection, group)
        if groups:
            self._tell(connection)

    def reserve(self, messages: Sequence[NewMessage]) -> tuple[list[str], Reserved]:
        with self._database.connection() as connection:
            known = [self._with_key(connection, message.key) for message in messages]
            fresh = [one for one, there in zip(messages, known, strict=True) if there is None]
            rows = connection.execute(sql.RESERVE, (len(fresh),)).fetchall()
        numbers = sorted(row[0] for row in rows)
        following = iter(numbers)
        ids = [next(following) if there is None else there for there in known]
        reserved = list(zip(numbers, fresh, strict=True))
        return [id_text(self._id, number) for number in ids], reserved

    def put_on(self, connection: "Connection", messages: Reserved, now: float) -> None:
        for number, message in messages:
            self._put_one(connection, message, now, number)
        self._tell(connection)

    def _follow(self, connection: "Connection", group: str | None) -> None:
        """The first message of `group` is out of play: the next one follows."""
        if group is not None:
            connection.execute(sql.LOCK, (f"group:{group}", self._serial))
            connection.execute(sql.FOLLOW, (self._serial, group))

    def _place_in_group(self, connection: "Connection", group: str | None, place: str) -> str:
        if group is None:
            return place
        connection.execute(sql.LOCK, (f"group:{group}", self._serial))
        in_play = connection.execute(sql.GROUP_IN_PLAY, (self._serial, group)).fetchone()
        return place if in_play is None else "blocked"

    def _holders(self, connection: "Connection", receipts: Sequence[str]) -> list[_Holder]:
        """The messages of all `receipts`, locked. Raises `ConflictError` when one is stale."""
        given = self._given(receipts)
        rows = connection.execute(sql.HOLDERS, given).fetchall()
        holders = [_Holder(*row) for row in rows]
        held = {holder.id for holder in holders}
        for receipt, number in zip(receipts, given["ids"], strict=True):
            if number not in held:
                raise stale(receipt)
        return holders

    def _given(self, receipts: Sequence[str]) -> dict[str, Any]:
        """What statements about several receipts ask for."""
        ids, tokens = self._parsed(receipts)
        return {"ids": ids, "leases": tokens, "queue": self._serial, "count": len(ids)}

    def _parsed(self, receipts: Iterable[str]) -> tuple[list[int], list[int]]:
        """The ids and the lease numbers of receipts."""
        pairs = [parse_receipt(receipt, self._id) for receipt in receipts]
        return [number for number, _ in pairs], [token for _, token in pairs]

    def _stored(self, row: Sequence[Any]) -> StoredMessage:
        number, payload, attempts, at, token, reason, given = row
        receipt = receipt_text(self._id, number, token) if token else ""
        id_ = given or id_text(self._id, number)
        return StoredMessage(id_, payload.encode(), attempts, at, receipt, reason)


def take_over_on(connection: "Connection", serial: int, messages: Iterable[MovedMessage]) -> None:
    """Put messages of another queue into the queue with the number `serial`."""
    died = 0
    with connection.cursor() as cursor, cursor.copy(sql.TAKE_OVER) as copy:
        for message in messages:
            *columns, payload = row_of(message)
            copy.write_row((serial, *columns, payload.decode()))
            died = max(died, message.died)
    if died:
        connection.execute(sql.KEEP_DEATHS_BELOW, (died, died))


def present(row: tuple[Any, ...] | None) -> tuple[Any, ...]:
    """A row that must be there."""
    assert row is not None
    return row

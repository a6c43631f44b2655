"""``sqlite:///path``: durable queues as two tables in a file that other rooms may share.

Every question a call asks is answered by a partial index, so that its cost does not depend on the
backlog. Writes of threads that wait for each other share one transaction, and so one fsync.
Payloads are stored as text: ``SELECT payload ->> '$.body' FROM queue_messages``.
"""

import secrets
import sqlite3
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import closing
from pathlib import Path
from typing import Any, NamedTuple

from holdfast.durable.files import Durability
from holdfast.durable.names import long_path
from holdfast.engines.sqlite import open_database, sqlite_errors, transaction
from holdfast.errors import NotFoundError, storage_errors
from holdfast.queues.store import MovedMessage, NewMessage, Reserved, Stats, StoredMessage
from holdfast.queues.stores.clock import ClockWatch
from holdfast.queues.stores.moving import EXPORTED, TAKEN_OVER, moved, row_of
from holdfast.queues.stores.receipts import (
    id_text,
    parse_id,
    parse_receipt,
    receipt_text,
    stale,
)
from holdfast.queues.stores.sqlite_access import (
    MIGRATIONS,
    ROOM,
    SqliteAccess,
    all_or_nothing,
)

_ALL = "FROM queue_messages WHERE queue = ?"
_IS_TIMED = "place IN ('delayed', 'leased')"
_BLOCKED = "\"group\" IS NOT NULL AND place <> 'dead' AND place = 'blocked'"
_TIMED = f"{_ALL} AND {_IS_TIMED}"
_SHOWN = "id, CAST(payload AS BLOB), attempts, at, held * leases, reason, given"
_PUT_PLAIN = (
    "INSERT INTO queue_messages (queue, place, rank, due, at, payload)"
    " VALUES (?, 'ready', 0, 0, ?, CAST(? AS TEXT))"
)
_PUT = (
    'INSERT INTO queue_messages (queue, place, rank, due, at, key, "group", position, id, payload)'
    " VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, CAST(? AS TEXT))"
)
_WITH_KEY = f"SELECT id {_ALL} AND key = ? AND place <> 'dead' LIMIT 1"
# AUTOINCREMENT goes on behind this number, so what is reserved is nobody else's.
_ENSURE_SEQUENCE = (
    "INSERT INTO sqlite_sequence (name, seq) SELECT 'queue_messages', 0"
    " WHERE NOT EXISTS (SELECT 1 FROM sqlite_sequence WHERE name = 'queue_messages')"
)
_RESERVE = "UPDATE sqlite_sequence SET seq = seq + ? WHERE name = 'queue_messages'"
_RESERVED = "SELECT seq FROM sqlite_sequence WHERE name = 'queue_messages'"
_GROUP_IN_PLAY = (
    f"SELECT 1 {_ALL} AND \"group\" = ? AND place <> 'dead'"
    " AND place IN ('ready', 'delayed', 'leased') LIMIT 1"
)
_FOLLOW = (
    "UPDATE queue_messages SET place = iif(due > 0, 'delayed', 'ready')"
    f' WHERE id = (SELECT id {_ALL} AND "group" = ? AND {_BLOCKED} ORDER BY id LIMIT 1)'
)
_SOMETHING = (
    f"SELECT EXISTS (SELECT 1 {_ALL} AND place = 'ready')"
    f" OR EXISTS (SELECT 1 {_TIMED} AND due <= ?)"
)
_DUE = f"SELECT 1 {_TIMED} AND due <= ? LIMIT 1"
_PROMOTE = (
    "UPDATE queue_messages SET place = 'ready'"
    " WHERE queue = ? AND place IN ('delayed', 'leased') AND due <= ?"
)
_SHORTEN = (
    "UPDATE queue_messages SET due = ? + lease"
    " WHERE queue = ? AND place = 'leased' AND place IN ('delayed', 'leased') AND due > ? + lease"
)
_READY = f"SELECT {_SHOWN}, leases, \"group\" {_ALL} AND place = 'ready' ORDER BY rank, id LIMIT ?"
_LEASE = (
    "UPDATE queue_messages SET place = 'leased', due = ?, lease = ?, attempts = attempts + 1,"
    " leases = leases + 1, held = 1 WHERE id = ?"
)
_HOLDER = "id = ? AND queue = ? AND leases = ? AND held = 1"
_BURY = (
    "UPDATE queue_messages SET place = 'dead', held = 0, reason = ?,"
    f" died = (SELECT coalesce(max(died), 0) + 1 {_ALL} AND place = 'dead') WHERE id = ?"
)
_COUNT = "SELECT count(*) FROM queue_messages WHERE queue = :queue AND"
_FIRST = "SELECT min(id) FROM queue_messages WHERE queue = :queue AND"
_STATS = f"""
SELECT ({_COUNT} place = 'ready') + ({_COUNT} {_IS_TIMED} AND due <= :now),
    ({_COUNT} {_IS_TIMED} AND due > :now AND place = 'delayed'),
    ({_COUNT} {_IS_TIMED} AND due > :now AND place = 'leased'),
    ({_COUNT} place = 'dead'),
    ({_COUNT} {_BLOCKED}),
    (SELECT paused FROM queues WHERE serial = :queue),
    (SELECT min(at) FROM queue_messages WHERE id IN (
        ({_FIRST} place = 'ready'), ({_FIRST} {_IS_TIMED}), ({_FIRST} {_BLOCKED})))
"""


_PAGE = 1000  # rows
_MOVED = EXPORTED.replace("payload", "CAST(payload AS BLOB)")
_EXPORT = f"SELECT {_MOVED} {_ALL} AND id > ? ORDER BY id LIMIT ?"
_TAKE_OVER = (
    f"INSERT INTO queue_messages (queue, {TAKEN_OVER})"
    " VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, CAST(? AS TEXT))"
)


def take_over_on(
    connection: sqlite3.Connection, serial: int, messages: Iterable[MovedMessage]
) -> None:
    """Put messages of another queue into the queue with the number `serial`."""
    connection.executemany(_TAKE_OVER, ((serial, *row_of(message)) for message in messages))


class _Holder(NamedTuple):
    """A message whose receipt is in force."""

    id: int
    attempts: int
    group: str | None


def queue_names(path: Path) -> list[str]:
    """The queues in the database at `path`, sorted; none when it is missing."""
    with storage_errors(path, "look for the database"):
        if not long_path(path).exists():
            return []
    with closing(open_database(path, room=ROOM, migrations=MIGRATIONS)) as connection:
        rows = connection.execute("SELECT name FROM queues WHERE topic IS NULL").fetchall()
    return sorted(name for (name,) in rows)


class SqliteQueueStore(SqliteAccess):
    """The queue `name` in the database at `path`, both made if missing."""

    def __init__(self, path: Path, name: str, *, durability: Durability = "process") -> None:
        self.name = name
        self._idle = False
        self._clock = ClockWatch()
        super().__init__(path, durability)

    def put(self, messages: Sequence[NewMessage], now: float) -> list[str]:
        return self._write(lambda connection: self._put(connection, messages, now))

    def take(self, limit: int, lease: float, max_attempts: int, now: float) -> list[StoredMessage]:
        self._after_fork()
        back = self._clock.stepped_back(now)
        # Who found nothing looks first, so that waiting takers do not keep the writers waiting.
        if self._idle and not back and not self._something(now):
            return []

        def take(connection: sqlite3.Connection) -> list[StoredMessage]:
            if back:
                connection.execute(_SHORTEN, (now, self._serial, now))
            return self._take(connection, limit, lease, max_attempts, now)

        taken = self._write(take)
        self._idle = not taken
        return taken

    def ack(self, receipts: Sequence[str], now: float) -> None:
        self._write(lambda connection: self.ack_on(connection, receipts, now))

    def ack_on(self, connection: sqlite3.Connection, receipts: Sequence[str], now: float) -> None:
        holders = [self._holder(connection, receipt) for receipt in dict.fromkeys(receipts)]
        for holder in holders:
            connection.execute("DELETE FROM queue_messages WHERE id = ?", (holder.id,))
            self._follow(connection, holder.group)

    def reserve(self, messages: Sequence[NewMessage]) -> tuple[list[str], Reserved]:
        def reserve(connection: sqlite3.Connection) -> tuple[list[int], Reserved]:
            known = [self._with_key(connection, message.key) for message in messages]
            fresh = [one for one, there in zip(messages, known, strict=True) if there is None]
            connection.execute(_ENSURE_SEQUENCE)
            connection.execute(_RESERVE, (len(fresh),))
            last = connection.execute(_RESERVED).fetchone()[0]
            numbers = range(last - len(fresh) + 1, last + 1)
            reserved = list(zip(numbers, fresh, strict=True))
            following = iter(numbers)
            return [next(following) if there is None else there for there in known], reserved

        numbers, reserved = self._write(reserve)
        return [id_text(self._id, number) for number in numbers], reserved

    def put_on(self, connection: sqlite3.Connection, messages: Reserved, now: float) -> None:
        for number, message in messages:
            self._put_one(connection, message, now, number)

    def nack(
        self, receipt: str, due: float, reason: str | None, max_attempts: int, now: float
    ) -> None:
        def give_back(connection: sqlite3.Connection) -> None:
            holder = self._holder(connection, receipt)
            if holder.attempts >= max_attempts:
                self._bury(connection, holder, reason or f"given back {holder.attempts} times")
                return
            connection.execute(
                "UPDATE queue_messages SET place = ?, due = ?, reason = ?, held = 0 WHERE id = ?",
                ("delayed" if due else "ready", due, reason, holder.id),
            )

        self._write(give_back)

    def release(self, receipts: Sequence[str], now: float) -> None:
        rows = [
            (number, self._serial, token)
            for number, token in (parse_receipt(receipt, self._id) for receipt in receipts)
        ]
        self._write(
            lambda connection: connection.executemany(
                "UPDATE queue_messages SET place = 'ready', held = 0, attempts = attempts - 1"
                f" WHERE {_HOLDER}",
                rows,
            )
        )

    def extend(self, receipt: str, lease: float, now: float) -> None:
        def extend(connection: sqlite3.Connection) -> None:
            holder = self._holder(connection, receipt)
            connection.execute(
                "UPDATE queue_messages SET place = 'leased', due = ?, lease = ? WHERE id = ?",
                (now + lease, lease, holder.id),
            )

        self._write(extend)

    def peek(self, limit: int, now: float) -> list[StoredMessage]:
        if self._read(_DUE, (self._serial, now)):
            self._write(lambda connection: self._promote(connection, now))
        return [self._stored(row) for row in self._read(_READY, (self._serial, limit))]

    def dead(self, limit: int) -> list[StoredMessage]:
        query = f"SELECT {_SHOWN} {_ALL} AND place = 'dead' ORDER BY died LIMIT ?"
        return [self._stored(row) for row in self._read(query, (self._serial, limit))]

    def requeue(self, ids: Sequence[str] | None, now: float) -> int:
        return self._write(lambda connection: self._requeue(connection, ids))

    def purge(self, keep: Callable[[Iterable[StoredMessage]], None], now: float) -> int:
        def purge(connection: sqlite3.Connection) -> int:
            rows = connection.execute(f"SELECT {_SHOWN} {_ALL} ORDER BY id", (self._serial,))
            keep(self._stored(row) for row in rows)
            return connection.execute(f"DELETE {_ALL}", (self._serial,)).rowcount

        return self._write(purge)

    def pause(self, paused: bool) -> None:
        self._write(
            lambda connection: connection.execute(
                "UPDATE queues SET paused = ? WHERE serial = ?", (paused, self._serial)
            )
        )

    def depth(self, limit: int) -> int:
        count = 0
        for place in ("place = 'ready'", _IS_TIMED, _BLOCKED):
            query = f"SELECT count(*) FROM (SELECT 1 {_ALL} AND {place} LIMIT ?)"
            count += self._read(query, (self._serial, limit - count))[0][0]
        return count

    def stats(self, now: float) -> Stats:
        ((ready, delayed, leased, dead, blocked, paused, oldest),) = self._read(
            _STATS, {"queue": self._serial, "now": now}
        )
        return Stats(
            ready=ready,
            delayed=delayed,
            leased=leased,
            dead=dead,
            paused=bool(paused),
            oldest_age=None if oldest is None else max(0.0, now - oldest),
            blocked=blocked,
        )

    def export(self, now: float) -> Iterator[MovedMessage]:
        dead = self._read(f"SELECT id {_ALL} AND place = 'dead' ORDER BY died", (self._serial,))
        ranks = {number: rank for rank, (number,) in enumerate(dead, 1)}
        after = 0
        while rows := self._read(_EXPORT, (self._serial, after, _PAGE)):
            for row in rows:
                yield moved(row, id_text(self._id, row[0]), ranks.get(row[0], 0), now)
            after = rows[-1][0]

    def take_over(self, messages: Iterable[MovedMessage], *, paused: bool) -> bool:
        def take_over(connection: sqlite3.Connection) -> bool:
            if connection.execute(f"SELECT 1 {_ALL} LIMIT 1", (self._serial,)).fetchone():
                return False
            with all_or_nothing(connection):
                take_over_on(connection, self._serial, messages)
            change = "UPDATE queues SET paused = ? WHERE serial = ?"
            connection.execute(change, (paused, self._serial))
            return True

        return self._write(take_over)

    def _identify(self) -> None:
        query = "SELECT serial, id FROM queues WHERE name = ?"
        with sqlite_errors(self.path):
            known = self._writer.execute(query, (self.name,)).fetchone()
            if known is None:
                with transaction(self._writer) as connection:
                    connection.execute(
                        "INSERT OR IGNORE INTO queues (name, id) VALUES (?, ?)",
                        (self.name, secrets.token_hex(4)),
                    )
                    known = connection.execute(query, (self.name,)).fetchone()
        self._serial, self._id = int(known[0]), str(known[1])

    def _put(
        self, connection: sqlite3.Connection, messages: Sequence[NewMessage], now: float
    ) -> list[str]:
        if all(message.plain for message in messages):
            rows = ((self._serial, now, message.payload) for message in messages)
            connection.executemany(_PUT_PLAIN, rows)
            last = connection.execute("SELECT last_insert_rowid()").fetchone()[0]
            first = last - len(messages) + 1  # nobody else inserts during this transaction
            return [id_text(self._id, number) for number in range(first, last + 1)]
        return [id_text(self._id, self._put_one(connection, one, now)) for one in messages]

    def _put_one(
        self,
        connection: sqlite3.Connection,
        message: NewMessage,
        now: float,
        number: int | None = None,
    ) -> int:
        """Put one message, under a `number` that was reserved for it; returns its number."""
        known = self._with_key(connection, message.key)
        if known is not None:
            return known
        place = "delayed" if message.due else "ready"
        place = self._place_in_group(connection, message.group, place)
        row = (self._serial, place, -message.priority, message.due, now, message.key, message.group)
        source = message.position or None
        put = connection.execute(_PUT, (*row, source, number, message.payload)).lastrowid
        assert put is not None
        return put

    def _with_key(self, connection: sqlite3.Connection, key: str | None) -> int | None:
        """The message that waits or is leased with this key."""
        if key is None:
            return None
        known = connection.execute(_WITH_KEY, (self._serial, key)).fetchone()
        return None if known is None else int(known[0])

    def _take(
        self,
        connection: sqlite3.Connection,
        limit: int,
        lease: float,
        max_attempts: int,
        now: float,
    ) -> list[StoredMessage]:
        paused = "SELECT paused FROM queues WHERE serial = ?"
        if connection.execute(paused, (self._serial,)).fetchone()[0]:
            return []
        self._promote(connection, now)
        taken: list[StoredMessage] = []
        while len(taken) < limit:
            ready = connection.execute(_READY, (self._serial, limit - len(taken))).fetchall()
            if not ready:
                break
            for number, payload, attempts, at, token, reason, given, leases, group in ready:
                if token and attempts >= max_attempts:
                    holder = _Holder(number, attempts, group)
                    self._bury(connection, holder, f"its lease ran out {attempts} times")
                    self._promote(connection, now)
                    break  # the next of its group may come before the others
                connection.execute(_LEASE, (now + lease, lease, number))
                row = (number, payload, attempts + 1, at, leases + 1, reason, given)
                taken.append(self._stored(row))
        return taken

    def _requeue(self, connection: sqlite3.Connection, ids: Sequence[str] | None) -> int:
        query = f"SELECT id, \"group\" {_ALL} AND place = 'dead'"
        if ids is None:
            doomed = connection.execute(f"{query} ORDER BY died", (self._serial,)).fetchall()
        else:
            doomed = []
            for id_ in ids:
                number = parse_id(id_, self._id) or 0
                which = (self._serial, number, id_)
                row = connection.execute(f"{query} AND (id = ? OR given = ?)", which).fetchone()
                if row is None:
                    raise NotFoundError(f"no dead letter has the id {id_!r}", path=self.path)
                doomed.append(row)
        for number, group in doomed:
            connection.execute(
                "UPDATE queue_messages SET place = ?, due = 0, attempts = 0, died = NULL"
                " WHERE id = ?",
                (self._place_in_group(connection, group, "ready"), number),
            )
        return len(doomed)

    def _promote(self, connection: sqlite3.Connection, now: float) -> None:
        if connection.execute(_DUE, (self._serial, now)).fetchone() is not None:
            connection.execute(_PROMOTE, (self._serial, now))

    def _bury(self, connection: sqlite3.Connection, holder: _Holder, reason: str) -> None:
        connection.execute(_BURY, (reason, self._serial, holder.id))
        self._follow(connection, holder.group)

    def _follow(self, connection: sqlite3.Connection, group: str | None) -> None:
        """The first message of `group` is out of play: the next one follows."""
        if group is not None:
            connection.execute(_FOLLOW, (self._serial, group))

    def _place_in_group(self, connection: sqlite3.Connection, group: str | None, place: str) -> str:
        if group is None:
            return place
        in_play = connection.execute(_GROUP_IN_PLAY, (self._serial, group)).fetchone()
        return place if in_play is None else "blocked"

    def _holder(self, connection: sqlite3.Connection, receipt: str) -> _Holder:
        number, token = parse_receipt(receipt, self._id)
        row = connection.execute(
            f'SELECT id, attempts, "group" FROM queue_messages WHERE {_HOLDER}',
            (number, self._serial, token),
        ).fetchone()
        if row is None:
            raise stale(receipt)
        return _Holder(*row)

    def _something(self, now: float) -> bool:
        return bool(self._read(_SOMETHING, (self._serial, self._serial, now))[0][0])

    def _stored(self, row: Sequence[Any]) -> StoredMessage:
        number, payload, attempts, at, token, reason, given = row[:7]
        receipt = receipt_text(self._id, number, token) if token else ""
        id_ = given or id_text(self._id, number)
        return StoredMessage(id_, payload, attempts, at, receipt, reason)

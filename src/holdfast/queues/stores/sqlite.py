"""``sqlite:///path``: durable queues as two tables in a file that other rooms may share.

Every question a call asks is answered by a partial index, so that its cost does not depend on the
backlog. Writes of threads that wait for each other share one transaction, and so one fsync.
Payloads are stored as text: ``SELECT payload ->> '$.body' FROM queue_messages``.
"""

import os
import secrets
import sqlite3
import threading
from collections.abc import Callable, Iterable, Sequence
from contextlib import closing
from pathlib import Path
from typing import Any, NamedTuple, TypeVar

from holdfast.durable.faults import fault_point
from holdfast.durable.files import Durability
from holdfast.durable.grouping import GroupCommit
from holdfast.durable.names import long_path
from holdfast.engines.sqlite import open_database, sqlite_errors, transaction
from holdfast.errors import NotFoundError, storage_errors
from holdfast.queues.store import NewMessage, Stats, StoredMessage
from holdfast.queues.stores.clock import ClockWatch
from holdfast.queues.stores.receipts import (
    id_text,
    parse_id,
    parse_receipt,
    receipt_text,
    stale,
)

_MIGRATIONS = (
    """
CREATE TABLE queues (
    serial INTEGER PRIMARY KEY,
    name TEXT NOT NULL UNIQUE,
    id TEXT NOT NULL,
    paused INTEGER NOT NULL DEFAULT 0
);
CREATE TABLE queue_messages (
    id INTEGER PRIMARY KEY AUTOINCREMENT,  -- never used twice: a receipt must not fit another
    queue INTEGER NOT NULL,
    place TEXT NOT NULL,             -- ready, delayed, leased, blocked (by its group) or dead
    rank INTEGER NOT NULL,           -- minus the priority
    due REAL NOT NULL,               -- when a delayed one is ready, when a lease ends
    at REAL NOT NULL,
    attempts INTEGER NOT NULL DEFAULT 0,
    leases INTEGER NOT NULL DEFAULT 0,  -- ever given, the number of the last one
    held INTEGER NOT NULL DEFAULT 0,    -- whether that one still counts
    lease REAL NOT NULL DEFAULT 0,      -- its seconds
    died INTEGER,                    -- the order of dying
    key TEXT,
    "group" TEXT,
    reason TEXT,
    payload TEXT NOT NULL
);
CREATE INDEX queue_ready ON queue_messages (queue, rank, id) WHERE place = 'ready';
CREATE INDEX queue_timed ON queue_messages (queue, due) WHERE place IN ('delayed', 'leased');
CREATE INDEX queue_dead ON queue_messages (queue, died) WHERE place = 'dead';
CREATE INDEX queue_keys ON queue_messages (queue, key) WHERE key IS NOT NULL AND place <> 'dead';
CREATE INDEX queue_groups ON queue_messages (queue, "group", place, id)
    WHERE "group" IS NOT NULL AND place <> 'dead';
""",
)

_ALL = "FROM queue_messages WHERE queue = ?"
_IS_TIMED = "place IN ('delayed', 'leased')"
_BLOCKED = "\"group\" IS NOT NULL AND place <> 'dead' AND place = 'blocked'"
_TIMED = f"{_ALL} AND {_IS_TIMED}"
_SHOWN = "id, CAST(payload AS BLOB), attempts, at, held * leases, reason"
_PUT_PLAIN = (
    "INSERT INTO queue_messages (queue, place, rank, due, at, payload)"
    " VALUES (?, 'ready', 0, 0, ?, CAST(? AS TEXT))"
)
_PUT = (
    'INSERT INTO queue_messages (queue, place, rank, due, at, key, "group", payload)'
    " VALUES (?, ?, ?, ?, ?, ?, ?, CAST(? AS TEXT))"
)
_WITH_KEY = f"SELECT id {_ALL} AND key = ? AND place <> 'dead' LIMIT 1"
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
_ROOM = "queues"

_Result = TypeVar("_Result")
_Work = Callable[[sqlite3.Connection], Any]


class _Outcome(NamedTuple):
    """What one call's part of a shared transaction came to."""

    result: Any
    error: Exception | None


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
    with closing(open_database(path, room=_ROOM, migrations=_MIGRATIONS)) as connection:
        rows = connection.execute("SELECT name FROM queues ORDER BY name").fetchall()
    return [name for (name,) in rows]


class SqliteQueueStore:
    """The queue `name` in the database at `path`, both made if missing."""

    def __init__(self, path: Path, name: str, *, durability: Durability = "process") -> None:
        self.path = path
        self.name = name
        self.durability = durability
        self._idle = False
        self._open()

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
        def forget(connection: sqlite3.Connection) -> None:
            holders = [self._holder(connection, receipt) for receipt in dict.fromkeys(receipts)]
            for holder in holders:
                connection.execute("DELETE FROM queue_messages WHERE id = ?", (holder.id,))
                self._follow(connection, holder.group)

        self._write(forget)

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

    def close(self) -> None:
        """Close the connections. Those opened by a parent process are the parent's."""
        if self._process == os.getpid():
            with sqlite_errors(self.path):
                self._reader.close()
                self._writer.close()

    def _open(self) -> None:
        self._process = os.getpid()
        self._clock = ClockWatch()
        self._reading = threading.Lock()
        self._group: GroupCommit[_Work, _Outcome] = GroupCommit(self._commit)
        self._writer = self._connect()
        try:
            # A second connection: what a reader sees is committed, whatever the writer is doing.
            self._reader = self._connect()
            self._serial: int
            self._id: str
            self._serial, self._id = self._identity()
        except BaseException:
            self._writer.close()
            raise

    def _connect(self) -> sqlite3.Connection:
        return open_database(
            self.path, room=_ROOM, migrations=_MIGRATIONS, durability=self.durability
        )

    def _identity(self) -> tuple[int, str]:
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
        return int(known[0]), str(known[1])

    def _after_fork(self) -> None:
        """A forked child must not touch its parent's connections, not even close them."""
        if os.getpid() != self._process:
            _parents.append((self._reader, self._writer))
            self._open()

    def _write(self, work: Callable[[sqlite3.Connection], _Result]) -> _Result:
        """Run `work` in a write transaction, committed on return; it checks before it changes."""
        self._after_fork()
        outcome = self._group.ask(work)
        if outcome.error is not None:
            raise outcome.error
        result: _Result = outcome.result
        return result

    def _commit(self, group: Sequence[_Work]) -> list[_Outcome]:
        outcomes = []
        with sqlite_errors(self.path):
            with transaction(self._writer) as connection:
                for work in group:
                    try:
                        outcomes.append(_Outcome(work(connection), None))
                    except sqlite3.Error:
                        raise
                    except Exception as error:  # one call's own: the others go on
                        outcomes.append(_Outcome(None, error))
                fault_point("queue.sqlite.written")
            fault_point("queue.sqlite.committed")
        return outcomes

    def _read(self, query: str, parameters: Sequence[Any] | dict[str, Any]) -> list[Any]:
        self._after_fork()
        with sqlite_errors(self.path), self._reading:
            return self._reader.execute(query, parameters).fetchall()

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

    def _put_one(self, connection: sqlite3.Connection, message: NewMessage, now: float) -> int:
        if message.key is not None:
            known = connection.execute(_WITH_KEY, (self._serial, message.key)).fetchone()
            if known is not None:
                return int(known[0])
        place = "delayed" if message.due else "ready"
        place = self._place_in_group(connection, message.group, place)
        row = (self._serial, place, -message.priority, message.due, now, message.key, message.group)
        number = connection.execute(_PUT, (*row, message.payload)).lastrowid
        assert number is not None
        return number

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
            for number, payload, attempts, at, token, reason, leases, group in ready:
                if token and attempts >= max_attempts:
                    holder = _Holder(number, attempts, group)
                    self._bury(connection, holder, f"its lease ran out {attempts} times")
                    self._promote(connection, now)
                    break  # the next of its group may come before the others
                connection.execute(_LEASE, (now + lease, lease, number))
                row = (number, payload, attempts + 1, at, leases + 1, reason)
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
                row = connection.execute(f"{query} AND id = ?", (self._serial, number)).fetchone()
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
        number, payload, attempts, at, token, reason = row[:6]
        receipt = receipt_text(self._id, number, token) if token else ""
        return StoredMessage(id_text(self._id, number), payload, attempts, at, receipt, reason)


_parents: list[tuple[sqlite3.Connection, ...]] = []
"""Connections of a parent process, kept here so that they are never closed in the child."""

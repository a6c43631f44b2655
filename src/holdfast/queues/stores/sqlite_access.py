"""What the queues and topics of one SQLite file have in common: tables, connections, commits."""

import os
import sqlite3
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple, TypeVar

from holdfast.durable.faults import fault_point
from holdfast.durable.files import Durability
from holdfast.durable.grouping import GroupCommit
from holdfast.engines.sqlite import open_database, sqlite_errors, transaction

ROOM = "queues"

MIGRATIONS = (
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
    """
CREATE TABLE queue_topics (
    serial INTEGER PRIMARY KEY,
    name TEXT NOT NULL UNIQUE,
    trimmed INTEGER NOT NULL DEFAULT 0,  -- entries up to there are forgotten
    last INTEGER NOT NULL DEFAULT 0,
    settings TEXT
);
CREATE TABLE queue_log (
    topic INTEGER NOT NULL,
    position INTEGER NOT NULL,
    at REAL NOT NULL,
    payload TEXT NOT NULL,
    PRIMARY KEY (topic, position)
) WITHOUT ROWID;
ALTER TABLE queues ADD COLUMN topic INTEGER;      -- of a subscription
ALTER TABLE queues ADD COLUMN position INTEGER;   -- up to where it was fed
ALTER TABLE queue_messages ADD COLUMN position INTEGER;
CREATE INDEX queue_fed ON queue_messages (queue, position) WHERE position IS NOT NULL;
CREATE INDEX queue_subscriptions ON queues (topic, position) WHERE topic IS NOT NULL;
""",
    "ALTER TABLE queue_messages ADD COLUMN given TEXT;  -- its id on the engine it came from",
)

_Result = TypeVar("_Result")
_Work = Callable[[sqlite3.Connection], Any]


class _Outcome(NamedTuple):
    """What one call's part of a shared transaction came to."""

    result: Any
    error: Exception | None


class SqliteAccess:
    """A writer and a reader on the database at `path`; safe between threads, and after a fork.

    Writes of threads that wait for each other share one transaction.
    """

    def __init__(self, path: Path, durability: Durability) -> None:
        self.path = path
        self.durability = durability
        self._open()

    def _identify(self) -> None:
        """Find what this object stands for, on the writer."""
        raise NotImplementedError

    def close(self) -> None:
        """Close the connections. Those opened by a parent process are the parent's."""
        if self._process == os.getpid():
            with sqlite_errors(self.path):
                self._reader.close()
                self._writer.close()

    def _open(self) -> None:
        self._process = os.getpid()
        self._reading = threading.Lock()
        self._group: GroupCommit[_Work, _Outcome] = GroupCommit(self._commit)
        self._writer = self._connect()
        try:
            # A second connection: what a reader sees is committed, whatever the writer is doing.
            self._reader = self._connect()
            self._identify()
        except BaseException:
            self._writer.close()
            raise

    def _connect(self) -> sqlite3.Connection:
        return open_database(
            self.path, room=ROOM, migrations=MIGRATIONS, durability=self.durability
        )

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


_parents: list[tuple[sqlite3.Connection, ...]] = []
"""Connections of a parent process, kept here so that they are never closed in the child."""


@contextmanager
def all_or_nothing(connection: sqlite3.Connection) -> Iterator[None]:
    """For a call that finds out only while it writes: in a shared transaction, its own part."""
    connection.execute("SAVEPOINT own")
    try:
        yield
    except BaseException:
        connection.execute("ROLLBACK TO own")
        raise
    finally:
        connection.execute("RELEASE own")

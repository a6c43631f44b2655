"""Workflow state in SQLite: tables of its own in a file that other rooms may share.

Bodies are stored as text, so that ``sqlite3`` with ``json_extract`` reads them as they are.
"""

import json
import sqlite3
import threading
from collections.abc import Callable, Collection, Mapping, Sequence
from pathlib import Path
from typing import Any, TypeVar

from holdfast.durable.files import Durability
from holdfast.engines.identity import database_identity
from holdfast.engines.outbox import Outbox
from holdfast.engines.sqlite import open_database, sqlite_errors
from holdfast.engines.urls import url_for
from holdfast.workflows.store import RunRow
from holdfast.workflows.stores.group_commit import GroupCommit

Answer = TypeVar("Answer")

_MIGRATIONS = (
    """
CREATE TABLE workflow_runs (
    serial INTEGER PRIMARY KEY,
    id TEXT NOT NULL UNIQUE,
    name TEXT NOT NULL,
    status TEXT NOT NULL,
    created INTEGER NOT NULL,
    finished INTEGER,
    owner TEXT,
    epoch INTEGER NOT NULL,
    body TEXT NOT NULL,
    outcome TEXT
);
CREATE INDEX workflow_runs_unfinished ON workflow_runs (serial) WHERE finished IS NULL;
CREATE TABLE workflow_steps (
    run INTEGER NOT NULL,
    position INTEGER NOT NULL,
    body TEXT NOT NULL,
    PRIMARY KEY (run, position)
) WITHOUT ROWID;
CREATE TABLE workflow_owners (owner TEXT PRIMARY KEY, body TEXT NOT NULL) WITHOUT ROWID;
""",
    """
ALTER TABLE workflow_runs ADD COLUMN due INTEGER;
ALTER TABLE workflow_runs ADD COLUMN priority INTEGER NOT NULL DEFAULT 0;
ALTER TABLE workflow_runs ADD COLUMN signals INTEGER NOT NULL DEFAULT 0;
CREATE INDEX workflow_runs_ready ON workflow_runs (priority DESC, serial)
    WHERE finished IS NULL AND owner IS NULL AND due IS NULL;
CREATE INDEX workflow_runs_due ON workflow_runs (due)
    WHERE finished IS NULL AND owner IS NULL AND due IS NOT NULL;
CREATE TABLE workflow_signals (
    run INTEGER NOT NULL,
    number INTEGER NOT NULL,
    body TEXT NOT NULL,
    PRIMARY KEY (run, number)
) WITHOUT ROWID;
CREATE TABLE workflow_blobs (digest TEXT PRIMARY KEY, data TEXT NOT NULL);
CREATE TABLE workflow_blob_uses (
    digest TEXT NOT NULL,
    run INTEGER NOT NULL,
    PRIMARY KEY (digest, run)
) WITHOUT ROWID;
CREATE INDEX workflow_blob_uses_by_run ON workflow_blob_uses (run);
""",
    "CREATE TABLE workflow_notes (name TEXT PRIMARY KEY, body TEXT NOT NULL) WITHOUT ROWID;",
)

_CREATE = (
    "INSERT OR IGNORE INTO workflow_runs"
    " (id, name, status, created, owner, epoch, body, due, priority)"
    " VALUES (?, ?, ?, ?, ?, ?, CAST(? AS TEXT), ?, ?)"
)
_FORK_STEPS = (
    "INSERT INTO workflow_steps SELECT new.serial, position, steps.body"
    " FROM workflow_steps AS steps, workflow_runs AS new, workflow_runs AS old"
    " WHERE new.id = ? AND old.id = ? AND steps.run = old.serial AND position < ?"
)
_FORK_SIGNALS = (
    "INSERT INTO workflow_signals SELECT new.serial, number, sent.body"
    " FROM workflow_signals AS sent, workflow_runs AS new, workflow_runs AS old"
    " WHERE new.id = ? AND old.id = ? AND sent.run = old.serial"
)
_FORK_COUNT = (
    "UPDATE workflow_runs SET signals ="
    " (SELECT count(*) FROM workflow_signals WHERE run = workflow_runs.serial) WHERE id = ?"
)
_FORK_BLOBS = (
    "INSERT INTO workflow_blob_uses SELECT digest, new.serial"
    " FROM workflow_blob_uses AS uses, workflow_runs AS new, workflow_runs AS old"
    " WHERE new.id = ? AND old.id = ? AND uses.run = old.serial"
)
_PUT = (
    "INSERT OR IGNORE INTO workflow_runs (id, name, status, created, body, owner, epoch, finished,"
    " outcome, serial, due, priority, signals)"
    " VALUES (?, ?, ?, ?, CAST(? AS TEXT), ?, ?, ?, CAST(? AS TEXT), ?, ?, ?, ?)"
)
_PUT_STEP = "INSERT INTO workflow_steps VALUES (?, ?, CAST(? AS TEXT))"
_PUT_SIGNAL = "INSERT INTO workflow_signals VALUES (?, ?, CAST(? AS TEXT))"
_PUT_USE = "INSERT INTO workflow_blob_uses VALUES (?, ?)"
_ROW = (
    "SELECT id, name, status, created, CAST(body AS BLOB), owner, epoch, finished,"
    " CAST(outcome AS BLOB), serial, due, priority, signals FROM workflow_runs"
)
_READY = (
    f"SELECT * FROM ({_ROW} WHERE finished IS NULL AND owner IS NULL AND due IS NULL"  # noqa: S608
    " ORDER BY priority DESC, serial LIMIT :limit)"
    f" UNION ALL {_ROW} WHERE finished IS NULL AND owner IS NULL AND due <= :now"
    " ORDER BY priority DESC, serial LIMIT :limit"
)
_CLAIM = (
    "UPDATE workflow_runs SET owner = ?, epoch = epoch + 1, status = ?, due = ?"
    " WHERE id = ? AND epoch = ? AND finished IS NULL AND signals = coalesce(?, signals)"
)
_REOPEN = (
    "UPDATE workflow_runs SET epoch = epoch + 1, status = ?, finished = NULL, outcome = NULL,"
    " due = NULL WHERE id = ? AND epoch = ? AND finished IS NOT NULL"
)
_SIGNALLED = (
    "UPDATE workflow_runs SET signals = signals + 1, due = CASE WHEN owner IS NULL THEN NULL"
    " ELSE due END WHERE id = ? AND finished IS NULL"
)
_SIGNAL = (
    "INSERT INTO workflow_signals"
    " SELECT serial, signals, CAST(? AS TEXT) FROM workflow_runs WHERE id = ?"
)
_SIGNALS = (
    "SELECT number, CAST(body AS BLOB) FROM workflow_signals"
    " WHERE run = (SELECT serial FROM workflow_runs WHERE id = ?) AND number > ? ORDER BY number"
)
_DROP = (
    "DELETE FROM workflow_steps WHERE position = ?"
    " AND run = (SELECT serial FROM workflow_runs WHERE id = ?)"
)
_SAVE_BLOB = "INSERT OR IGNORE INTO workflow_blobs VALUES (?, CAST(? AS TEXT))"
_USE_BLOB = (
    "INSERT OR IGNORE INTO workflow_blob_uses SELECT ?, serial FROM workflow_runs WHERE id = ?"
)
_NEW_NOTE = "INSERT OR IGNORE INTO workflow_notes VALUES (?, CAST(? AS TEXT))"
_SWAP_NOTE = (
    "UPDATE workflow_notes SET body = CAST(? AS TEXT) WHERE name = ? AND body = CAST(? AS TEXT)"
)
_UNUSED = "DELETE FROM workflow_blobs WHERE digest NOT IN (SELECT digest FROM workflow_blob_uses)"
_REMEMBERED = 10_000  # runs whose serial is kept
# By serial, which this store remembers of a run: one search less than by id.
_RECORD = (
    "INSERT OR IGNORE INTO workflow_steps (run, position, body)"
    " SELECT serial, ?, CAST(? AS TEXT) FROM workflow_runs"
    " WHERE serial = ? AND id = ? AND epoch = ? AND finished IS NULL"
)
_FINISH = (
    "UPDATE workflow_runs SET owner = NULL, status = ?, outcome = CAST(? AS TEXT), finished = ?"
    " WHERE serial = ? AND id = ? AND epoch = ? AND finished IS NULL"
)
_STEPS = (
    "SELECT position, CAST(body AS BLOB) FROM workflow_steps"
    " WHERE run = (SELECT serial FROM workflow_runs WHERE id = ?) AND position > ?"
    " ORDER BY position LIMIT ?"
)
_FINISHED = (
    "SELECT serial, id FROM workflow_runs WHERE finished < ? AND finished IS NOT NULL"
    " AND id NOT IN (SELECT value FROM json_each(?)) ORDER BY serial LIMIT ?"
)


class SqliteStore:
    """See `holdfast.workflows.store.WorkflowStore`. Many processes may open the same file."""

    shared_by_hosts = False

    def __init__(self, path: Path, *, durability: Durability = "process") -> None:
        self._path = path
        self._writer = GroupCommit(self._open(durability))
        # A second connection: what a reader sees is committed, whatever the writer is doing.
        try:
            self._reader = self._open(durability)
        except BaseException:
            self._writer.close()
            raise
        self._reading = threading.Lock()
        self._serials: dict[str, int] = {}
        self.database = database_identity(url_for("sqlite", path))

    def create_run(
        self,
        run: RunRow,
        *,
        fork: tuple[str, int] | None = None,
        outbox: Outbox | None = None,
    ) -> RunRow | None:
        columns = (
            *(run.id, run.name, run.status, run.created, run.owner, run.epoch),
            *(run.body, run.due, run.priority),
        )

        def create(connection: sqlite3.Connection) -> sqlite3.Cursor:
            created = connection.execute(_CREATE, columns)
            if created.rowcount > 0 and fork is not None:
                connection.execute(_FORK_STEPS, (run.id, *fork))
                connection.execute(_FORK_SIGNALS, (run.id, fork[0]))
                connection.execute(_FORK_COUNT, (run.id,))
                connection.execute(_FORK_BLOBS, (run.id, fork[0]))
            if created.rowcount > 0 and outbox is not None:
                outbox.deliver(connection)
            return created

        plain = fork is None and outbox is None
        cursor = self._write(_CREATE, columns) if plain else self._change(create)
        if cursor.rowcount == 0:
            return self.read_run(run.id)
        self._remember(run.id, cursor.lastrowid)
        return None

    def deliver(self, outbox: Outbox) -> None:
        self._change(outbox.deliver)

    def read_run(self, run_id: str) -> RunRow | None:
        rows = self._read(f"{_ROW} WHERE id = ?", (run_id,))
        return RunRow(*rows[0]) if rows else None

    def list_runs(
        self,
        *,
        status: str | None = None,
        name: str | None = None,
        unfinished: bool = False,
        since: int | None = None,
        until: int | None = None,
        containing: bytes | None = None,
        before: int | None = None,
        limit: int = 100,
    ) -> list[RunRow]:
        wanted = {
            "status = ?": status,
            "name = ?": name,
            "created >= ?": since,
            "created < ?": until,
            "instr(CAST(body AS BLOB), ?)": containing,
            "serial < ?": before,
        }
        given = {condition: value for condition, value in wanted.items() if value is not None}
        conditions = [*given, *(["finished IS NULL"] if unfinished else [])]
        where = f" WHERE {' AND '.join(conditions)}" if conditions else ""
        query = f"{_ROW}{where} ORDER BY serial DESC LIMIT ?"
        return [RunRow(*row) for row in self._read(query, (*given.values(), limit))]

    def count_runs(self) -> Mapping[str, int]:
        return dict(self._read("SELECT status, count(*) FROM workflow_runs GROUP BY status", ()))

    def ready_runs(self, *, now: int, limit: int) -> list[RunRow]:
        return [RunRow(*row) for row in self._read(_READY, {"now": now, "limit": limit})]

    def claim_run(
        self,
        run_id: str,
        *,
        epoch: int,
        owner: str | None,
        status: str = "running",
        due: int | None = None,
        signals: int | None = None,
    ) -> bool:
        self._serials.pop(run_id, None)  # the id may be another run's by now
        return self._write(_CLAIM, (owner, status, due, run_id, epoch, signals)).rowcount > 0

    def record_step(
        self,
        run_id: str,
        *,
        epoch: int,
        position: int,
        body: bytes,
        outbox: Outbox | None = None,
    ) -> bool:
        columns = (position, body, self._serial_of(run_id), run_id, epoch)
        if outbox is None:
            return self._write(_RECORD, columns).rowcount > 0

        def record(connection: sqlite3.Connection) -> bool:
            recorded = connection.execute(_RECORD, columns).rowcount > 0
            if recorded:
                outbox.deliver(connection)
            return recorded

        return self._change(record)

    def read_steps(self, run_id: str, *, after: int, limit: int) -> Sequence[tuple[int, bytes]]:
        return self._read(_STEPS, (run_id, after, limit))

    def finish_run(
        self, run_id: str, *, epoch: int, status: str, outcome: bytes, finished: int
    ) -> bool:
        columns = (status, outcome, finished, self._serial_of(run_id), run_id, epoch)
        finished_now = self._write(_FINISH, columns).rowcount > 0
        self._serials.pop(run_id, None)
        return finished_now

    def reopen_run(self, run_id: str, *, epoch: int, status: str, drop: Sequence[int]) -> bool:
        def reopen(connection: sqlite3.Connection) -> bool:
            reopened = connection.execute(_REOPEN, (status, run_id, epoch)).rowcount > 0
            if reopened:
                connection.executemany(_DROP, [(position, run_id) for position in drop])
            return reopened

        return self._change(reopen)

    def add_signal(self, run_id: str, body: bytes) -> bool:
        def add(connection: sqlite3.Connection) -> bool:
            added = connection.execute(_SIGNALLED, (run_id,)).rowcount > 0
            if added:
                connection.execute(_SIGNAL, (body, run_id))
            return added

        return self._change(add)

    def read_signals(self, run_id: str, *, after: int) -> Sequence[tuple[int, bytes]]:
        return self._read(_SIGNALS, (run_id, after))

    def save_blob(self, run_id: str, digest: str, data: bytes) -> None:
        def save(connection: sqlite3.Connection) -> None:
            connection.execute(_SAVE_BLOB, (digest, data))
            connection.execute(_USE_BLOB, (digest, run_id))

        self._change(save)

    def read_blob(self, digest: str) -> bytes | None:
        query = "SELECT CAST(data AS BLOB) FROM workflow_blobs WHERE digest = ?"
        rows = self._read(query, (digest,))
        return rows[0][0] if rows else None

    def delete_runs(
        self, *, finished_before: int, limit: int, keep: Collection[str] = ()
    ) -> list[str]:
        def delete(connection: sqlite3.Connection) -> list[str]:
            kept = json.dumps(list(keep))
            doomed = connection.execute(_FINISHED, (finished_before, kept, limit)).fetchall()
            serials = [(serial,) for serial, _ in doomed]
            for table in ("workflow_steps", "workflow_signals", "workflow_blob_uses"):
                connection.executemany(f"DELETE FROM {table} WHERE run = ?", serials)  # noqa: S608
            connection.executemany("DELETE FROM workflow_runs WHERE serial = ?", serials)
            if doomed:
                connection.execute(_UNUSED)
            return [run_id for _, run_id in doomed]

        return self._change(delete)

    def save_owner(self, owner: str, body: bytes) -> None:
        self._write(
            "INSERT OR REPLACE INTO workflow_owners VALUES (?, CAST(? AS TEXT))", (owner, body)
        )

    def read_owners(self) -> Mapping[str, bytes]:
        return dict(self._read("SELECT owner, CAST(body AS BLOB) FROM workflow_owners", ()))

    def remove_owner(self, owner: str) -> None:
        self._write("DELETE FROM workflow_owners WHERE owner = ?", (owner,))

    def read_note(self, name: str) -> bytes | None:
        query = "SELECT CAST(body AS BLOB) FROM workflow_notes WHERE name = ?"
        rows = self._read(query, (name,))
        return rows[0][0] if rows else None

    def swap_note(self, name: str, before: bytes | None, after: bytes) -> bool:
        if before is None:
            return self._write(_NEW_NOTE, (name, after)).rowcount > 0
        return self._write(_SWAP_NOTE, (after, name, before)).rowcount > 0

    def put_run(
        self,
        run: RunRow,
        steps: Sequence[tuple[int, bytes]],
        signals: Sequence[tuple[int, bytes]],
        blobs: Collection[str],
    ) -> bool:
        def put(connection: sqlite3.Connection) -> bool:
            if connection.execute(_PUT, run[:13]).rowcount == 0:
                return False
            connection.executemany(_PUT_STEP, [(run.serial, *step) for step in steps])
            connection.executemany(_PUT_SIGNAL, [(run.serial, *signal) for signal in signals])
            connection.executemany(_PUT_USE, [(digest, run.serial) for digest in blobs])
            return True

        return self._change(put)

    def note_names(self) -> list[str]:
        rows = self._read("SELECT name FROM workflow_notes ORDER BY name", ())
        return [name for (name,) in rows]

    def close(self) -> None:
        with self._reading:
            self._reader.close()
        self._writer.close()

    def _open(self, durability: Durability) -> sqlite3.Connection:
        return open_database(
            self._path, room="workflows", migrations=_MIGRATIONS, durability=durability
        )

    def _serial_of(self, run_id: str) -> int | None:
        serial = self._serials.get(run_id)
        if serial is None:
            rows = self._read("SELECT serial FROM workflow_runs WHERE id = ?", (run_id,))
            serial = rows[0][0] if rows else None
            self._remember(run_id, serial)
        return serial

    def _remember(self, run_id: str, serial: int | None) -> None:
        if len(self._serials) >= _REMEMBERED:
            self._serials.clear()
        if serial is not None:
            self._serials[run_id] = serial

    def _write(self, statement: str, parameters: Sequence[Any]) -> sqlite3.Cursor:
        try:
            return self._writer.write(statement, parameters)
        except sqlite3.Error as error:
            with sqlite_errors(self._path):
                raise error

    def _change(self, work: Callable[[sqlite3.Connection], Answer]) -> Answer:
        with sqlite_errors(self._path):
            return self._writer.change(work)

    def _read(self, query: str, parameters: Sequence[Any] | dict[str, Any]) -> list[Any]:
        with sqlite_errors(self._path), self._reading:
            return self._reader.execute(query, parameters).fetchall()

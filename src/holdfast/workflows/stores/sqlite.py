"""Workflow state in SQLite: three tables of its own in a file that other rooms may share.

Bodies are stored as text, so that ``sqlite3`` with ``json_extract`` reads them as they are.
"""

import sqlite3
import threading
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from holdfast.durable.files import Durability
from holdfast.engines.sqlite import open_database, sqlite_errors, transaction
from holdfast.workflows.store import RunRow
from holdfast.workflows.stores.group_commit import GroupCommit

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
)

_CREATE = (
    "INSERT OR IGNORE INTO workflow_runs (id, name, status, created, owner, epoch, body)"
    " VALUES (?, ?, ?, ?, ?, ?, CAST(? AS TEXT))"
)
_ROW = (
    "SELECT id, name, status, created, CAST(body AS BLOB), owner, epoch, finished,"
    " CAST(outcome AS BLOB), serial FROM workflow_runs"
)
_CLAIM = (
    "UPDATE workflow_runs SET owner = ?, epoch = epoch + 1"
    " WHERE id = ? AND epoch = ? AND finished IS NULL"
)
_RECORD = (
    "INSERT OR IGNORE INTO workflow_steps (run, position, body)"
    " SELECT serial, ?, CAST(? AS TEXT) FROM workflow_runs"
    " WHERE id = ? AND epoch = ? AND finished IS NULL"
)
_FINISH = (
    "UPDATE workflow_runs SET owner = NULL, status = ?, outcome = CAST(? AS TEXT), finished = ?"
    " WHERE id = ? AND epoch = ? AND finished IS NULL"
)
_STEPS = (
    "SELECT position, CAST(body AS BLOB) FROM workflow_steps"
    " WHERE run = (SELECT serial FROM workflow_runs WHERE id = ?) AND position > ?"
    " ORDER BY position LIMIT ?"
)
_FINISHED = (
    "SELECT serial, id FROM workflow_runs WHERE finished < ? AND finished IS NOT NULL"
    " ORDER BY serial LIMIT ?"
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

    def create_run(self, run: RunRow) -> RunRow | None:
        columns = (run.id, run.name, run.status, run.created, run.owner, run.epoch, run.body)
        return None if self._write(_CREATE, columns) else self.read_run(run.id)

    def read_run(self, run_id: str) -> RunRow | None:
        rows = self._read(f"{_ROW} WHERE id = ?", (run_id,))
        return RunRow(*rows[0]) if rows else None

    def list_runs(
        self,
        *,
        status: str | None = None,
        name: str | None = None,
        unfinished: bool = False,
        before: int | None = None,
        limit: int = 100,
    ) -> list[RunRow]:
        wanted = {"status = ?": status, "name = ?": name, "serial < ?": before}
        given = {condition: value for condition, value in wanted.items() if value is not None}
        conditions = [*given, *(["finished IS NULL"] if unfinished else [])]
        where = f" WHERE {' AND '.join(conditions)}" if conditions else ""
        query = f"{_ROW}{where} ORDER BY serial DESC LIMIT ?"
        return [RunRow(*row) for row in self._read(query, (*given.values(), limit))]

    def count_runs(self) -> Mapping[str, int]:
        return dict(self._read("SELECT status, count(*) FROM workflow_runs GROUP BY status", ()))

    def claim_run(self, run_id: str, *, epoch: int, owner: str | None) -> bool:
        return self._write(_CLAIM, (owner, run_id, epoch))

    def record_step(self, run_id: str, *, epoch: int, position: int, body: bytes) -> bool:
        return self._write(_RECORD, (position, body, run_id, epoch))

    def read_steps(self, run_id: str, *, after: int, limit: int) -> Sequence[tuple[int, bytes]]:
        return self._read(_STEPS, (run_id, after, limit))

    def finish_run(
        self, run_id: str, *, epoch: int, status: str, outcome: bytes, finished: int
    ) -> bool:
        return self._write(_FINISH, (status, outcome, finished, run_id, epoch))

    def delete_runs(self, *, finished_before: int, limit: int) -> list[str]:
        with sqlite_errors(self._path), self._reading, transaction(self._reader) as connection:
            doomed = connection.execute(_FINISHED, (finished_before, limit)).fetchall()
            serials = [(serial,) for serial, _ in doomed]
            connection.executemany("DELETE FROM workflow_steps WHERE run = ?", serials)
            connection.executemany("DELETE FROM workflow_runs WHERE serial = ?", serials)
        return [run_id for _, run_id in doomed]

    def save_owner(self, owner: str, body: bytes) -> None:
        self._write(
            "INSERT OR REPLACE INTO workflow_owners VALUES (?, CAST(? AS TEXT))", (owner, body)
        )

    def read_owners(self) -> Mapping[str, bytes]:
        return dict(self._read("SELECT owner, CAST(body AS BLOB) FROM workflow_owners", ()))

    def remove_owner(self, owner: str) -> None:
        self._write("DELETE FROM workflow_owners WHERE owner = ?", (owner,))

    def close(self) -> None:
        with self._reading:
            self._reader.close()
        self._writer.close()

    def _open(self, durability: Durability) -> sqlite3.Connection:
        return open_database(
            self._path, room="workflows", migrations=_MIGRATIONS, durability=durability
        )

    def _write(self, statement: str, parameters: Sequence[Any]) -> bool:
        try:
            return self._writer.write(statement, parameters) > 0
        except sqlite3.Error as error:
            with sqlite_errors(self._path):
                raise error

    def _read(self, query: str, parameters: Sequence[Any]) -> list[Any]:
        with sqlite_errors(self._path), self._reading:
            return self._reader.execute(query, parameters).fetchall()

"""Workflow state in PostgreSQL: tables in the schema ``holdfast``, shared by many machines.

Bodies are stored as bytes. Each change of a run locks its row, so that what a fenced owner writes
after its run was claimed is refused, however the two meet.
"""

from collections.abc import Collection, Mapping, Sequence
from typing import Any, LiteralString

from holdfast.durable.files import Durability
from holdfast.engines.identity import database_identity
from holdfast.engines.outbox import Outbox
from holdfast.engines.postgres import Postgres
from holdfast.engines.urls import EngineUrl
from holdfast.workflows.store import RunRow

_MIGRATIONS = (
    """
CREATE TABLE workflow_runs (
    serial bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    id text NOT NULL UNIQUE,
    name text NOT NULL,
    status text NOT NULL,
    created bigint NOT NULL,
    body bytea NOT NULL,
    owner text,
    epoch bigint NOT NULL,
    finished bigint,
    outcome bytea,
    due bigint,
    priority integer NOT NULL,
    signals integer NOT NULL DEFAULT 0
) WITH (fillfactor = 70);
CREATE INDEX workflow_runs_unfinished ON workflow_runs (serial) WHERE finished IS NULL;
CREATE INDEX workflow_runs_ready ON workflow_runs (priority DESC, serial)
    WHERE finished IS NULL AND owner IS NULL AND due IS NULL;
CREATE INDEX workflow_runs_due ON workflow_runs (due)
    WHERE finished IS NULL AND owner IS NULL AND due IS NOT NULL;
CREATE TABLE workflow_steps (
    run bigint NOT NULL,
    position bigint NOT NULL,
    body bytea NOT NULL,
    PRIMARY KEY (run, position)
);
CREATE TABLE workflow_signals (
    run bigint NOT NULL,
    number integer NOT NULL,
    body bytea NOT NULL,
    PRIMARY KEY (run, number)
);
CREATE TABLE workflow_blobs (digest text PRIMARY KEY, data bytea NOT NULL);
CREATE TABLE workflow_blob_uses (
    digest text NOT NULL,
    run bigint NOT NULL,
    PRIMARY KEY (digest, run)
);
CREATE INDEX workflow_blob_uses_by_run ON workflow_blob_uses (run);
CREATE TABLE workflow_owners (owner text PRIMARY KEY, body bytea NOT NULL);
""",
    "CREATE TABLE workflow_notes (name text PRIMARY KEY, body bytea NOT NULL);",
)

_COLUMNS: LiteralString = (
    "id, name, status, created, body, owner, epoch, finished, outcome, serial, due, priority,"
    " signals"
)
# pg_advisory_xact_lock: whoever adds a use of a blob shares it, who removes unused ones has it.
_BLOBS_LOCK = 0x626C6F62  # "blob"
_CREATE: LiteralString = (
    "INSERT INTO workflow_runs (id, name, status, created, owner, epoch, body, due, priority)"
    " VALUES (%s, %s, %s, %s, %s, %s, %b, %s, %s) ON CONFLICT (id) DO NOTHING RETURNING serial"
)
_FORK: tuple[LiteralString, ...] = (
    "INSERT INTO workflow_steps SELECT %(new)s, position, body FROM workflow_steps"
    " WHERE run = (SELECT serial FROM workflow_runs WHERE id = %(old)s) AND position < %(end)s",
    "INSERT INTO workflow_signals SELECT %(new)s, number, body FROM workflow_signals"
    " WHERE run = (SELECT serial FROM workflow_runs WHERE id = %(old)s)",
    "UPDATE workflow_runs SET signals = (SELECT count(*) FROM workflow_signals"
    " WHERE run = %(new)s) WHERE serial = %(new)s",
    "INSERT INTO workflow_blob_uses SELECT digest, %(new)s FROM workflow_blob_uses"
    " WHERE run = (SELECT serial FROM workflow_runs WHERE id = %(old)s)",
)
# FOR SHARE: a claim of the same run waits for the commit, or this one sees what it wrote.
_RECORD: LiteralString = (
    "WITH held AS (SELECT serial FROM workflow_runs"
    " WHERE id = %s AND epoch = %s AND finished IS NULL FOR SHARE)"
    " INSERT INTO workflow_steps SELECT serial, %s, %b FROM held ON CONFLICT DO NOTHING"
)
_CLAIM: LiteralString = (
    "UPDATE workflow_runs SET owner = %s, epoch = epoch + 1, status = %s, due = %s"
    " WHERE id = %s AND epoch = %s AND finished IS NULL AND signals = coalesce(%s, signals)"
)
_FINISH: LiteralString = (
    "UPDATE workflow_runs SET owner = NULL, status = %s, outcome = %b, finished = %s"
    " WHERE id = %s AND epoch = %s AND finished IS NULL"
)
_READY: LiteralString = (
    "(SELECT "  # noqa: S608 - literal strings only
    + _COLUMNS
    + " FROM workflow_runs WHERE finished IS NULL AND owner IS NULL"
    " AND due IS NULL ORDER BY priority DESC, serial LIMIT %(limit)s)"
    " UNION ALL SELECT " + _COLUMNS + " FROM workflow_runs WHERE finished IS NULL"
    " AND owner IS NULL AND due <= %(now)s ORDER BY priority DESC, serial LIMIT %(limit)s"
)
_REOPEN: LiteralString = (
    "UPDATE workflow_runs SET epoch = epoch + 1, status = %s, finished = NULL, outcome = NULL,"
    " due = NULL WHERE id = %s AND epoch = %s AND finished IS NOT NULL RETURNING serial"
)
_SIGNAL: LiteralString = (
    "WITH sent AS (UPDATE workflow_runs SET signals = signals + 1,"
    " due = CASE WHEN owner IS NULL THEN NULL ELSE due END"
    " WHERE id = %s AND finished IS NULL RETURNING serial, signals)"
    " INSERT INTO workflow_signals SELECT serial, signals, %b FROM sent"
)
_SAVE_BLOB: tuple[LiteralString, ...] = (
    "INSERT INTO workflow_blobs VALUES (%(digest)s, %(data)b) ON CONFLICT DO NOTHING",
    "INSERT INTO workflow_blob_uses SELECT %(digest)s, serial FROM workflow_runs"
    " WHERE id = %(run)s ON CONFLICT DO NOTHING",
)
_PUT: LiteralString = (
    "INSERT INTO workflow_runs ("  # noqa: S608 - literal strings only
    + _COLUMNS
    + ") OVERRIDING SYSTEM VALUE"
    " VALUES (%s, %s, %s, %s, %b, %s, %s, %s, %b, %s, %s, %s, %s) ON CONFLICT DO NOTHING"
)
# So that what is created later has a higher serial.
_KEEP_BELOW: LiteralString = (
    "SELECT setval(sequence, %s) FROM"
    " pg_get_serial_sequence('holdfast.workflow_runs', 'serial') AS sequence"
    " WHERE coalesce(pg_sequence_last_value(sequence::regclass), 0) < %s"
)
_PUT_STEP: LiteralString = "INSERT INTO workflow_steps VALUES (%s, %s, %b)"
_PUT_SIGNAL: LiteralString = "INSERT INTO workflow_signals VALUES (%s, %s, %b)"
_PUT_USE: LiteralString = "INSERT INTO workflow_blob_uses VALUES (%s, %s)"
_DELETE_OF: tuple[LiteralString, ...] = (
    "DELETE FROM workflow_steps WHERE run = ANY(%s)",
    "DELETE FROM workflow_signals WHERE run = ANY(%s)",
    "DELETE FROM workflow_blob_uses WHERE run = ANY(%s)",
    "DELETE FROM workflow_runs WHERE serial = ANY(%s)",
)


class PostgresStore:
    """See `holdfast.workflows.store.WorkflowStore`."""

    shared_by_hosts = True

    def __init__(self, url: EngineUrl, *, durability: Durability = "process") -> None:
        self.database = database_identity(url.text)
        self._database = Postgres(
            url, room="workflows", migrations=_MIGRATIONS, durability=durability
        )

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
        with self._database.transaction() as connection:
            if fork is not None:
                connection.execute("SELECT pg_advisory_xact_lock_shared(%s)", (_BLOBS_LOCK,))
            made = connection.execute(_CREATE, columns).fetchone()
            if made is not None and fork is not None:
                for statement in _FORK:
                    given = {"new": made[0], "old": fork[0], "end": fork[1]}
                    connection.execute(statement, given)
            if made is not None and outbox is not None:
                outbox.deliver(connection)
        return self.read_run(run.id) if made is None else None

    def deliver(self, outbox: Outbox) -> None:
        with self._database.transaction() as connection:
            outbox.deliver(connection)

    def read_run(self, run_id: str) -> RunRow | None:
        query: LiteralString = "SELECT " + _COLUMNS + " FROM workflow_runs WHERE id = %s"  # noqa: S608
        rows = self._read(query, (run_id,))
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
        wanted: dict[LiteralString, Any] = {
            "status = %s": status,
            "name = %s": name,
            "created >= %s": since,
            "created < %s": until,
            "position(%b::bytea in body) > 0": containing,
            "serial < %s": before,
        }
        given = {condition: value for condition, value in wanted.items() if value is not None}
        conditions: list[LiteralString] = [*given, *(["finished IS NULL"] if unfinished else [])]
        where: LiteralString = " WHERE " + " AND ".join(conditions) if conditions else ""
        query: LiteralString = (
            "SELECT "  # noqa: S608 - literal strings only
            + _COLUMNS
            + " FROM workflow_runs"
            + where
            + " ORDER BY serial DESC LIMIT %s"
        )
        return [RunRow(*row) for row in self._read(query, (*given.values(), limit))]

    def ready_runs(self, *, now: int, limit: int) -> list[RunRow]:
        return [RunRow(*row) for row in self._read(_READY, {"now": now, "limit": limit})]

    def count_runs(self) -> Mapping[str, int]:
        return dict(self._read("SELECT status, count(*) FROM workflow_runs GROUP BY status", ()))

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
        return self._write(_CLAIM, (owner, status, due, run_id, epoch, signals))

    def record_step(
        self,
        run_id: str,
        *,
        epoch: int,
        position: int,
        body: bytes,
        outbox: Outbox | None = None,
    ) -> bool:
        columns = (run_id, epoch, position, body)
        if outbox is None:
            return self._write(_RECORD, columns)
        with self._database.transaction() as connection:
            recorded = connection.execute(_RECORD, columns).rowcount > 0
            if recorded:
                outbox.deliver(connection)
        return recorded

    def read_steps(self, run_id: str, *, after: int, limit: int) -> Sequence[tuple[int, bytes]]:
        return self._read(
            "SELECT position, body FROM workflow_steps"
            " WHERE run = (SELECT serial FROM workflow_runs WHERE id = %s) AND position > %s"
            " ORDER BY position LIMIT %s",
            (run_id, after, limit),
        )

    def finish_run(
        self, run_id: str, *, epoch: int, status: str, outcome: bytes, finished: int
    ) -> bool:
        return self._write(_FINISH, (status, outcome, finished, run_id, epoch))

    def reopen_run(self, run_id: str, *, epoch: int, status: str, drop: Sequence[int]) -> bool:
        with self._database.transaction() as connection:
            reopened = connection.execute(_REOPEN, (status, run_id, epoch)).fetchone()
            if reopened is not None:
                connection.execute(
                    "DELETE FROM workflow_steps WHERE run = %s AND position = ANY(%s)",
                    (reopened[0], list(drop)),
                )
        return reopened is not None

    def add_signal(self, run_id: str, body: bytes) -> bool:
        return self._write(_SIGNAL, (run_id, body))

    def read_signals(self, run_id: str, *, after: int) -> Sequence[tuple[int, bytes]]:
        return self._read(
            "SELECT number, body FROM workflow_signals"
            " WHERE run = (SELECT serial FROM workflow_runs WHERE id = %s) AND number > %s"
            " ORDER BY number",
            (run_id, after),
        )

    def save_blob(self, run_id: str, digest: str, data: bytes) -> None:
        with self._database.transaction() as connection:
            connection.execute("SELECT pg_advisory_xact_lock_shared(%s)", (_BLOBS_LOCK,))
            for statement in _SAVE_BLOB:
                connection.execute(statement, {"run": run_id, "digest": digest, "data": data})

    def read_blob(self, digest: str) -> bytes | None:
        rows = self._read("SELECT data FROM workflow_blobs WHERE digest = %s", (digest,))
        return rows[0][0] if rows else None

    def delete_runs(
        self, *, finished_before: int, limit: int, keep: Collection[str] = ()
    ) -> list[str]:
        with self._database.transaction() as connection:
            connection.execute("SELECT pg_advisory_xact_lock(%s)", (_BLOBS_LOCK,))
            doomed = connection.execute(
                "SELECT serial, id FROM workflow_runs WHERE finished < %s AND id <> ALL(%s)"
                " ORDER BY serial LIMIT %s FOR UPDATE",
                (finished_before, list(keep), limit),
            ).fetchall()
            if doomed:
                for statement in _DELETE_OF:
                    connection.execute(statement, ([serial for serial, _ in doomed],))
                connection.execute(
                    "DELETE FROM workflow_blobs WHERE NOT EXISTS (SELECT 1 FROM workflow_blob_uses"
                    " WHERE workflow_blob_uses.digest = workflow_blobs.digest)"
                )
        return [run_id for _, run_id in doomed]

    def save_owner(self, owner: str, body: bytes) -> None:
        self._write(
            "INSERT INTO workflow_owners VALUES (%s, %b)"
            " ON CONFLICT (owner) DO UPDATE SET body = excluded.body",
            (owner, body),
        )

    def read_owners(self) -> Mapping[str, bytes]:
        return dict(self._read("SELECT owner, body FROM workflow_owners", ()))

    def remove_owner(self, owner: str) -> None:
        self._write("DELETE FROM workflow_owners WHERE owner = %s", (owner,))

    def read_note(self, name: str) -> bytes | None:
        rows = self._read("SELECT body FROM workflow_notes WHERE name = %s", (name,))
        return rows[0][0] if rows else None

    def swap_note(self, name: str, before: bytes | None, after: bytes) -> bool:
        if before is None:
            return self._write(
                "INSERT INTO workflow_notes VALUES (%s, %b) ON CONFLICT DO NOTHING", (name, after)
            )
        return self._write(
            "UPDATE workflow_notes SET body = %b WHERE name = %s AND body = %b",
            (after, name, before),
        )

    def put_run(
        self,
        run: RunRow,
        steps: Sequence[tuple[int, bytes]],
        signals: Sequence[tuple[int, bytes]],
        blobs: Collection[str],
    ) -> bool:
        with self._database.transaction() as connection:
            connection.execute("SELECT pg_advisory_xact_lock_shared(%s)", (_BLOBS_LOCK,))
            if connection.execute(_PUT, run[:13]).rowcount == 0:
                return False
            connection.execute(_KEEP_BELOW, (run.serial, run.serial))
            cursor = connection.cursor()
            for statement, rows in ((_PUT_STEP, steps), (_PUT_SIGNAL, signals)):
                cursor.executemany(statement, [(run.serial, *row) for row in rows])
            cursor.executemany(_PUT_USE, [(digest, run.serial) for digest in blobs])
            return True

    def note_names(self) -> list[str]:
        return sorted(name for (name,) in self._read("SELECT name FROM workflow_notes", ()))

    def close(self) -> None:
        self._database.close()

    def _write(self, statement: LiteralString, parameters: Sequence[Any]) -> bool:
        with self._database.connection() as connection:
            return connection.execute(statement, parameters).rowcount > 0

    def _read(
        self, query: LiteralString, parameters: Sequence[Any] | Mapping[str, Any]
    ) -> list[Any]:
        with self._database.connection() as connection:
            return connection.execute(query, parameters).fetchall()

"""Bringing earlier content of a SQLite database back while others may have it open.

Nothing here replaces the file: who has it open would go on with the old one, unseen. The content is
replaced inside, by SQLite, in one transaction: others see the state before or after it, and after a
crash the database is as it was.
"""

import os
import sqlite3
from collections.abc import Sequence
from contextlib import closing, suppress
from pathlib import Path

from holdfast.durable.faults import fault_point
from holdfast.engines.sqlite import sqlite_errors, transaction
from holdfast.engines.sqlite_copy import connect

_PATIENCE = 10.0  # seconds to wait for a writer


def used_by_others(path: Path) -> bool:
    """Whether another connection has the database at `path` open, here or in another process.

    In WAL mode its locks tell. Elsewhere an idle connection holds none: then the open files of the
    processes that this one may look at are searched. Raises `UnreadableError` (no database).
    """
    with sqlite_errors(path), closing(connect(path, "mode=rw", 0.0)) as connection:
        connection.execute("PRAGMA locking_mode=EXCLUSIVE")
        try:
            connection.execute("BEGIN EXCLUSIVE")
            mode = connection.execute("PRAGMA journal_mode").fetchone()[0]
            connection.execute("ROLLBACK")
        except sqlite3.OperationalError as error:
            if getattr(error, "sqlite_errorcode", 0) & 0xFF != sqlite3.SQLITE_BUSY:
                raise
            return True
    return mode != "wal" and _is_open_elsewhere(path)


def replace_content(source: Path, target: Path) -> None:
    """Make the content of the database `target` that of `source`, which nobody may be using.

    Raises `BusyError` when `target` is being written to for too long, `StorageError`.
    """
    with (
        sqlite_errors(target),
        closing(connect(source, "mode=ro", 0.0)) as origin,
        closing(connect(target, "mode=rw", _PATIENCE)) as live,
    ):
        # The backup takes no page size but the target's while that is in WAL mode.
        fault_point("sqlite.content.begun")
        origin.backup(live)
        fault_point("sqlite.content.replaced")


def replace_rows(
    source: Path,
    target: Path,
    *,
    prefix: str,
    keep: Sequence[str] = (),
    before: Sequence[str] = (),
    after: Sequence[str] = (),
) -> int:
    """Make the rows of the tables named `prefix`… in `target` those of `source`; how many.

    Both have the same tables there (both were opened by their room). Tables in `keep` stay as they
    are; the statements `before` and `after` are part of the same transaction. Raises `BusyError`,
    `StorageError`.
    """
    with sqlite_errors(target), closing(connect(target, "mode=rw", _PATIENCE)) as connection:
        connection.isolation_level = None
        connection.execute("ATTACH DATABASE ? AS earlier", (os.fspath(source),))
        count = 0
        with transaction(connection):
            for statement in before:
                connection.execute(statement)
            for table in _tables(connection, prefix):
                if table in keep:
                    continue
                connection.execute(f'DELETE FROM main."{table}"')  # noqa: S608
                if not _columns(connection, table, "earlier"):
                    continue  # it was not there yet
                names = ", ".join(f'"{name}"' for name in _columns(connection, table, "main"))
                count += connection.execute(
                    f'INSERT INTO main."{table}" ({names})'  # noqa: S608
                    f' SELECT {names} FROM earlier."{table}"'
                ).rowcount
                fault_point("sqlite.rows.replaced")
            for statement in after:
                connection.execute(statement)
        fault_point("sqlite.rows.committed")
        connection.execute("DETACH DATABASE earlier")
    return count


def count_rows(path: Path, *, prefix: str) -> dict[str, int]:
    """How many rows the tables named `prefix`… of a database have; none where there is no file."""
    if not path.exists():
        return {}
    with sqlite_errors(path), closing(connect(path, "mode=ro", _PATIENCE)) as connection:
        return {
            table: connection.execute(f'SELECT count(*) FROM "{table}"').fetchone()[0]  # noqa: S608
            for table in _tables(connection, prefix)
        }


def _tables(connection: sqlite3.Connection, prefix: str) -> list[str]:
    query = "SELECT name FROM main.sqlite_schema WHERE type = 'table' AND substr(name, 1, ?) = ?"
    return [name for (name,) in connection.execute(query, (len(prefix), prefix)).fetchall()]


def _columns(connection: sqlite3.Connection, table: str, database: str) -> list[str]:
    query = "SELECT name FROM pragma_table_info(?, ?)"
    rows = connection.execute(query, (table, database)).fetchall()
    return [name for (name,) in rows]


def _is_open_elsewhere(path: Path) -> bool:
    import psutil  # type: ignore[import-untyped,unused-ignore]

    wanted = os.path.normcase(os.path.realpath(path))
    for process in psutil.process_iter():
        with suppress(psutil.Error, OSError):
            if any(os.path.normcase(file.path) == wanted for file in process.open_files()):
                return True
    return False

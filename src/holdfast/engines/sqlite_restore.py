"""Bringing earlier content of a SQLite database back while others may have it open.

Nothing here replaces the file: who has it open would go on with the old one, unseen. The content is
replaced inside, by SQLite, in one transaction: others see the state before or after it, and after a
crash the database is as it was.
"""

import os
import sqlite3
import sys
from collections.abc import Sequence
from contextlib import closing
from pathlib import Path

from holdfast.durable.faults import fault_point
from holdfast.durable.names import long_path
from holdfast.durable.open_files import openers
from holdfast.engines.sqlite import sqlite_errors, transaction
from holdfast.engines.sqlite_copy import connect, may_be_open_here

_PATIENCE = 10.0  # seconds to wait for a writer


if sys.platform == "win32":

    def _is_locked(path: Path) -> bool:
        return False  # its open files tell

else:
    import fcntl

    # Where every open connection in WAL mode holds a shared lock (os.h: SHARED_FIRST, SHARED_SIZE).
    _SHARED_FIRST, _SHARED_SIZE = 0x40000002, 510

    def _is_locked(path: Path) -> bool:
        if may_be_open_here(path.stat()):
            return True
        try:
            descriptor = os.open(path, os.O_RDWR | os.O_CLOEXEC)
        except OSError:
            return False
        try:
            fcntl.lockf(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB, _SHARED_SIZE, _SHARED_FIRST)
        except OSError:
            return True
        finally:
            os.close(descriptor)
        return False


def used_by_others(path: Path) -> bool:
    """Whether another connection has the database at `path` open, here or in another process.

    SQLite is not asked: by opening the database it would already change what lies beside it. Its
    locks tell, or the open files of the processes that this one may look at.
    """
    return _is_locked(long_path(path)) or any(openers([path]))


def check_readable(path: Path) -> None:
    """Raise `UnreadableError` when SQLite cannot read the database that is in use at `path`."""
    with sqlite_errors(path), closing(connect(path, "mode=ro", _PATIENCE)) as connection:
        connection.execute("SELECT count(*) FROM sqlite_schema").fetchone()


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

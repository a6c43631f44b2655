"""SQLite: opening a database so that it is durable as asked, migrated, and never half-read.

Several rooms may share one file; each owns its tables and its row in ``holdfast_rooms``.
"""

import sqlite3
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from holdfast.durable.files import Durability, make_folder
from holdfast.durable.names import long_path
from holdfast.errors import (
    BusyError,
    CorruptError,
    HoldfastError,
    NewerFormatError,
    StorageError,
    UnreadableError,
)

_SYNCHRONOUS = {"process": "NORMAL", "power": "FULL"}
_BUSY_TIMEOUT = 10.0  # seconds


def open_database(
    path: Path, *, room: str, migrations: Sequence[str], durability: Durability = "process"
) -> sqlite3.Connection:
    """Open (or make) the database at `path`, in WAL mode, with the tables of `room` up to date.

    `migrations` are SQL scripts; the n-th brings the room from version n-1 to n. The connection is
    in autocommit mode, may be used from any thread (one at a time) and returns plain tuples.

    Raises `NewerFormatError`, `UnreadableError` (not a database), `BusyError`, `StorageError`.
    """
    make_folder(path.parent)
    with sqlite_errors(path):
        connection = sqlite3.connect(
            long_path(path), isolation_level=None, check_same_thread=False, timeout=_BUSY_TIMEOUT
        )
        try:
            connection.execute("PRAGMA journal_mode=WAL").fetchone()
            connection.execute(f"PRAGMA synchronous={_SYNCHRONOUS[durability]}")
            connection.execute("PRAGMA foreign_keys=ON")
            _migrate(connection, path, room, migrations)
        except BaseException:
            connection.close()
            raise
    return connection


@contextmanager
def transaction(connection: sqlite3.Connection) -> Iterator[sqlite3.Connection]:
    """A write transaction: all of the body or nothing of it."""
    connection.execute("BEGIN IMMEDIATE")
    try:
        yield connection
        connection.execute("COMMIT")
    except BaseException:
        if connection.in_transaction:
            connection.execute("ROLLBACK")
        raise


@contextmanager
def sqlite_errors(path: Path) -> Iterator[None]:
    """Turn an `sqlite3.Error` of the body into one of Holdfast's that names the file."""
    try:
        yield
    except sqlite3.Error as error:
        raise _translated(error, path) from error


def _translated(error: sqlite3.Error, path: Path) -> HoldfastError:
    code = getattr(error, "sqlite_errorcode", None)
    primary = None if code is None else code & 0xFF
    if primary == sqlite3.SQLITE_NOTADB:
        return UnreadableError(
            "not a SQLite database",
            path=path,
            hint="restore it from a backup; nothing was changed",
        )
    if primary == sqlite3.SQLITE_CORRUPT:
        return CorruptError(
            f"damaged database: {error}", path=path, hint="restore it from a backup"
        )
    if primary in (sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED):
        return BusyError(
            "another process is writing to the database", path=path, hint="try again in a moment"
        )
    hint = "free some space and try again" if primary == sqlite3.SQLITE_FULL else None
    return StorageError(f"SQLite: {error}", path=path, hint=hint)


def _migrate(
    connection: sqlite3.Connection, path: Path, room: str, migrations: Sequence[str]
) -> None:
    newest = len(migrations)
    if _version(connection, room) == newest:
        return
    with transaction(connection):
        connection.execute(
            "CREATE TABLE IF NOT EXISTS holdfast_rooms"
            " (room TEXT PRIMARY KEY, version INTEGER NOT NULL) WITHOUT ROWID"
        )
        version = _version(connection, room)
        if version > newest:
            raise NewerFormatError(
                f"the tables of {room} have version {version}; this Holdfast knows {newest}",
                path=path,
                hint="upgrade Holdfast; nothing was changed",
            )
        for script in migrations[version:]:
            for statement in filter(str.strip, script.split(";\n")):
                connection.execute(statement)
        connection.execute("INSERT OR REPLACE INTO holdfast_rooms VALUES (?, ?)", (room, newest))


def _version(connection: sqlite3.Connection, room: str) -> int:
    known = connection.execute(
        "SELECT 1 FROM sqlite_schema WHERE type = 'table' AND name = 'holdfast_rooms'"
    ).fetchone()
    if known is None:
        return 0
    row = connection.execute(
        "SELECT version FROM holdfast_rooms WHERE room = ?", (room,)
    ).fetchone()
    return 0 if row is None else int(row[0])

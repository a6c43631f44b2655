"""SQLite: opening a database so that it is durable as asked, migrated, and never half-read.

Several rooms may share one file; each owns its tables and its row in ``holdfast_rooms``.
"""

import os
import sqlite3
import stat
from collections.abc import Iterator, Sequence
from contextlib import closing, contextmanager, suppress
from pathlib import Path

from holdfast.durable.files import Durability, make_folder, write_atomic
from holdfast.durable.names import long_path
from holdfast.errors import (
    BusyError,
    ConflictError,
    CorruptError,
    HoldfastError,
    NewerFormatError,
    StorageError,
    UnreadableError,
    storage_errors,
)

_SYNCHRONOUS = {"process": "NORMAL", "power": "FULL"}
_BUSY_TIMEOUT = 10.0  # seconds
# Rooms change some pages over and over; the longer the log may grow before it is copied to the
# database, the fewer copies and syncs a change costs. It stays below 20 MB.
_LOG_PAGES = 4_000
_HEADER_SIZE = 100  # bytes; https://sqlite.org/fileformat.html
_RESTORE = "restore it from a backup; nothing was changed"
_ROOMS = (
    "CREATE TABLE IF NOT EXISTS holdfast_rooms"
    " (room TEXT PRIMARY KEY, version INTEGER NOT NULL) WITHOUT ROWID"
)


def open_database(
    path: Path, *, room: str, migrations: Sequence[str], durability: Durability = "process"
) -> sqlite3.Connection:
    """Open (or make) the database at `path`, in WAL mode, with the tables of `room` up to date.

    `migrations` are SQL scripts; the n-th brings the room from version n-1 to n. The connection is
    in autocommit mode, may be used from any thread (one at a time) and returns plain tuples.

    Raises `NewerFormatError`, `UnreadableError` (not a database, or one cut to nothing),
    `BusyError`, `StorageError`.
    """
    _ensure_there(path, durability)
    with sqlite_errors(path):
        connection = sqlite3.connect(
            long_path(path), isolation_level=None, check_same_thread=False, timeout=_BUSY_TIMEOUT
        )
        try:
            connection.execute("PRAGMA journal_mode=WAL").fetchone()
            connection.execute(f"PRAGMA synchronous={_SYNCHRONOUS[durability]}")
            if durability == "power":
                connection.execute("PRAGMA fullfsync=ON")  # macOS; nothing elsewhere
            connection.execute(f"PRAGMA wal_autocheckpoint={_LOG_PAGES}")
            connection.execute("PRAGMA foreign_keys=ON")
            _migrate(connection, path, room, migrations)
        except BaseException:
            connection.close()
            raise
    return connection


def _ensure_there(path: Path, durability: Durability) -> None:
    """Make the database as one whole file. SQLite itself would take an empty file for a new one."""
    log = long_path(path.with_name(path.name + "-wal"))
    with storage_errors(path, "open the database"):
        # The log first: it never comes before the database, so alone it means a loss.
        log_is_there = log.is_file() and log.stat().st_size > 0
        if os.path.lexists(long_path(path)):
            _refuse_fragment(path)
            return
    if log_is_there:
        raise UnreadableError(
            "the database is gone, but its write-ahead log is there", path=path, hint=_RESTORE
        )
    make_folder(path.parent, durability=durability)
    with suppress(ConflictError):  # another process made it in the meantime
        write_atomic(path, _new_database(), durability=durability, exclusive=True)


def _refuse_fragment(path: Path) -> None:
    """Refuse a file cut to less than a database's header, which SQLite would begin anew.

    It is not opened: closing it again would drop the locks of this process's other connections
    (https://sqlite.org/howtocorrupt.html, 2.2), and the next process to close would take the
    write-ahead log away from under them. What is no database SQLite tells by itself.
    """
    status = long_path(path).stat()
    if stat.S_ISDIR(status.st_mode):
        raise StorageError("a folder is where the database should be", path=path)
    size = status.st_size
    if size == 0:
        raise UnreadableError("the database is empty: 0 bytes", path=path, hint=_RESTORE)
    if size < _HEADER_SIZE:
        raise UnreadableError("not a SQLite database", path=path, hint=_RESTORE)


def _new_database() -> bytes:
    """The bytes of a database in WAL mode that holds no room yet."""
    with closing(sqlite3.connect(":memory:")) as connection:
        connection.execute(_ROOMS)
        connection.commit()
        image = bytearray(connection.serialize())
    image[18:20] = b"\2\2"  # write and read format: WAL (https://sqlite.org/fileformat.html)
    return bytes(image)


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
        return UnreadableError("not a SQLite database", path=path, hint=_RESTORE)
    if primary == sqlite3.SQLITE_CORRUPT:
        return CorruptError(
            f"damaged database: {error}", path=path, hint="restore it from a backup"
        )
    if primary in (sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED):
        return BusyError(
            "another process is writing to the database", path=path, hint="try again in a moment"
        )
    hint = None if primary is None else _HINTS.get(primary)
    return StorageError(f"SQLite: {error}", path=path, hint=hint)


_HINTS = {
    sqlite3.SQLITE_FULL: "the disk is full: free some space and run the same command again",
    sqlite3.SQLITE_READONLY: "the disk or the file is read-only, and SQLite must write to read",
    sqlite3.SQLITE_CANTOPEN: "check that the folder is there and writable: SQLite works beside it",
}


def _migrate(
    connection: sqlite3.Connection, path: Path, room: str, migrations: Sequence[str]
) -> None:
    if _known_version(connection, path, room, len(migrations)) == len(migrations):
        return
    with transaction(connection):
        connection.execute(_ROOMS)
        # Asked again: another process may have migrated while this one waited for its turn.
        version = _known_version(connection, path, room, len(migrations))
        for script in migrations[version:]:
            for statement in statements_of(script):
                connection.execute(statement)
        connection.execute(
            "INSERT OR REPLACE INTO holdfast_rooms VALUES (?, ?)", (room, len(migrations))
        )


def statements_of(script: str) -> Iterator[str]:
    """The single statements of a script; semicolons in texts, comments and triggers end none."""
    statement = ""
    for piece in script.split(";"):
        statement += piece + ";"
        if sqlite3.complete_statement(statement):
            yield from _unless_blank(statement)
            statement = ""
    yield from _unless_blank(statement)  # the last one may stand without its semicolon


def _unless_blank(statement: str) -> Iterator[str]:
    if statement.strip("; \t\r\n"):
        yield statement


def _known_version(connection: sqlite3.Connection, path: Path, room: str, newest: int) -> int:
    version = _version(connection, room)
    if version > newest:
        raise NewerFormatError(
            f"the tables of {room} have version {version}; this Holdfast knows {newest}",
            path=path,
            hint="upgrade Holdfast; nothing was changed",
        )
    return version


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

"""Copying a SQLite database that others may be using, so that the copy is one consistent state."""

import os
import sqlite3
import sys
from contextlib import closing, suppress
from pathlib import Path
from urllib.parse import quote

from holdfast.durable.names import long_path
from holdfast.engines.sqlite import sqlite_errors

MAGIC = b"SQLite format 3\0"
COMPANIONS = ("-wal", "-shm", "-journal")
"""Suffixes of the files beside a database that belong to it and mean nothing without it."""

_SMALLEST_PAGE = 512  # bytes; a database is made of whole pages


def copy_database(source: Path, target: Path, *, timeout: float = 5.0) -> None:
    """Copy the database `source`, as of one moment, to the new file `target`.

    Writers go on meanwhile; what they have in the write-ahead log is in the copy. `timeout` is how
    many seconds to wait for a writer that holds the database alone.

    Raises `BusyError`, `UnreadableError` (no database), `CorruptError`, `StorageError`.
    """
    with (
        sqlite_errors(source),
        closing(connect(source, "mode=ro", timeout)) as origin,
        closing(sqlite3.connect(long_path(target))) as copy,
    ):
        copy.execute("PRAGMA journal_mode=OFF")
        copy.execute("PRAGMA synchronous=OFF")
        origin.backup(copy)


if sys.platform == "win32":

    def may_be_open_here(status: os.stat_result) -> bool:
        """Whether opening the file could cost this process locks: never on Windows."""
        return False

else:

    def may_be_open_here(status: os.stat_result) -> bool:
        """Whether the file of this status may be a database that this process has open.

        To open and close such a file drops the locks of SQLite's own connections in this process
        (https://sqlite.org/howtocorrupt.html, 2.2); only SQLite itself may touch it.
        """
        if status.st_size % _SMALLEST_PAGE:
            return False
        for name in os.listdir("/dev/fd"):  # noqa: PTH208
            with suppress(OSError, ValueError):  # a pipe's end, or closed meanwhile
                held = os.fstat(int(name))
                if (held.st_dev, held.st_ino) == (status.st_dev, status.st_ino):
                    return True
        return False


def check_database(path: Path) -> None:
    """Look whether SQLite can read the database at rest `path`, touching nothing.

    Raises `UnreadableError` (no database), `CorruptError`, `StorageError`.
    """
    with sqlite_errors(path), closing(connect(path, "immutable=1", 0.0)) as connection:
        connection.execute("SELECT count(*) FROM sqlite_schema").fetchone()


def connect(path: Path, how: str, timeout: float) -> sqlite3.Connection:
    """A connection to an existing database; `how` is a parameter of SQLite's addresses."""
    # SQLite's addresses cannot spell the form that Windows has for long paths.
    plain = path.absolute().as_posix().removeprefix("//?/")
    address = quote(os.fsencode(plain), safe="/:").lstrip("/")
    return sqlite3.connect(f"file:///{address}?{how}", uri=True, timeout=timeout)

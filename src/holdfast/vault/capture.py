"""Reading one file for a snapshot, so that what is stored was the file at one moment.

A file that changes while it is read is read again. One that only grows, such as a log, is stored up
to a length at which it was read twice the same. A SQLite database is copied by SQLite itself.
"""

import os
import secrets
import stat
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path
from typing import Literal, NamedTuple

from holdfast.durable.files import remove
from holdfast.durable.sharing import patiently
from holdfast.engines.sqlite_copy import (
    COMPANIONS,
    MAGIC,
    check_database,
    copy_database,
    may_be_open_here,
)
from holdfast.errors import HoldfastError, UnreadableError
from holdfast.vault.cutting import pieces

SETTLED_NS = 2_000_000_000
"""A file changed less than this before may change again without its times showing it: the ticks of
file systems are up to 2 s long (FAT)."""

# On Windows it is the time of making, which lstat and fstat do not even answer alike.
_CTIME_TELLS = sys.platform != "win32"

_ATTEMPTS = 4
_FLAGS = (
    os.O_RDONLY
    | getattr(os, "O_NOFOLLOW", 0)
    | getattr(os, "O_NONBLOCK", 0)
    | getattr(os, "O_BINARY", 0)
)

Store = Callable[[str, bytes], None]


class ChangingError(Exception):
    """The file changed each time it was read."""


class Content(NamedTuple):
    """A captured file: its chunks, their bytes together, how, and the file's status then."""

    chunks: tuple[str, ...]
    size: int
    capture: Literal["sqlite"] | None
    status: os.stat_result
    problem: str | None = None


class Capture:
    """Reads files into `store(chunk id, bytes)`; `scratch` is a private folder.

    `identify` gives a chunk its id.
    """

    def __init__(self, store: Store, scratch: Path, identify: Callable[[bytes], str]) -> None:
        self._store = store
        self._scratch = scratch
        self._identify = identify

    def read_or_tell(
        self, place: str, status: os.stat_result, tell: Callable[[str], None]
    ) -> Content | None:
        """As `read`; what goes wrong is told instead, and None returned when nothing was read."""
        try:
            content = self.read(place, status)
        except FileNotFoundError:
            tell("it vanished while the backup was made")
            return None
        except OSError as error:
            tell(error.strerror or str(error))
            return None
        except ChangingError:
            tell("it changed each time it was read")
            return None
        if content.problem is not None:
            tell(content.problem)
        return content

    def read(self, place: str, status: os.stat_result) -> Content:
        """Capture the regular file at `place`, which looked like `status`.

        Raises `OSError` when it cannot be read and `ChangingError` when it does not hold still.
        """
        for attempt in range(_ATTEMPTS):
            content = self._attempt(place, status, last=attempt == _ATTEMPTS - 1)
            if content is not None:
                return content
            time.sleep(0.01 * attempt)
            status = os.lstat(place)
            if not stat.S_ISREG(status.st_mode):
                break
        raise ChangingError

    def read_held(self, descriptor: int, status: os.stat_result) -> Content:
        """Capture an open file that only grows, as long as it was at `status`."""
        os.lseek(descriptor, 0, os.SEEK_SET)
        chunks: list[str] = []
        size = 0
        for piece in pieces(descriptor, status.st_size):
            chunks += self._keep(piece, iter(()))
            size += len(piece)
        return Content(tuple(chunks), size, None, status)

    def _attempt(self, place: str, status: os.stat_result, *, last: bool) -> Content | None:
        if status.st_size == 0:
            return Content((), 0, None, status)
        if may_be_open_here(status):
            with suppress(UnreadableError):  # no database: it may be opened
                return self._copy(place, status)
        descriptor = patiently(lambda: os.open(place, _FLAGS))
        try:
            cut = pieces(descriptor, status.st_size)
            first = next(cut, b"")
            if first.startswith(MAGIC):
                return self._database(place, status, descriptor)
            chunks = self._keep(first, cut) if first else ()
            after = os.fstat(descriptor)
            if _same(status, after):
                return Content(chunks, status.st_size, None, status)
            if last and _only_grew(status, after) and self._hashes(descriptor, status) == chunks:
                return Content(chunks, status.st_size, None, status)
            return None
        finally:
            os.close(descriptor)

    def _keep(self, first: bytes, rest: Iterator[bytes]) -> tuple[str, ...]:
        chunk = self._identify(first)
        self._store(chunk, first)
        chunks = [chunk]
        for piece in rest:
            chunk = self._identify(piece)
            self._store(chunk, piece)
            chunks.append(chunk)
        return tuple(chunks)

    def _hashes(self, descriptor: int, status: os.stat_result) -> tuple[str, ...]:
        os.lseek(descriptor, 0, os.SEEK_SET)
        return tuple(self._identify(piece) for piece in pieces(descriptor, status.st_size))

    def _database(self, place: str, status: os.stat_result, descriptor: int) -> Content | None:
        """A database at rest is read as it is; one in use is copied through SQLite."""
        try:
            if at_rest(place) and time.time_ns() - status.st_mtime_ns > SETTLED_NS:
                check_database(Path(place))
                return self._plain(place, status, descriptor, "sqlite")
            return self._copy(place, status)
        except UnreadableError as error:
            content = self._plain(place, status, descriptor, None)
            problem = f"not a sound SQLite database, stored byte for byte: {error.message}"
            return content and content._replace(problem=problem)

    def _copy(self, place: str, status: os.stat_result) -> Content:
        """A database copied by SQLite. Raises `UnreadableError` when it is none, `OSError`."""
        copy = self._scratch / f"database-{secrets.token_hex(8)}"
        try:
            copy_database(Path(place), copy)
            with copy.open("rb") as file:
                size = os.fstat(file.fileno()).st_size
                cut = pieces(file.fileno(), size)
                return Content(self._keep(next(cut), cut), size, "sqlite", status)
        except UnreadableError:
            raise
        except HoldfastError as error:
            raise OSError(f"the database cannot be copied: {error.message}") from error
        finally:
            remove(copy)

    def _plain(
        self,
        place: str,
        status: os.stat_result,
        descriptor: int,
        capture: Literal["sqlite"] | None,
    ) -> Content | None:
        os.lseek(descriptor, 0, os.SEEK_SET)
        cut = pieces(descriptor, status.st_size)
        chunks = self._keep(next(cut, b""), cut)
        quiet = _same(status, os.fstat(descriptor)) and (capture is None or at_rest(place))
        return Content(chunks, status.st_size, capture, status) if quiet else None


def at_rest(place: str) -> bool:
    """Whether all of the database at `place` is in that file, none of it in a log beside it."""
    for suffix in COMPANIONS:
        try:
            if suffix != "-shm" and os.lstat(place + suffix).st_size > 0:
                return False
        except FileNotFoundError:
            continue
    return True


def _same(before: os.stat_result, after: os.stat_result) -> bool:
    return (
        before.st_mtime_ns == after.st_mtime_ns
        and before.st_size == after.st_size
        and before.st_ino == after.st_ino
        and (before.st_ctime_ns == after.st_ctime_ns or not _CTIME_TELLS)
    )


def _only_grew(before: os.stat_result, after: os.stat_result) -> bool:
    return before.st_ino == after.st_ino and after.st_size > before.st_size

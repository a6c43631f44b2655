"""One component's log file: appended to by many processes, and rotated by any of them.

How no line is lost in a rotation:

1. A writer holds a shared lock on the file it has open, under whatever name, for as long as it has
   it open (`SharedFile`). It appends without looking at names or taking locks.
2. Once a second of use, and every 64 KiB, it looks whether the name still leads to its file, and
   otherwise opens the new one.
3. To rotate is to rename, under ``.rotation.lock``, after looking that nobody else did. Lines that
   others append until they notice are in the renamed file, where readers find them.
4. A renamed file is compressed only under the exclusive lock, that is when no writer has it open;
   it is removed only after its compressed twin is fsync'd under its final name.

A file is rotated when it is full, when its last line is of another UTC day, and when its last line
is of the future because the clock was set back: so the lines within one file are in order of time,
up to the moment that a line may lie between being stamped and being written.
"""

import os
import sys
import threading
import weakref
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import NamedTuple

from holdfast.durable.faults import fault_point
from holdfast.durable.files import make_folder
from holdfast.durable.locks import Lock
from holdfast.durable.names import long_path
from holdfast.durable.shared_files import SharedFile, identity
from holdfast.errors import BusyError, StorageError, storage_error, storage_errors
from holdfast.logs.lines import START, key_of
from holdfast.logs.places import default_directory
from holdfast.logs.rotation import Archive

_LOOK_AFTER_BYTES = 65_536
_TAIL = 4_096
_CLOCK_SLACK = timedelta(seconds=2)


class Rotation(NamedTuple):
    """When a log file is full, and what becomes of full ones.

    `max_bytes` is met to within 64 KiB a writer; `keep_days` counts from the rotation, and None
    keeps rotated files for ever.
    """

    max_bytes: int = 16 * 1024 * 1024
    keep_days: float | None = 30.0
    compress: bool = True


class LogFile:
    """Where one component's lines go. Without a `directory` it is looked for at the first line."""

    def __init__(self, component: str, directory: Path | None, rotation: Rotation) -> None:
        self.component = component
        self.rotation = rotation
        self._given = directory
        self._directory = directory
        self._shared: SharedFile | None = None
        self._look_again_in = 0
        self._looked_in_second = -1
        self._lock = threading.Lock()
        _all_files.add(self)

    @property
    def path(self) -> Path:
        """The file that lines are appended to."""
        if self._directory is None:
            self._directory = default_directory()
        return self._directory / f"{self.component}.log"

    def open(self) -> None:
        """Open the file now, making it and its folder. Raises `StorageError`."""
        with self._lock:
            if self._shared is None:
                self._open()

    def append(self, line: bytes, second: int) -> None:
        """Write one line of the epoch's `second`. Raises `StorageError` if it is not written."""
        if second != self._looked_in_second or self._look_again_in < 0:
            self._look(second)
        self._look_again_in -= len(line)
        shared = self._shared
        if shared is None:  # closed by another thread since the look
            self.open()
            return self.append(line, second)
        try:
            shared.append(line)
        except OSError as error:
            raise storage_error(error, self.path, "write the log line") from error
        return None

    def close(self) -> None:
        """Close the file; the next line opens it again, in the default folder of then."""
        with self._lock:
            self._shared = None
            self._directory = self._given
            self._looked_in_second = -1

    def _look(self, second: int) -> None:
        """Follow a rotation by others, or rotate."""
        if not self._lock.acquire(blocking=self._shared is None):
            return  # another thread is looking
        try:
            if self._shared is None:
                self._open()
            self._follow_or_rotate(second)
        except OSError as error:
            raise storage_error(error, self.path, "look after the log file") from error
        finally:
            self._lock.release()

    def _open(self) -> None:
        folder = self.path.parent
        if not long_path(folder).is_dir():
            make_folder(folder)
        with storage_errors(self.path, "open the log file"):
            self._shared = SharedFile(self.path)
        self._archive().tidy_later()

    def _follow_or_rotate(self, second: int) -> None:
        shared = self._shared
        assert shared is not None
        if identity(self.path) != shared.identity:
            self._shared = shared = SharedFile(self._path_in_a_folder())
        newest = _newest(shared)
        size = shared.size()
        now = datetime.fromtimestamp(second, UTC)
        if size >= self.rotation.max_bytes or (newest and _is_of_another_day(newest, now)):
            self._rotate(shared, max(newest or "", key_of(now)))
            size = 0 if self._shared is not shared else size
        self._looked_in_second = second
        self._look_again_in = min(_LOOK_AFTER_BYTES, max(self.rotation.max_bytes - size, 0))

    def _archive(self) -> Archive:
        chosen = self.rotation
        return Archive(self.path.parent, self.component, chosen.keep_days, chosen.compress)

    def _path_in_a_folder(self) -> Path:
        if not long_path(self.path.parent).is_dir():  # somebody removed all logs
            make_folder(self.path.parent)
        return self.path

    def _rotate(self, shared: SharedFile, newest: str) -> None:
        """Rename the file and open a new one; if that cannot be, go on with this one."""
        archive = self._archive()
        lock = Lock(self.path.parent / ".rotation.lock", purpose="rotate the logs", timeout=0)
        try:
            with lock:
                if identity(self.path) == shared.identity:
                    fault_point("logs.rotate")
                    long_path(self.path).rename(long_path(archive.free_name(newest)))
                    fault_point("logs.rotated")
        except (BusyError, OSError, StorageError):
            return  # tried again at the next look; the lines are safe where they are
        self._shared = SharedFile(self.path)
        archive.tidy_later()


def _newest(shared: SharedFile) -> str | None:
    """The sort key of the last line; None when there is none or it is not one of ours."""
    tail = shared.tail(_TAIL)
    at = tail.rfind(b"\n" + START) + 1
    if not tail.startswith(START, at):
        return None
    text = tail[at + len(START) :].partition(b"Z")[0]
    return text.decode("ascii", "replace") if 19 <= len(text) <= 29 else None


def _is_of_another_day(newest: str, now: datetime) -> bool:
    """Whether `newest` is of another UTC day than `now`, or later than `now`."""
    return newest[:10] < key_of(now)[:10] or newest > key_of(now + _CLOCK_SLACK)


_all_files: "weakref.WeakSet[LogFile]" = weakref.WeakSet()


def _renew_locks() -> None:
    # Another thread may have held them at the moment of the fork; it does not exist here.
    for file in list(_all_files):
        file._lock = threading.Lock()


if sys.platform != "win32":
    os.register_at_fork(after_in_child=_renew_locks)

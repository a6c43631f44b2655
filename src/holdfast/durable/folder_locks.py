"""The lock that Node programs take: a folder beside the file, kept fresh by touching it.

``mkdir X.lock`` takes it, ``rmdir X.lock`` gives it back, and its modification time says that its
holder lives. A lock that nobody touched for `STALE` seconds is left over from a crash.
"""

import os
import threading
import time
from contextlib import suppress
from pathlib import Path

from holdfast.durable.faults import fault_point
from holdfast.durable.files import temporary_beside
from holdfast.durable.names import long_path
from holdfast.durable.renames import rename_exclusively
from holdfast.durable.sharing import patiently
from holdfast.errors import BusyError, ConflictError, storage_error

STALE = 14.0  # seconds
LONGEST = 10.0  # seconds it may be held
_TOUCH_EVERY = 2.0
_TOLERANCE_NS = 1_000_000_000  # clocks and time stamps of file systems are this coarse at worst


class FolderLock:
    """The lock at the folder `path`, held for the body of a ``with``.

    It waits at most `timeout` seconds (by default long enough to see that a left-over lock is
    one), then raises `BusyError`. While it is held it is touched, but never beyond `LONGEST`
    seconds: then it is left to whoever takes it over, and `check` raises. Raises `StorageError`
    when the disk refuses.
    """

    def __init__(self, path: Path, *, timeout: float = 30.0) -> None:
        self.path = path
        self.timeout = timeout
        self._place = long_path(path)
        self._identity: tuple[int, int] | None = None
        self._since = 0.0
        self._released = threading.Event()

    def __enter__(self) -> "FolderLock":
        try:
            self._acquire()
        except OSError as error:
            raise storage_error(error, self.path, "take the lock") from error
        threading.Thread(target=self._keep_fresh, daemon=True).start()
        return self

    def __exit__(self, *_: object) -> None:
        self._released.set()
        if self._is_ours():
            with suppress(OSError):  # taken over in this instant; its new holder removes it
                self._place.rmdir()
        self._identity = None

    def check(self) -> None:
        """Raise `ConflictError` unless the lock is still ours and was not held for too long."""
        if time.monotonic() - self._since > LONGEST or not self._is_ours():
            raise ConflictError(
                "the lock was lost while the file was being written",
                path=self.path,
                hint="run the same command again",
            )

    def _acquire(self) -> None:
        deadline = time.monotonic() + self.timeout
        watched: tuple[int, float] | None = None  # the lock's time, and since when it is that
        pause = 0.005
        while True:
            try:
                patiently(self._place.mkdir)  # Windows may still be removing the one before
            except FileExistsError:
                pass
            except PermissionError:
                if not self._place.exists():
                    raise
            else:
                status = self._place.stat()
                self._identity = (status.st_dev, status.st_ino)
                self._since = time.monotonic()
                self._released.clear()
                return
            modified = self._modified()
            if modified is not None:
                if watched is None or watched[0] != modified:
                    watched = (modified, time.monotonic())
                aged = time.time() - modified / 1e9 > STALE
                if aged or time.monotonic() - watched[1] > STALE:
                    self._take_away(modified)
                    continue
            if time.monotonic() >= deadline:
                raise BusyError(
                    "the program that owns the file holds its lock",
                    path=self.path,
                    hint="wait until it is done, or end it, and run the same command again",
                )
            time.sleep(pause)
            pause = min(pause * 1.5, 0.1)

    def _take_away(self, modified: int) -> None:
        """Remove the left-over lock; what another took meanwhile is put back."""
        aside = temporary_beside(self._place)
        try:
            os.rename(self._place, aside)
        except FileNotFoundError:
            return
        fault_point("folder_lock.taken_over")
        if abs(aside.stat().st_mtime_ns - modified) > _TOLERANCE_NS:
            with suppress(OSError):
                rename_exclusively(aside, self._place)
                return
        with suppress(OSError):
            aside.rmdir()

    def _modified(self) -> int | None:
        try:
            return self._place.stat().st_mtime_ns
        except FileNotFoundError:
            return None

    def _is_ours(self) -> bool:
        try:
            status = self._place.stat()
        except OSError:
            return False
        return (status.st_dev, status.st_ino) == self._identity

    def _keep_fresh(self) -> None:
        while not self._released.wait(_TOUCH_EVERY):
            if time.monotonic() - self._since > LONGEST or not self._is_ours():
                return
            with suppress(OSError):
                os.utime(self._place)

"""Locks between processes (and threads) that say who holds them.

The system releases a lock when its holder dies, so a lock is never stale. The lock file stays; it
carries the holder's process id, host, start time and purpose for the error message of whoever waits
in vain.
"""

import errno
import os
import sys
import threading
import time
from contextlib import suppress
from pathlib import Path
from types import TracebackType
from typing import Any
from weakref import WeakSet

import msgspec

from holdfast.durable.files import make_folder
from holdfast.durable.names import long_path
from holdfast.durable.sharing import patiently
from holdfast.errors import BusyError, storage_error, storage_errors

if sys.platform == "win32":
    import msvcrt

    # Far beyond the content, so that the holder's name can be read while the lock is held.
    _LOCKED_BYTE = 1 << 30

    def try_lock(descriptor: int) -> bool:
        """Take the exclusive lock of an open file, or return False at once."""
        os.lseek(descriptor, _LOCKED_BYTE, os.SEEK_SET)
        try:
            msvcrt.locking(descriptor, msvcrt.LK_NBLCK, 1)
        except OSError as error:
            if error.errno not in (errno.EACCES, errno.EDEADLK, errno.EDEADLOCK):
                raise
            return False
        return True

    def unlock(descriptor: int) -> None:
        """Release the lock of an open file."""
        os.lseek(descriptor, _LOCKED_BYTE, os.SEEK_SET)
        msvcrt.locking(descriptor, msvcrt.LK_UNLCK, 1)

    def _host() -> str:
        return os.environ.get("COMPUTERNAME", "this machine")

else:
    import fcntl

    def try_lock(descriptor: int) -> bool:
        """Take the exclusive lock of an open file, or return False at once."""
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            return False
        return True

    def unlock(descriptor: int) -> None:
        """Release the lock of an open file."""
        fcntl.flock(descriptor, fcntl.LOCK_UN)

    def _host() -> str:
        return os.uname().nodename


class Holder(msgspec.Struct, frozen=True):
    """Who holds a lock: process id, host, purpose, and since when (seconds of the epoch)."""

    pid: int
    host: str
    purpose: str
    since: float

    def __str__(self) -> str:
        age = max(0.0, time.time() - self.since)
        return f"process {self.pid} on {self.host} ({self.purpose}, for {age:.0f} s)"


class Lock:
    """An exclusive lock on `path`, between processes and between threads.

    ::

        with Lock(folder / "registry.lock", purpose="add an agent"):
            ...

    `timeout` is in seconds; 0 tries once. Not reentrant: taking it again in the same thread waits
    like any other. A forked child does not hold its parent's locks. Raises `BusyError` naming the
    holder, `StorageError` when the disk refuses.
    """

    def __init__(self, path: Path, *, purpose: str, timeout: float = 10.0) -> None:
        self.path = path
        self.purpose = purpose
        self.timeout = timeout
        self._descriptor: int | None = None
        self._threads = threading.Lock()

    def acquire(self) -> None:
        """Wait for the lock at most `timeout` seconds."""
        timeout = min(max(self.timeout, 0.0), threading.TIMEOUT_MAX)
        deadline = time.monotonic() + timeout
        if not self._threads.acquire(timeout=timeout):
            raise self._busy()
        try:
            self._descriptor = self._wait(deadline)
            _held.add(self)
        except BaseException as error:
            self._threads.release()
            if isinstance(error, OSError):
                raise storage_error(error, self.path, "take the lock") from error
            raise

    def release(self) -> None:
        """Give the lock back; the file stays."""
        descriptor, self._descriptor = self._descriptor, None
        if descriptor is None:
            raise RuntimeError(f"the lock {self.path} is not held")
        _held.discard(self)
        try:
            unlock(descriptor)
        finally:
            os.close(descriptor)
            self._threads.release()

    def __enter__(self) -> "Lock":
        self.acquire()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.release()

    def _wait(self, deadline: float) -> int:
        pause = 0.0002
        descriptor = open_lock_file(self.path)
        try:
            while True:
                if try_lock(descriptor):
                    if _is_at(descriptor, self.path):
                        _write_holder(descriptor, self.purpose)
                        return descriptor
                    # The file was deleted while we waited: others lock its successor by now.
                    stale, descriptor = descriptor, open_lock_file(self.path)
                    os.close(stale)
                    continue
                if time.monotonic() >= deadline:
                    raise self._busy()
                time.sleep(pause)
                pause = min(pause * 2, 0.02)
        except BaseException:
            os.close(descriptor)
            raise

    def _forget_after_fork(self) -> None:
        """In a forked child: unlocking would take the lock from the parent, so only close."""
        descriptor, self._descriptor = self._descriptor, None
        self._threads = threading.Lock()
        if descriptor is not None:
            os.close(descriptor)

    def _busy(self) -> BusyError:
        return BusyError(
            f"locked by {read_holder(self.path) or 'another process'}",
            path=self.path,
            hint="wait for it to finish, or end that process, and run the same command again",
        )


class QuickLock:
    """An exclusive lock whose file stays open, for work of microseconds done very often.

    Between processes and between threads, like `Lock`; it does not write who holds it. Not
    reentrant. A child made by fork must make its own. Raises `BusyError` after `timeout` seconds.
    """

    __slots__ = ("_descriptor", "_threads", "path", "timeout")

    def __init__(self, path: Path, *, timeout: float = 10.0) -> None:
        self.path = path
        self.timeout = timeout
        self._threads = threading.Lock()
        self._descriptor = open_lock_file(path)

    def __enter__(self) -> None:
        if not self._threads.acquire(timeout=self.timeout):
            raise self._busy()
        try:
            if not try_lock(self._descriptor):
                self._wait()
        except BaseException:
            self._threads.release()
            raise

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        try:
            unlock(self._descriptor)
        finally:
            self._threads.release()

    def close(self) -> None:
        """Close the file; the lock must not be held. Closing twice does nothing."""
        descriptor, self._descriptor = self._descriptor, -1
        if descriptor >= 0:
            os.close(descriptor)

    def _wait(self) -> None:
        deadline = time.monotonic() + self.timeout
        pause = 0.0
        while not try_lock(self._descriptor):
            if time.monotonic() >= deadline:
                raise self._busy()
            time.sleep(pause)
            pause = min(pause * 2 + 0.0002, 0.004)  # the one who has it goes on for a while

    def _busy(self) -> BusyError:
        return BusyError(
            "locked by another process for too long",
            path=self.path,
            hint="look for a stopped process that uses this folder, end it, and try again",
        )


_held: WeakSet[Lock] = WeakSet()


def _forget_locks_after_fork() -> None:
    for lock in list(_held):
        lock._forget_after_fork()
    _held.clear()


if sys.platform != "win32":
    os.register_at_fork(after_in_child=_forget_locks_after_fork)


def open_lock_file(path: Path) -> int:
    """A descriptor of the lock file, made with its folder if need be. Raises `StorageError`."""
    flags = os.O_RDWR | os.O_CREAT | getattr(os, "O_BINARY", 0)
    make_folder(path.parent)
    with storage_errors(path, "open the lock file"):
        return patiently(lambda: os.open(long_path(path), flags, 0o644))


def _is_at(descriptor: int, path: Path) -> bool:
    """Whether the open file is the one that `path` names now."""
    if sys.platform == "win32":
        return True  # a file that is open here cannot be deleted
    try:
        return os.path.samestat(os.fstat(descriptor), os.stat(path))
    except FileNotFoundError:
        return False


def read_holder(path: Path) -> Holder | None:
    """The last holder written to the lock file; None when nothing readable is there."""
    try:
        return msgspec.json.decode(long_path(path).read_bytes(), type=Holder)
    except (OSError, msgspec.MsgspecError):
        return None


def _write_holder(descriptor: int, purpose: str) -> None:
    holder: dict[str, Any] = {
        "pid": os.getpid(),
        "host": _host(),
        "purpose": purpose,
        "since": time.time(),
    }
    text = msgspec.json.encode(holder) + b"\n"
    with suppress(OSError):  # on a full disk the lock still holds; only its holder is not named
        os.lseek(descriptor, 0, os.SEEK_SET)
        os.write(descriptor, text)
        os.ftruncate(descriptor, len(text))

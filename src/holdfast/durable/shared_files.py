"""Files that many processes append to at once, and that may be renamed and removed meanwhile.

`SharedFile.append` adds its bytes in one piece behind whatever others wrote. On POSIX that is one
``write(2)`` to a descriptor opened with ``O_APPEND``, which local file systems carry out under the
inode's lock; on Windows, where seek and write are two steps, a byte-range lock is held around it.
Network file systems give no such promise.

An open `SharedFile` holds a *shared* lock for as long as it lives, so that `try_exclusive` on the
same file succeeds only once nobody can append to it any more, whatever it is called by then. The
system drops both kinds of lock when their process dies.
"""

import os
import sys
from pathlib import Path

from holdfast.durable.names import long_path

Identity = tuple[int, int]

if sys.platform == "win32":
    import ctypes
    import msvcrt
    import threading
    from ctypes import wintypes

    _GENERIC_READ = 0x80000000
    _FILE_APPEND_DATA = 0x4
    _SHARE_ALL = 0x7  # read, write, delete: others may rename and remove it
    _OPEN_EXISTING, _OPEN_ALWAYS = 3, 4
    _FAIL_IMMEDIATELY, _EXCLUSIVE = 0x1, 0x2
    # Far beyond the content, for a locked byte cannot be read through another handle.
    _IN_USE, _WRITING = 0x7FFF_FFF0, 0x7FFF_FFF1

    class _Overlapped(ctypes.Structure):
        _fields_ = [
            ("internal", ctypes.c_void_p),
            ("internal_high", ctypes.c_void_p),
            ("offset", wintypes.DWORD),
            ("offset_high", wintypes.DWORD),
            ("event", wintypes.HANDLE),
        ]

    _kernel = ctypes.WinDLL("kernel32", use_last_error=True)
    _kernel.CreateFileW.restype = wintypes.HANDLE
    _kernel.CreateFileW.argtypes = [
        wintypes.LPCWSTR,
        wintypes.DWORD,
        wintypes.DWORD,
        ctypes.c_void_p,
        wintypes.DWORD,
        wintypes.DWORD,
        wintypes.HANDLE,
    ]
    _kernel.LockFileEx.argtypes = [wintypes.HANDLE, *[wintypes.DWORD] * 4, ctypes.c_void_p]
    _kernel.UnlockFileEx.argtypes = [wintypes.HANDLE, *[wintypes.DWORD] * 3, ctypes.c_void_p]

    def _open(path: Path, *, append: bool) -> int:
        access = _GENERIC_READ | (_FILE_APPEND_DATA if append else 0)
        how = _OPEN_ALWAYS if append else _OPEN_EXISTING
        name = str(long_path(path))
        handle = _kernel.CreateFileW(name, access, _SHARE_ALL, None, how, 0x80, None)
        if handle in (None, wintypes.HANDLE(-1).value):
            raise ctypes.WinError(ctypes.get_last_error())
        mode = os.O_RDWR | os.O_APPEND if append else os.O_RDONLY
        return msvcrt.open_osfhandle(handle, mode | os.O_BINARY | os.O_NOINHERIT)

    def _lock(descriptor: int, byte: int, flags: int) -> bool:
        place = _Overlapped(offset=byte)
        handle = msvcrt.get_osfhandle(descriptor)
        return bool(_kernel.LockFileEx(handle, flags, 0, 1, 0, ctypes.byref(place)))

    def _unlock(descriptor: int, byte: int) -> None:
        place = _Overlapped(offset=byte)
        handle = msvcrt.get_osfhandle(descriptor)
        _kernel.UnlockFileEx(handle, 0, 1, 0, ctypes.byref(place))

    def _hold_shared(descriptor: int) -> bool:
        return _lock(descriptor, _IN_USE, _FAIL_IMMEDIATELY)

    def try_exclusive(descriptor: int) -> bool:
        """Whether nobody else has the file open for appending; it stays so until it is closed."""
        return _lock(descriptor, _IN_USE, _FAIL_IMMEDIATELY | _EXCLUSIVE)

    # One at a time: a handle that waits for a lock blocks every other call on that handle.
    _threads = threading.Lock()

    def _append(descriptor: int, data: bytes) -> int:
        with _threads:
            if not _lock(descriptor, _WRITING, _EXCLUSIVE):
                raise ctypes.WinError(ctypes.get_last_error())
            try:
                return os.write(descriptor, data)
            finally:
                _unlock(descriptor, _WRITING)

    def read_at(descriptor: int, length: int, offset: int) -> bytes:
        """Up to `length` bytes from `offset`."""
        with _threads:
            os.lseek(descriptor, offset, os.SEEK_SET)
            return os.read(descriptor, length)

else:
    import fcntl

    def _open(path: Path, *, append: bool) -> int:
        return os.open(path, os.O_RDWR | os.O_APPEND | os.O_CREAT if append else os.O_RDONLY, 0o644)

    def _hold_shared(descriptor: int) -> bool:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_SH | fcntl.LOCK_NB)
        except BlockingIOError:
            return False
        return True

    def try_exclusive(descriptor: int) -> bool:
        """Whether nobody else has the file open for appending; it stays so until it is closed."""
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            return False
        return True

    _append = os.write
    read_at = os.pread


def open_for_reading(path: Path) -> int:
    """A descriptor that does not keep others from renaming or removing the file."""
    return _open(path, append=False)


def identity(path: Path) -> Identity | None:
    """Which file the name `path` leads to now; None when there is none."""
    try:
        status = os.stat(long_path(path))
    except FileNotFoundError:
        return None
    return status.st_dev, status.st_ino


class SharedFile:
    """One file open for appending, made if missing. Raises `OSError`, as all calls here do.

    It is closed when the last reference goes, so a thread that still appends through it is safe
    from the descriptor being closed, and its number reused, under its hands.
    """

    __slots__ = ("_torn", "descriptor", "identity")

    def __init__(self, path: Path) -> None:
        self.descriptor = -1
        while True:
            self.descriptor = _open(path, append=True)
            status = os.fstat(self.descriptor)
            self.identity: Identity = (status.st_dev, status.st_ino)
            # Renamed, and perhaps already removed, between opening and locking: open anew.
            if _hold_shared(self.descriptor) and identity(path) == self.identity:
                break
            os.close(self.descriptor)
            self.descriptor = -1
        # Without a newline at the end, a crashed writer's unfinished line would swallow the next.
        self._torn = self.tail(1) not in (b"", b"\n")

    def append(self, line: bytes) -> None:
        """Add one line, its newline included, behind everything that is there."""
        if self._torn:
            line = b"\n" + line
        written = _append(self.descriptor, line)
        if written == len(line):
            self._torn = False
            return
        self._torn = True  # the disk ran full in the middle of the line
        while written < len(line):
            written += _append(self.descriptor, line[written:])
        self._torn = False

    def size(self) -> int:
        """The length of the file in bytes."""
        return os.fstat(self.descriptor).st_size

    def tail(self, length: int) -> bytes:
        """The last `length` bytes, or all there are."""
        return read_at(self.descriptor, length, max(0, self.size() - length))

    def __del__(self) -> None:
        if self.descriptor >= 0:
            os.close(self.descriptor)

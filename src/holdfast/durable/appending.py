"""A file kept open that several processes append to, each under a lock of the caller's.

An append is whole or cut back: after a failed write (a full disk) the file is as it was. What a
killed writer leaves is an unfinished last line; `holdfast.durable.journal` tells it from damage.
"""

import os
import sys
import threading
from pathlib import Path

from holdfast.durable.files import sync_file
from holdfast.durable.names import long_path
from holdfast.errors import NotFoundError, StorageError, storage_error

_FLAGS = os.O_RDWR | os.O_APPEND | getattr(os, "O_BINARY", 0)

if sys.platform == "win32":

    def _read_at(descriptor: int, size: int, offset: int) -> bytes:
        os.lseek(descriptor, offset, os.SEEK_SET)
        return os.read(descriptor, size)

else:
    _read_at = os.pread


class AppendFile:
    """The file at `path`, opened for appending and for reading at any offset.

    With `create` a missing file is made; without it `NotFoundError` is raised. Not safe between
    threads on Windows, where reading moves the one file position: the caller's lock covers it.
    """

    __slots__ = ("_descriptor", "path")

    def __init__(self, path: Path, *, create: bool) -> None:
        self.path = path
        try:
            flags = _FLAGS | (os.O_CREAT if create else 0)
            self._descriptor = os.open(long_path(path), flags, 0o644)
        except FileNotFoundError as error:
            raise NotFoundError("no such file", path=path) from error
        except OSError as error:
            raise storage_error(error, path, "open the file") from error

    def size(self) -> int:
        """The length in bytes now, whoever wrote last."""
        return os.lseek(self._descriptor, 0, os.SEEK_END)

    def append(self, data: bytes, end: int) -> None:
        """Append `data` to the file, which is `end` bytes long. Raises `StorageError`."""
        try:
            written = os.write(self._descriptor, data)
            while written < len(data):
                more = os.write(self._descriptor, memoryview(data)[written:])
                if more == 0:
                    raise StorageError("cannot append: the disk is full", path=self.path)
                written += more
        except BaseException as error:
            os.ftruncate(self._descriptor, end)
            if isinstance(error, OSError):
                raise storage_error(error, self.path, "append to the file") from error
            raise

    def read(self, offset: int, size: int) -> bytes:
        """Up to `size` bytes from `offset`; fewer only at the end of the file."""
        try:
            data = _read_at(self._descriptor, size, offset)
            while len(data) < size:
                more = _read_at(self._descriptor, size - len(data), offset + len(data))
                if not more:
                    break
                data += more
        except OSError as error:
            raise storage_error(error, self.path, "read the file") from error
        return data

    def cut(self, length: int) -> None:
        """Shorten the file to `length` bytes."""
        try:
            os.ftruncate(self._descriptor, length)
        except OSError as error:
            raise storage_error(error, self.path, "cut the file") from error

    def sync(self) -> None:
        """Return once everything written is on the disk itself."""
        try:
            sync_file(self._descriptor)
        except OSError as error:
            raise storage_error(error, self.path, "sync the file") from error

    def close(self) -> None:
        """Close the file. Closing twice does nothing."""
        descriptor, self._descriptor = self._descriptor, -1
        if descriptor >= 0:
            os.close(descriptor)


class NumberedFile:
    """The last of a numbered series of append files, with one fsync for many waiting threads.

    `number`, `file` and `end` say where the next line goes; a position is a number and an end.
    """

    __slots__ = ("_synced", "_syncing", "end", "file", "number")

    def __init__(self, number: int, file: AppendFile, end: int) -> None:
        self.number = number
        self.file = file
        self.end = end
        self._syncing = threading.Lock()
        self._synced = (0, 0)

    def append(self, data: bytes) -> tuple[int, int]:
        """Append at `end`; returns the position after it. The caller holds the series' lock."""
        self.file.append(data, self.end)
        self.end += len(data)
        return self.number, self.end

    def sync(self, position: tuple[int, int]) -> None:
        """Return once all up to `position` is on the disk itself.

        Called without the series' lock. Whoever comes first syncs for all who wrote by then.
        """
        with self._syncing:
            if self._synced < position:
                reached = (self.number, self.end)
                self.file.sync()
                self._synced = reached

    def move_on(self, number: int, file: AppendFile, end: int, *, sync: bool) -> None:
        """Go on in the next file; with `sync` the old one is on the disk before."""
        with self._syncing:
            if sync:
                self.file.sync()
            self.file.close()
            self.number, self.file, self.end = number, file, end
            self._synced = (number, 0)

"""A file written piece by piece: it appears whole and under its final name, or never."""

import itertools
import os
import sys
from pathlib import Path

from holdfast.durable.files import TEMPORARY_SUFFIX, Durability, sync_folder
from holdfast.durable.names import long_path
from holdfast.durable.sharing import patiently
from holdfast.errors import storage_error, storage_errors

_FLAGS = os.O_WRONLY | os.O_CREAT | os.O_EXCL | getattr(os, "O_BINARY", 0)

# A name of its own for each file of each process, also of one made by fork.
_START = os.urandom(6).hex()
_NUMBERS = itertools.count()


class StagedFile:
    """The streaming twin of `write_atomic`, for content whose name or size is known at its end.

    It is written in `folder` under a temporary name; `publish` names it, `discard` drops it. Every
    method raises `StorageError` when the disk refuses. What a crash leaves is swept by
    `sweep_temporary`. Who makes thousands gives places as text, as the system calls them (see
    `long_path`): paths cost as much as the files.
    """

    __slots__ = ("_descriptor", "_folder", "_path")

    def __init__(self, folder: Path | str, *, mode: int = 0o600) -> None:
        self._folder = folder if isinstance(folder, str) else str(long_path(folder))
        name = f".{_START}{os.getpid():x}-{next(_NUMBERS):x}{TEMPORARY_SUFFIX}"
        self._path = f"{self._folder}{os.sep}{name}"
        try:
            self._descriptor = os.open(self._path, _FLAGS, mode)
        except OSError as error:
            raise storage_error(error, Path(self._folder), "make a file") from error

    def write(self, data: bytes) -> None:
        """Append `data`."""
        try:
            written = os.write(self._descriptor, data)
            while written < len(data):
                written += os.write(self._descriptor, memoryview(data)[written:])
        except OSError as error:
            raise storage_error(error, Path(self._folder), "write a file") from error

    def describe(self, *, mode: int, mtime_ns: int) -> None:
        """Give the file exactly these permissions and this time; call it after the last `write`."""
        try:
            if sys.platform == "win32":
                os.utime(self._path, ns=(mtime_ns, mtime_ns))
                os.chmod(self._path, mode)
            else:
                os.utime(self._descriptor, ns=(mtime_ns, mtime_ns))
                os.fchmod(self._descriptor, mode)
        except OSError as error:
            folder = Path(self._folder)
            raise storage_error(error, folder, "set a file's mode and time") from error

    def complete(self) -> Path:
        """Close the file and say where it is, for who reads it by its name; then `discard` it."""
        self._close()
        return Path(self._path)

    def publish(self, target: Path | str, *, durability: Durability = "power") -> None:
        """Give the file its name, on the same disk; what bears that name is replaced."""
        place = target if isinstance(target, str) else str(long_path(target))
        try:
            if durability == "power":
                os.fsync(self._descriptor)
            self._close()
            patiently(lambda: os.replace(self._path, place))
        except OSError as error:
            raise storage_error(error, Path(target), "write the file") from error
        if durability == "power":
            sync_folder(Path(target).parent)

    def discard(self) -> None:
        """Drop what was not published; after `publish` this does nothing."""
        if self._descriptor >= 0:
            self._close()
        path = Path(self._path)
        with storage_errors(path, "remove the unfinished file"):
            path.unlink(missing_ok=True)

    def _close(self) -> None:
        descriptor, self._descriptor = self._descriptor, -1
        os.close(descriptor)

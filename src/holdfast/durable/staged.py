"""A file written piece by piece: it appears whole and under its final name, or never."""

import os
import secrets
import sys
from pathlib import Path

from holdfast.durable.files import TEMPORARY_SUFFIX, Durability, replace, sync_folder
from holdfast.durable.names import long_path
from holdfast.errors import storage_error, storage_errors

_FLAGS = os.O_WRONLY | os.O_CREAT | os.O_EXCL | getattr(os, "O_BINARY", 0)


class StagedFile:
    """The streaming twin of `write_atomic`, for content whose name or size is known at its end.

    It is written in `folder` under a temporary name; `publish` names it, `discard` drops it. Every
    method raises `StorageError` when the disk refuses. What a crash leaves is swept by
    `sweep_temporary`.
    """

    def __init__(self, folder: Path, *, mode: int = 0o600) -> None:
        self._folder = folder
        self._path = long_path(folder) / f".{secrets.token_hex(8)}{TEMPORARY_SUFFIX}"
        try:
            self._descriptor = os.open(self._path, _FLAGS, mode)
        except OSError as error:
            raise storage_error(error, folder, "make a file") from error

    def write(self, data: bytes) -> None:
        """Append `data`."""
        try:
            written = os.write(self._descriptor, data)
            while written < len(data):
                written += os.write(self._descriptor, memoryview(data)[written:])
        except OSError as error:
            raise storage_error(error, self._folder, "write a file") from error

    def describe(self, *, mode: int, mtime_ns: int) -> None:
        """Give the file exactly these permissions and this time; call it after the last `write`."""
        with storage_errors(self._folder, "set a file's mode and time"):
            if sys.platform == "win32":
                os.utime(self._path, ns=(mtime_ns, mtime_ns))
                os.chmod(self._path, mode)
            else:
                os.utime(self._descriptor, ns=(mtime_ns, mtime_ns))
                os.fchmod(self._descriptor, mode)

    def complete(self) -> Path:
        """Close the file and say where it is, for who reads it by its name; then `discard` it."""
        self._close()
        return self._path

    def publish(self, target: Path, *, durability: Durability = "power") -> None:
        """Give the file its name, on the same disk; what bears that name is replaced."""
        try:
            if durability == "power":
                os.fsync(self._descriptor)
            self._close()
            replace(self._path, long_path(target))
        except OSError as error:
            raise storage_error(error, target, "write the file") from error
        if durability == "power":
            sync_folder(target.parent)

    def discard(self) -> None:
        """Drop what was not published; after `publish` this does nothing."""
        if self._descriptor >= 0:
            self._close()
        with storage_errors(self._path, "remove the unfinished file"):
            self._path.unlink(missing_ok=True)

    def _close(self) -> None:
        descriptor, self._descriptor = self._descriptor, -1
        os.close(descriptor)

"""Every error Holdfast raises, with the exit status the command ends with.

::

    HoldfastError                 1   done, and something is wrong
    ├── UsageError                2   the call itself is wrong
    │   └── NotFoundError         2   what was named does not exist
    ├── UnreadableError           3   data that cannot be read: torn, wrong type, duplicate key
    │   ├── CorruptError          3   a checksum does not match
    │   ├── LockedError           3   encrypted, and the key or passphrase does not open it
    │   └── NewerFormatError      3   written by a newer Holdfast
    ├── RefusedError              4   would destroy something and was not confirmed
    ├── MissingError              5   an extra, an engine or a program is not there
    ├── BusyError                 1   another process holds the lock
    ├── FullError                 1   a queue has reached its size limit
    ├── ConflictError             1   somebody else wrote in between
    ├── StorageError              1   the disk said no: full, read-only, no permission
    ├── StepError                 1   a workflow step failed for good
    ├── RunError                  1   a workflow run failed, was cancelled or is not finished
    └── CheckError                1   a verification found something wrong

An error names the file, the cause and the next thing to do: `message`, `path` and `hint`.
"""

import errno
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, ClassVar


class HoldfastError(Exception):
    """The root of all errors; `exit_status` is what the command ends with."""

    exit_status: ClassVar[int] = 1

    def __init__(
        self, message: str, *, path: Path | str | None = None, hint: str | None = None
    ) -> None:
        super().__init__(message)
        self.message = message
        self.path = None if path is None else Path(path)
        self.hint = hint

    def __str__(self) -> str:
        where = f"{self.path}: " if self.path is not None else ""
        way_out = f" ({self.hint})" if self.hint else ""
        return f"{where}{self.message}{way_out}"

    def as_dict(self) -> dict[str, Any]:
        """The error as the command prints it with ``--json``."""
        return {
            "type": type(self).__name__,
            "message": self.message,
            "path": None if self.path is None else str(self.path),
            "hint": self.hint,
        }


class UsageError(HoldfastError):
    """The call itself is wrong: a bad name, a bad value, options that exclude each other."""

    exit_status = 2


class NotFoundError(UsageError):
    """What was named (an agent, a run, a queue, a snapshot, a folder) does not exist."""


class UnreadableError(HoldfastError):
    """Data is there and cannot be read. It is never taken for empty and never overwritten."""

    exit_status = 3

    def __init__(
        self,
        message: str,
        *,
        path: Path | str | None = None,
        hint: str | None = None,
        line: int | None = None,
        column: int | None = None,
    ) -> None:
        super().__init__(message, path=path, hint=hint)
        self.line = line
        self.column = column

    def __str__(self) -> str:
        at = "" if self.line is None else f"line {self.line}, column {self.column}: "
        where = f"{self.path}: " if self.path is not None else ""
        way_out = f" ({self.hint})" if self.hint else ""
        return f"{where}{at}{self.message}{way_out}"

    def as_dict(self) -> dict[str, Any]:
        return {**super().as_dict(), "line": self.line, "column": self.column}


class CorruptError(UnreadableError):
    """Stored bytes do not match their checksum or their content address."""


class LockedError(UnreadableError):
    """Encrypted, and no key or passphrase that was given opens it; nothing is damaged."""


class NewerFormatError(UnreadableError):
    """Written by a newer Holdfast than this one; nothing was changed."""


class RefusedError(HoldfastError):
    """The call would destroy something and was not confirmed; nothing was changed."""

    exit_status = 4


class MissingError(HoldfastError):
    """Something needed is not installed: an extra, an engine, a program."""

    exit_status = 5


class BusyError(HoldfastError):
    """Another process holds the lock; the message says which one and since when."""


class FullError(HoldfastError):
    """A queue has reached its size limit; nothing was put."""


class ConflictError(HoldfastError):
    """Somebody else wrote in between; read again and retry."""


class StorageError(HoldfastError):
    """The disk said no. What was there before is still there."""


class StepError(HoldfastError):
    """A workflow step failed after its last retry."""


class RunError(HoldfastError):
    """A workflow run failed, was cancelled, or cannot be continued by this code."""


class CheckError(HoldfastError):
    """A verification found something wrong."""


_HINTS = {
    errno.ENOSPC: "the disk is full: free some space and run the same command again",
    errno.EDQUOT: "the disk quota is used up: free some space and run the same command again",
    errno.EROFS: "the disk is read-only: mount it writable or choose another place",
    errno.EACCES: "no permission: check the owner and the mode of the file and its folder",
    errno.EPERM: "not permitted: check the owner and the attributes of the file",
    errno.ENAMETOOLONG: "the name is too long for this file system",
    errno.EMFILE: "too many open files: raise the limit (ulimit -n)",
}


@contextmanager
def storage_errors(path: Path | str, doing: str) -> Iterator[None]:
    """Turn an `OSError` of the body into a `StorageError` naming `path` and what failed.

    `doing` completes the sentence "cannot …", e.g. ``"write the registry"``.
    """
    try:
        yield
    except OSError as error:
        raise storage_error(error, path, doing) from error


def storage_error(error: OSError, path: Path | str, doing: str) -> StorageError:
    """The `StorageError` that stands for `error`; see `storage_errors`."""
    cause = error.strerror or str(error)
    return StorageError(f"cannot {doing}: {cause}", path=path, hint=_HINTS.get(error.errno or 0))

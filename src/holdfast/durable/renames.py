"""Giving a file its final name: over what is there, or only if the name is free.

`os.rename` on POSIX replaces silently, and looking first leaves a gap in which another process can
take the name. Linux and macOS have a system call without the gap; where it or the file system is
missing, a hard link does the same for files.
"""

import errno
import functools
import os
import stat
import sys
from collections.abc import Callable
from pathlib import Path

from holdfast.durable.names import long_path
from holdfast.durable.sharing import patiently

_AT_FDCWD = -100
_RENAME_NOREPLACE = 1  # linux/fs.h
_RENAME_EXCL = 4  # macOS sys/stdio.h

_NOT_SUPPORTED = {errno.EINVAL, errno.ENOSYS, errno.ENOTSUP, errno.EOPNOTSUPP, errno.EPERM}


def replace(source: Path, target: Path) -> None:
    """`os.replace`, repeated on Windows while another program holds either file open."""
    patiently(lambda: os.replace(long_path(source), long_path(target)))


def rename_exclusively(source: Path, target: Path) -> None:
    """Rename a file, link or folder unless `target` is taken (then `FileExistsError`).

    Where the system can only move names by linking, a crash may leave a file under both names; on
    a file system without links, `target` is an empty file for an instant.
    """
    if sys.platform == "win32":
        patiently(lambda: os.rename(long_path(source), long_path(target)))
        return
    rename = _system_call()
    if rename is not None:
        number = rename(os.fsencode(source), os.fsencode(target))
        if number == 0:
            return
        if number not in _NOT_SUPPORTED:
            raise OSError(number, os.strerror(number), str(source), None, str(target))
    _rename_by_steps(source, target)


@functools.cache
def _system_call() -> Callable[[bytes, bytes], int] | None:
    """The call that renames to a free name only, returning an errno; None where there is none."""
    import ctypes

    library = ctypes.CDLL(None, use_errno=True)
    if hasattr(library, "renameat2"):
        return lambda source, target: (
            ctypes.get_errno()
            if library.renameat2(_AT_FDCWD, source, _AT_FDCWD, target, _RENAME_NOREPLACE)
            else 0
        )
    if hasattr(library, "renamex_np"):
        return lambda source, target: (
            ctypes.get_errno() if library.renamex_np(source, target, _RENAME_EXCL) else 0
        )
    return None


def _rename_by_steps(source: Path, target: Path) -> None:
    if os.path.lexists(target):
        raise FileExistsError(errno.EEXIST, os.strerror(errno.EEXIST), str(target))
    if not stat.S_ISREG(os.lstat(source).st_mode):
        os.rename(source, target)  # a folder replaces nothing but an empty folder
        return
    try:
        os.link(source, target)
    except OSError as error:
        if error.errno not in _NOT_SUPPORTED:
            raise
        os.close(os.open(target, os.O_WRONLY | os.O_CREAT | os.O_EXCL))
        os.replace(source, target)
    else:
        os.unlink(source)

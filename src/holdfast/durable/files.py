"""Files that are whole or absent: atomic replacement and reading.

Two durabilities, chosen by the caller. ``process``: what was acknowledged survives kill -9 of every
process, because the system has the bytes. ``power``: it survives a power cut, because file and
folder were fsync'd before the call returned.
"""

import errno
import os
import secrets
import shutil
import stat
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Literal

from holdfast.durable.faults import fault_point
from holdfast.durable.names import long_path
from holdfast.durable.sharing import patiently
from holdfast.errors import ConflictError, NotFoundError, storage_error, storage_errors

Durability = Literal["process", "power"]

TEMPORARY_SUFFIX = ".holdfast-tmp"


def read_bytes(path: Path) -> bytes:
    """The whole file.

    Raises `NotFoundError` when there is none, `StorageError` when it cannot be opened or read.
    """
    try:
        return patiently(lambda: long_path(path).read_bytes())
    except FileNotFoundError as error:
        raise NotFoundError("no such file", path=path) from error
    except OSError as error:
        raise storage_error(error, path, "read the file") from error


def write_atomic(
    path: Path,
    data: bytes,
    *,
    durability: Durability = "power",
    mode: int | None = None,
    exclusive: bool = False,
) -> None:
    """Replace `path` by `data` so that any reader, at any time, sees the old or the new whole.

    A symbolic link is kept and its target replaced. Without `mode` an existing file keeps its
    permissions and a new one follows the umask; with it the file gets exactly `mode`. With
    `exclusive` an existing file raises `ConflictError` and stays as it is.

    Raises `StorageError` when the disk refuses; the old content is then untouched.
    """
    target = long_path(Path(os.path.realpath(path)) if path.is_symlink() else path)
    temporary = target.with_name(f".{target.name[:100]}.{secrets.token_hex(6)}{TEMPORARY_SUFFIX}")
    try:
        _write_new(temporary, data, durability, mode if exclusive else _mode_for(target, mode))
        fault_point("files.temporary.written")
        if exclusive:
            _publish_exclusively(temporary, target)
        else:
            replace(temporary, target)
    except FileExistsError as error:
        temporary.unlink(missing_ok=True)
        raise ConflictError("the file exists already", path=path) from error
    except OSError as error:
        _discard(temporary)
        raise storage_error(error, path, "write the file") from error
    fault_point("files.replaced")
    if durability == "power":
        sync_folder(target.parent)


def replace(source: Path, target: Path) -> None:
    """`os.replace`, repeated on Windows while another program holds either file open."""
    patiently(lambda: os.replace(source, target))


def remove(path: Path) -> None:
    """Remove one file; a missing one is fine. Raises `StorageError`."""
    with storage_errors(path, "remove the file"):
        patiently(lambda: long_path(path).unlink(missing_ok=True))


def move(source: Path, target: Path) -> None:
    """Move a file, link or folder to a free name, also to another disk. Raises `StorageError`.

    On one disk it is one rename. To another disk everything is copied beside the target first,
    then named, and only then removed at the source.
    """
    with storage_errors(source, f"move it to {target}"):
        try:
            patiently(lambda: os.rename(long_path(source), long_path(target)))
        except OSError as error:
            if error.errno != errno.EXDEV:
                raise
            _move_across(long_path(source), long_path(target))


def _move_across(source: Path, target: Path) -> None:
    partial = target.with_name(f".{target.name[:100]}.{secrets.token_hex(6)}{TEMPORARY_SUFFIX}")
    if source.is_dir() and not source.is_symlink():
        shutil.copytree(source, partial, symlinks=True)
    else:
        shutil.copy2(source, partial, follow_symlinks=False)
    os.rename(partial, target)
    remove_tree(source)


def remove_tree(path: Path) -> None:
    """Remove a file, link or folder with all it holds; links are removed, not followed."""

    def mend(function: Callable[..., object], name: str, error: BaseException) -> None:
        if not isinstance(error, PermissionError):
            raise error
        os.chmod(name, stat.S_IRWXU)
        patiently(lambda: function(name))

    target = long_path(path)
    with storage_errors(path, "remove it"):
        if target.is_dir() and not target.is_symlink():
            if sys.version_info >= (3, 12):
                shutil.rmtree(target, onexc=mend)
            else:
                shutil.rmtree(target, onerror=lambda f, name, info: mend(f, name, info[1]))
        else:
            target.unlink(missing_ok=True)


def make_folder(path: Path, *, private: bool = False) -> None:
    """Make `path` and its parents; with `private` only the owner may look inside."""
    with storage_errors(path, "make the folder"):
        long_path(path).mkdir(parents=True, exist_ok=True, mode=0o700 if private else 0o777)


def sync_file(descriptor: int) -> None:
    """fsync an open file. Data and the size needed to read it reach the disk."""
    if hasattr(os, "fdatasync"):
        os.fdatasync(descriptor)
    else:
        os.fsync(descriptor)


def sync_folder(path: Path) -> None:
    """fsync a folder, so that names made or replaced in it survive a power cut.

    Windows has no such call: NTFS journals names together with the replace.
    """
    if sys.platform == "win32":
        return
    with storage_errors(path, "sync the folder"):
        descriptor = os.open(path, os.O_RDONLY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)


def is_temporary(name: str) -> bool:
    """Whether `name` is that of an unfinished write of ours; such files are never content."""
    return name.startswith(".") and name.endswith(TEMPORARY_SUFFIX)


def sweep_temporary(folder: Path, *, older_than: float = 3600.0) -> list[Path]:
    """Remove what crashed writers left in `folder`, if older than `older_than` seconds."""
    removed = []
    for entry in os.scandir(long_path(folder)):
        if is_temporary(entry.name) and time.time() - entry.stat().st_mtime > older_than:
            remove(Path(entry.path))
            removed.append(folder / entry.name)
    return removed


def _mode_for(target: Path, mode: int | None) -> int | None:
    if mode is not None:
        return mode
    try:
        return stat.S_IMODE(target.stat().st_mode)
    except FileNotFoundError:
        return None


def _write_new(path: Path, data: bytes, durability: Durability, mode: int | None) -> None:
    flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | getattr(os, "O_BINARY", 0)
    descriptor = os.open(path, flags, 0o666 if mode is None else mode)
    try:
        view = memoryview(data)
        while view:
            view = view[os.write(descriptor, view) :]
        if sys.platform != "win32" and mode is not None:
            os.fchmod(descriptor, mode)  # the umask does not narrow what was asked for
        if durability == "power":
            os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _publish_exclusively(temporary: Path, target: Path) -> None:
    """Give `temporary` its final name unless that name is taken (then `FileExistsError`)."""
    if sys.platform == "win32":
        os.rename(temporary, target)
    else:
        os.link(temporary, target)
        temporary.unlink()


def _discard(temporary: Path) -> None:
    try:
        temporary.unlink(missing_ok=True)
    except OSError:
        return  # the first error is the one to report; sweep_temporary gets the rest

"""Files that are whole or absent: atomic replacement and reading.

Two durabilities, chosen by the caller. ``process``: what was acknowledged survives kill -9 of every
process, because the system has the bytes. ``power``: it survives a power cut, because file and
folder were fsync'd before the call returned.
"""

import errno
import os
import stat
import sys
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Literal

from holdfast.durable import reserve, trees
from holdfast.durable.faults import fault_point
from holdfast.durable.names import long_path
from holdfast.durable.renames import rename_exclusively
from holdfast.durable.renames import replace as replace
from holdfast.durable.sharing import patiently
from holdfast.errors import (
    ConflictError,
    NotFoundError,
    StorageError,
    storage_error,
    storage_errors,
)

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
    check: Callable[[], object] | None = None,
) -> None:
    """Replace `path` by `data` so that any reader, at any time, sees the old or the new whole.

    A symbolic link is kept and its target replaced. Without `mode` an existing file keeps its
    permissions (and its owner, where the system lets us), a new one follows the umask; with it the
    file gets exactly `mode`. With `exclusive` an existing file or link raises `ConflictError` and
    stays as it is. `check` is called right before the replacement; what it raises prevents it.

    On a full disk a small file is written at the cost of the workspace's reserve (`reserve`).

    Raises `StorageError` when the disk refuses. The old content is then untouched, unless only
    the last step failed, the sync of the folder: then the new content is there, unacknowledged.
    """
    try:
        _write_atomic(path, data, durability, mode, exclusive, check)
    except StorageError as error:
        if len(data) > reserve.SMALL or not _is_full(error) or not reserve.spend(path):
            raise
        _write_atomic(path, data, durability, mode, exclusive, check)


def _is_full(error: StorageError) -> bool:
    cause = error.__cause__
    return isinstance(cause, OSError) and cause.errno in (errno.ENOSPC, errno.EDQUOT)


def _write_atomic(
    path: Path,
    data: bytes,
    durability: Durability,
    mode: int | None,
    exclusive: bool,
    check: Callable[[], object] | None,
) -> None:
    temporary: Path | None = None
    try:
        target = long_path(path) if exclusive else _link_target(long_path(path))
        temporary = temporary_beside(target)
        _write_new(temporary, data, durability, mode, None if exclusive else _status_of(target))
        fault_point("files.temporary.written")
        if check is not None:
            check()
        (rename_exclusively if exclusive else replace)(temporary, target)
    except BaseException as error:
        if temporary is not None:
            _discard(temporary)
        if exclusive and isinstance(error, FileExistsError):
            raise ConflictError("the file exists already", path=path) from error
        if isinstance(error, OSError):
            raise storage_error(error, path, "write the file") from error
        raise
    with storage_errors(path, "write the file"):
        fault_point("files.replaced")
    if durability == "power":
        sync_folder(target.parent)


def temporary_beside(target: Path) -> Path:
    """A fresh name beside `target` for what is not finished; `sweep_temporary` knows it."""
    # 40 characters are at most 160 bytes: the whole stays below the 255 of most file systems.
    return target.with_name(f".{target.name[:40]}.{os.urandom(6).hex()}{TEMPORARY_SUFFIX}")


def link_over(source: Path, target: Path, *, only_if: Callable[[os.stat_result], bool]) -> bool:
    """Give the file `source` the name `target` as well, over what bears it; returns whether it did.

    Not where `only_if` says no of the file that was really linked, nor where the file system has
    no hard links. The bytes are not copied: whoever writes in place changes them under both names.
    Raises `StorageError`.
    """
    temporary = temporary_beside(long_path(target))
    try:
        os.link(_link_target(long_path(source)), temporary)
    except OSError:
        return False
    try:
        if not only_if(os.lstat(temporary)):
            return False
        replace(temporary, target)
        return True
    except OSError as error:
        raise storage_error(error, target, "name the file") from error
    finally:
        _discard(temporary)


def remove(path: Path) -> None:
    """Remove one file or link; a missing one is fine. Raises `StorageError`."""
    with storage_errors(path, "remove the file"):
        _unlink(long_path(path))


def move(source: Path, target: Path) -> None:
    """Move a file, link or folder to a free name, also to another disk.

    On one disk it is one rename. To another disk everything is copied beside the target and synced,
    then named, and only then taken away at the source: after a crash it may be whole at both.

    Raises `ConflictError` when the name is taken, `StorageError` when the disk refuses.
    """
    try:
        try:
            rename_exclusively(source, target)
        except OSError as error:
            if error.errno != errno.EXDEV:
                raise
            _move_across(long_path(source), long_path(target))
    except FileExistsError as error:
        raise ConflictError("something is there already", path=target) from error
    except OSError as error:
        raise storage_error(error, source, f"move it to {target}") from error


def _move_across(source: Path, target: Path) -> None:
    import shutil

    partial = temporary_beside(target)
    try:
        if _is_real_folder(source):
            shutil.copytree(source, partial, symlinks=True, copy_function=_copy_synced)
        else:
            _copy_synced(source, partial)
        fault_point("files.move.copied")
        rename_exclusively(partial, target)
    except BaseException:
        remove_tree(partial)
        raise
    sync_folder(target.parent)
    fault_point("files.move.named")
    leaving = temporary_beside(source)
    os.rename(source, leaving)  # from here on it is in one place only, however long removal takes
    remove_tree(leaving)


def _copy_synced(source: str | Path, target: str | Path) -> None:
    import shutil

    shutil.copy2(source, target, follow_symlinks=False)
    if not os.path.islink(target):
        sync_closed(Path(target))


def sync_closed(path: Path) -> None:
    """fsync a file that was closed already, a read-only one too. Raises `OSError`."""
    place = long_path(path)
    mode = stat.S_IMODE(os.stat(place).st_mode)
    # Windows flushes only what is open for writing, and opens no read-only file for that.
    locked = sys.platform == "win32" and not mode & stat.S_IWRITE
    if locked:
        os.chmod(place, mode | stat.S_IWRITE)
    try:
        with open(place, "rb" if sys.platform != "win32" else "r+b") as file:
            sync_whole(file.fileno())
    finally:
        if locked:
            os.chmod(place, mode)


def remove_tree(path: Path) -> None:
    """Remove a file, link or folder with all it holds; links are removed, not followed.

    Folders without write permission and read-only files are made writable first. A missing one is
    fine. Raises `StorageError`; what was removed until then is gone.
    """
    target = long_path(path)
    with storage_errors(path, "remove it"):
        try:
            patiently(lambda: _remove_all(target))
        except PermissionError:
            _make_writable(target)
            patiently(lambda: _remove_all(target))


def remove_empty_folders(path: Path, *, below: Path) -> None:
    """Remove the folder `path` and those between it and `below`, as far as they are empty."""
    for folder in (path, *path.parents):
        if folder == below:
            return
        try:
            long_path(folder).rmdir()
        except FileNotFoundError:
            continue
        except OSError:
            return


def _remove_all(target: Path) -> None:
    import shutil  # imports all compressions

    try:
        if _is_real_folder(target):
            shutil.rmtree(target)
        else:
            _unlink(target)
    except FileNotFoundError:
        if os.path.lexists(target):
            raise


def _make_writable(folder: Path) -> None:
    """Let the owner change `folder` and the folders below it; on Windows the files too."""
    if not _is_real_folder(folder):
        return
    os.chmod(folder, stat.S_IRWXU)
    for entry in trees.walk(folder, on_error=lambda *_: None):
        if entry.is_folder or (sys.platform == "win32" and entry.is_file):
            os.chmod(folder / entry.path, stat.S_IRWXU)


def _unlink(path: Path) -> None:
    try:
        path.unlink(missing_ok=True)
    except PermissionError:
        if sys.platform != "win32" or not path.is_file():
            raise
        os.chmod(path, stat.S_IWRITE)  # Windows removes no read-only file
        patiently(lambda: path.unlink(missing_ok=True))


def _is_real_folder(path: Path) -> bool:
    try:
        status = os.lstat(path)
    except FileNotFoundError:
        return False
    return stat.S_ISDIR(status.st_mode) and not trees.is_junction(status)


def make_folder(path: Path, *, private: bool = False, durability: Durability = "process") -> None:
    """Make `path` and its parents; with `private` only the owner may look inside."""
    with storage_errors(path, "make the folder"):
        _make_folders(long_path(path), 0o700 if private else 0o777, durability)


def _make_folders(path: Path, mode: int, durability: Durability) -> None:
    if path.is_dir():
        return
    if path.parent != path:
        _make_folders(path.parent, 0o777, durability)
    path.mkdir(mode=mode, exist_ok=True)
    if durability == "power":
        sync_folder(path.parent)


if sys.platform == "darwin":

    def sync_whole(descriptor: int) -> None:
        """Bring an open file to the disk: fsync alone stops at the drive's cache."""
        import fcntl

        try:
            fcntl.fcntl(descriptor, fcntl.F_FULLFSYNC)
        except OSError:
            os.fsync(descriptor)  # a file system that does not know it

    sync_file = sync_whole

else:

    def sync_whole(descriptor: int) -> None:
        """Bring an open file to the disk, with its mode and times."""
        os.fsync(descriptor)

    def sync_file(descriptor: int) -> None:
        """Bring an open file's data, and the size needed to read it, to the disk."""
        if hasattr(os, "fdatasync"):
            os.fdatasync(descriptor)
        else:
            os.fsync(descriptor)


def sync_folder(path: Path) -> None:
    """fsync a folder, so that names made or replaced in it survive a power cut.

    Windows has no such call: NTFS journals names together with the replace. Some file systems
    refuse it for folders (EINVAL); they have nothing better.
    """
    if sys.platform == "win32":
        return
    with storage_errors(path, "sync the folder"):
        descriptor = os.open(path, os.O_RDONLY | os.O_DIRECTORY)
        try:
            os.fsync(descriptor)
        except OSError as error:
            if error.errno not in (errno.EINVAL, errno.ENOTSUP):
                raise
        finally:
            os.close(descriptor)


def is_temporary(name: str) -> bool:
    """Whether `name` is that of an unfinished write of ours; such files are never content."""
    return name.startswith(".") and name.endswith(TEMPORARY_SUFFIX)


def sweep_temporary(folder: Path, *, older_than: float = 3600.0) -> list[Path]:
    """Remove what crashed writers left in `folder`, if older than `older_than` seconds.

    A missing folder has nothing to sweep. Raises `StorageError`.
    """
    swept = []
    for name in _names_in(folder):
        path = folder / name
        status = _status_of(long_path(path)) if is_temporary(name) else None
        if status is not None and time.time() - status.st_mtime >= older_than:
            remove_tree(path)
            swept.append(path)
    return swept


def _names_in(folder: Path) -> list[str]:
    try:
        return sorted(os.listdir(long_path(folder)))
    except FileNotFoundError:
        return []
    except OSError as error:
        raise storage_error(error, folder, "list the folder") from error


def _link_target(path: Path) -> Path:
    if not os.path.islink(path):
        return path
    target = Path(os.path.realpath(path))
    if os.path.islink(target):
        raise OSError(errno.ELOOP, os.strerror(errno.ELOOP), str(path))
    return target


def _status_of(path: Path) -> os.stat_result | None:
    try:
        return os.lstat(path)
    except FileNotFoundError:
        return None


def _write_new(
    path: Path,
    data: bytes,
    durability: Durability,
    mode: int | None,
    replaced: os.stat_result | None,
) -> None:
    if mode is None and replaced is not None:
        mode = stat.S_IMODE(replaced.st_mode)
    flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | getattr(os, "O_BINARY", 0)
    descriptor = os.open(path, flags, 0o666 if mode is None else mode | stat.S_IWUSR)
    try:
        write_all(descriptor, data)
        if sys.platform != "win32":
            _keep_owner(descriptor, replaced)
            if mode is not None:
                os.fchmod(descriptor, mode)  # the umask does not narrow what was asked for
        if durability == "power":
            sync_whole(descriptor)
    finally:
        os.close(descriptor)
    if sys.platform == "win32" and mode is not None:
        os.chmod(path, mode)


def write_all(descriptor: int, data: bytes) -> None:
    """Write all of `data` to an open file; the system may take it in pieces. Raises `OSError`."""
    view = memoryview(data)
    while view:
        view = view[os.write(descriptor, view) :]


if sys.platform != "win32":

    def _keep_owner(descriptor: int, replaced: os.stat_result | None) -> None:
        own = os.fstat(descriptor)
        if replaced is None or (own.st_uid, own.st_gid) == (replaced.st_uid, replaced.st_gid):
            return
        # Only the superuser may give a file away; another's copy is then simply ours.
        with suppress(PermissionError):
            os.fchown(descriptor, replaced.st_uid, replaced.st_gid)


def _discard(temporary: Path) -> None:
    with suppress(OSError):  # the first error is the one to report; sweep_temporary gets the rest
        _unlink(temporary)

"""Walking a folder tree: in order, without following links, without giving up on one bad entry."""

import os
import stat
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import NamedTuple

from holdfast.durable.names import long_path

# The tag of a junction, which Windows treats as a folder and which must not be followed. Folders of
# OneDrive and the like have other tags: they are real folders.
_MOUNT_POINT = 0xA0000003


class Entry(NamedTuple):
    """One thing in a tree.

    `path` is relative to the walked root, with forward slashes on every system ("" is the root
    itself); bytes that are no UTF-8 appear as lone surrogates (``os.fsdecode``). `status` is its
    `os.lstat` result.
    """

    path: str
    status: os.stat_result

    @property
    def is_folder(self) -> bool:
        return stat.S_ISDIR(self.status.st_mode) and not is_junction(self.status)

    @property
    def is_file(self) -> bool:
        return stat.S_ISREG(self.status.st_mode)

    @property
    def is_link(self) -> bool:
        return stat.S_ISLNK(self.status.st_mode) or is_junction(self.status)


Skip = Callable[[str, os.DirEntry[str]], bool]
OnError = Callable[[str, OSError], None]


def walk(
    root: Path, *, skip: Skip | None = None, on_error: OnError | None = None
) -> Iterator[Entry]:
    """Every entry below `root`, parents before children, each folder's names in sorted order.

    `skip(path, entry)` leaves an entry, and all below a folder, out. What cannot be listed or
    looked at goes to `on_error(path, error)`; without it the `OSError` is raised.
    """
    top = str(long_path(root))
    pending = [""]
    while pending:
        folder = pending.pop()
        try:
            # Windows takes a long path with its own separator only.
            with os.scandir(os.path.join(top, folder.replace("/", os.sep))) as found:
                names = sorted(found, key=_by_name)
        except OSError as error:
            _report(on_error, folder, error)
            continue
        below: list[str] = []
        prefix = folder + "/" if folder else ""
        for item in names:
            path = prefix + item.name
            if skip is not None and skip(path, item):
                continue
            try:
                entry = Entry(
                    path, item.stat(follow_symlinks=False) if _COMPLETE else os.lstat(item)
                )
            except OSError as error:
                _report(on_error, path, error)
                continue
            yield entry
            if entry.is_folder:
                below.append(path)
        pending.extend(reversed(below))


# On Windows scandir's own stat lacks the inode and the link count; lstat has them.
_COMPLETE = sys.platform != "win32"


def is_junction(status: os.stat_result) -> bool:
    """Whether a Windows folder is really a junction to another one."""
    return getattr(status, "st_reparse_tag", 0) == _MOUNT_POINT


def is_real_folder(item: os.DirEntry[str]) -> bool:
    """Whether what was listed is a folder, and neither a link nor a junction to one."""
    if not item.is_dir(follow_symlinks=False):
        return False
    return sys.platform != "win32" or not is_junction(item.stat(follow_symlinks=False))


def _by_name(item: os.DirEntry[str]) -> str:
    return item.name


def _report(on_error: OnError | None, path: str, error: OSError) -> None:
    if on_error is None:
        raise error
    on_error(path, error)

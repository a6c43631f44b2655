"""The files of a durable queue (`file://`), captured as of one moment between two records.

Producers and consumers write to two folders under two locks, and what one says refers to the other:
read at different moments, they would not fit together. Both are held only while the files are
opened and their lengths noted. As all of them only grow, what follows up to those lengths is read
without a lock, even of a file that has been removed meanwhile.
"""

import os
import stat
from contextlib import ExitStack
from pathlib import Path
from typing import NamedTuple

from holdfast.durable.locks import QuickLock
from holdfast.durable.names import long_path
from holdfast.durable.sharing import patiently

MARK = "queue.json"
PARTS = ("ledger", "messages")
# In the order in which the queue itself takes them.
_LOCKS = ("take.lock", "put.lock")
_TIMEOUT = 5.0
_MOST_FILES = 100  # open at once
_FLAGS = os.O_RDONLY | getattr(os, "O_BINARY", 0)


class Held(NamedTuple):
    """An open file, and how it looked at the moment of capture."""

    descriptor: int
    status: os.stat_result


def hold_queue(folder: Path) -> dict[str, dict[str, Held]] | None:
    """The files of the queue in `folder`, by part and name, for the caller to close.

    None when `folder` is no such queue, or has too many files. Raises `BusyError` when it is locked
    for too long, `StorageError`.
    """
    if not all(_is_folder(folder / part) for part in PARTS):
        return None
    found: dict[str, dict[str, Held]] = {}
    with ExitStack() as undo:
        with ExitStack() as locks:
            for name in _LOCKS:
                lock = QuickLock(folder / name, timeout=_TIMEOUT)
                locks.callback(lock.close)
                locks.enter_context(lock)
            for part in PARTS:
                names = sorted(os.listdir(long_path(folder / part)))  # noqa: PTH208
                if len(names) > _MOST_FILES:
                    return None
                paths = [folder / part / name for name in names]
                found[part] = {path.name: _hold(path, undo) for path in paths if _is_file(path)}
        undo.pop_all()
    return found


def _hold(path: Path, undo: ExitStack) -> Held:
    descriptor = patiently(lambda: os.open(long_path(path), _FLAGS))
    undo.callback(os.close, descriptor)
    return Held(descriptor, os.fstat(descriptor))


def _is_file(path: Path) -> bool:
    return stat.S_ISREG(os.lstat(long_path(path)).st_mode)


def _is_folder(path: Path) -> bool:
    return long_path(path).is_dir() and not long_path(path).is_symlink()

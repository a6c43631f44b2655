"""A private folder for the time of one piece of work."""

import secrets
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from holdfast.durable.files import make_folder, remove, remove_tree
from holdfast.durable.locks import Lock
from holdfast.durable.names import long_path
from holdfast.errors import BusyError, HoldfastError, storage_errors

_STALE = 86_400.0  # seconds after which what has no lock beside it is nobody's any more
_LOCK = ".lock"


@contextmanager
def scratch_folder(private: Path) -> Iterator[Path]:
    """A folder below `private` that is removed at the end, and what killed work left there now."""
    place = private / "scratch"
    make_folder(private, private=True)
    make_folder(place, private=True)
    with storage_errors(place, "clean up"):
        for path in sorted(long_path(place).iterdir()):
            _sweep(path)
    folder = place / secrets.token_hex(8)
    lock = Lock(place / (folder.name + _LOCK), purpose="work in a folder of its own", timeout=30.0)
    try:
        with lock:
            make_folder(folder, private=True)
            try:
                yield folder
            finally:
                remove_tree(folder)
    finally:
        _remove(lock.path)


def _sweep(path: Path) -> None:
    """Remove a folder whose owner is dead, with its lock."""
    if path.suffix == _LOCK:
        with suppress(BusyError):
            with Lock(path, purpose="clean up", timeout=0):
                remove_tree(path.with_suffix(""))
            _remove(path)
    elif not path.with_name(path.name + _LOCK).exists():
        with suppress(FileNotFoundError):  # removed by its owner meanwhile
            if time.time() - path.stat().st_mtime > _STALE:
                remove_tree(path)


def _remove(lock: Path) -> None:
    with suppress(HoldfastError):  # Windows: somebody looks whether it is held
        remove(lock)

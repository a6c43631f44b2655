"""Databases that somebody has open while they are brought back."""

from pathlib import Path

from holdfast.durable.files import remove, temporary_beside
from holdfast.durable.names import plain_path
from holdfast.durable.quarantine import Quarantine
from holdfast.engines.sqlite_copy import copy_database
from holdfast.engines.sqlite_restore import check_readable, used_by_others
from holdfast.errors import UnreadableError


def is_in_use(path: Path) -> bool:
    """Whether the file at `path` is a database that another connection has open."""
    if not used_by_others(path):
        return False
    try:
        check_readable(path)
    except UnreadableError:
        return False  # torn, or no database: it is replaced as any file
    return True


def keep_database(path: Path, quarantine: Quarantine, *, reason: str) -> str:
    """Put a copy of the database into quarantine, as if it had been moved; returns its id there."""
    copy = temporary_beside(path)
    try:
        copy_database(path, copy)
        return quarantine.take(copy, reason=reason, origin=plain_path(path)).id
    finally:
        remove(copy)

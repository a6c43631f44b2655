"""Pruning by hand: which log files are past a time, and taking them away from under no writer.

Writers remove what is older than their own rotation says; this is for keeping less, or for the
files of components that write no more.
"""

import os
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from fnmatch import fnmatchcase
from pathlib import Path

from holdfast.durable.locks import Lock
from holdfast.durable.names import long_path
from holdfast.durable.shared_files import Identity, identity, open_for_reading, try_exclusive
from holdfast.logs.sources import list_logs


@dataclass(frozen=True)
class OldLog:
    """A log file, the time of its last line, and its length in bytes."""

    path: Path
    component: str
    until: datetime
    size: int
    identity: Identity


def logs_before(folder: Path, moment: datetime, components: Sequence[str] = ()) -> list[OldLog]:
    """The files in `folder` whose last line was written before `moment`, the oldest first.

    `components` as in a search; none means all. Raises `NotFoundError`, `StorageError`.
    """
    found = []
    for name, parts in list_logs(folder).items():
        if components and not any(fnmatchcase(parts.component, each) for each in components):
            continue
        with suppress(FileNotFoundError):  # rotated or compressed since
            status = long_path(folder / name).stat()
            until = parts.rotated_at or datetime.fromtimestamp(status.st_mtime, UTC)
            if until < moment:
                which = (status.st_dev, status.st_ino)
                found.append(OldLog(folder / name, parts.component, until, status.st_size, which))
    return sorted(found, key=lambda log: (log.until, log.path))


def take_away(
    folder: Path, logs: Sequence[OldLog], take: Callable[[Path], None]
) -> tuple[list[OldLog], list[OldLog]]:
    """Let `take` move each of `logs`; returns what went, and what stays since somebody writes it.

    Raises `BusyError` when others rotate for long, and whatever `take` raises.
    """
    gone: list[OldLog] = []
    kept: list[OldLog] = []
    with Lock(folder / ".upkeep.lock", purpose="prune logs"):
        for log in logs:
            try:
                descriptor = open_for_reading(log.path)
            except FileNotFoundError:
                continue  # compressed, or removed by a writer, since it was listed
            try:
                # Held until it is moved: a writer that opens it now looks where it is, and makes
                # a new one.
                if try_exclusive(descriptor) and identity(log.path) == log.identity:
                    take(log.path)
                    gone.append(log)
                else:
                    kept.append(log)
            finally:
                os.close(descriptor)
    return gone, kept

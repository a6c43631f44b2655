"""Rotated log files: how they are called, compressed, and removed when they are old.

``<component>.<time>.log``, then ``<component>.<time>.log.zst``, where the time is that of the
rotation or of the file's last line, whichever is later, as in ``20250120T103000.123456Z``.
"""

import os
import re
import threading
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import NamedTuple

from holdfast.durable.faults import fault_point
from holdfast.durable.files import remove, sweep_temporary, write_atomic
from holdfast.durable.locks import Lock
from holdfast.durable.names import long_path
from holdfast.durable.shared_files import open_for_reading, read_at, try_exclusive
from holdfast.errors import HoldfastError

_NAME = re.compile(
    r"(?P<component>.+?)(\.(?P<time>\d{8}T\d{6}\.\d{6}Z))?\.log(?P<packed>\.zst)?", re.DOTALL
)
_STAMP = "%Y%m%dT%H%M%S.%fZ"
_CHUNK = 1 << 20


class LogName(NamedTuple):
    """What a log file's name says. `rotated_at` is None for the file being written."""

    component: str
    rotated_at: datetime | None
    packed: bool


def parse_name(name: str) -> LogName | None:
    """The parts of a log file's name; None when it is not one."""
    match = _NAME.fullmatch(name)
    if match is None or name.startswith("."):
        return None
    time = match["time"]
    try:
        rotated = datetime.strptime(time, _STAMP).replace(tzinfo=UTC) if time else None
    except ValueError:
        return None
    return LogName(match["component"], rotated, match["packed"] is not None)


class Archive(NamedTuple):
    """The rotated files of one component in one folder."""

    folder: Path
    component: str
    keep_days: float | None
    compress: bool

    def free_name(self, newest: str) -> Path:
        """A name that no rotated file has; `newest` is the sort key of the last line."""
        moment = datetime.fromisoformat(newest[:26]).replace(tzinfo=UTC)
        while True:
            path = self.folder / f"{self.component}.{moment.strftime(_STAMP)}.log"
            if not (long_path(path).exists() or long_path(_packed(path)).exists()):
                return path
            moment += timedelta(microseconds=1)

    def tidy_later(self) -> None:
        """Compress and remove in a thread, so that no line waits for it."""
        if not any(self._work()):
            return
        try:
            threading.Thread(target=self._tidy_quietly, name="holdfast-logs").start()
        except RuntimeError:  # the interpreter is ending; the next writer does it
            return

    def tidy(self) -> None:
        """Compress what no writer has open any more, remove what is older than `keep_days`.

        Raises `BusyError` when another process is at it, `StorageError`.
        """
        with Lock(self.folder / ".upkeep.lock", purpose="compress logs", timeout=0):
            sweep_temporary(self.folder)
            done: set[Path] = set()
            while fresh := [item for item in self._work() if item[0] not in done]:
                for path, is_old in fresh:
                    done.add(path)
                    if is_old:
                        remove(path)
                    else:
                        _compress(path)

    def _tidy_quietly(self) -> None:
        try:
            self.tidy()
        except (HoldfastError, OSError):
            return  # nothing is lost by leaving files as they are until the next time

    def _work(self) -> list[tuple[Path, bool]]:
        """The files to deal with, and whether each is past its days."""
        work = []
        for entry in os.scandir(long_path(self.folder)):
            name = parse_name(entry.name)
            if name is None or name.component != self.component or name.rotated_at is None:
                continue
            if self._is_old(name.rotated_at):
                work.append((self.folder / entry.name, True))
            elif self.compress and not name.packed:
                work.append((self.folder / entry.name, False))
        return sorted(work)

    def _is_old(self, rotated_at: datetime) -> bool:
        if self.keep_days is None:
            return False
        return datetime.now(UTC) - rotated_at > timedelta(days=self.keep_days)


def _packed(path: Path) -> Path:
    return path.with_name(path.name + ".zst")


def _compress(path: Path) -> None:
    """Put a rotated file's compressed twin in its place, if nobody can append to it any more."""
    import zstandard

    try:
        descriptor = open_for_reading(path)
    except FileNotFoundError:
        return
    try:
        if not try_exclusive(descriptor):
            return
        status = os.fstat(descriptor)
        content = b"".join(_chunks(descriptor))
        packed = zstandard.ZstdCompressor(level=3, write_checksum=True).compress(content)
        write_atomic(_packed(path), packed)
        # The age by which others clean up, such as find -mtime, is that of the lines.
        os.utime(long_path(_packed(path)), ns=(status.st_atime_ns, status.st_mtime_ns))
        fault_point("logs.compressed")
        remove(path)
    finally:
        os.close(descriptor)


def _chunks(descriptor: int) -> list[bytes]:
    chunks, offset = [], 0
    while chunk := read_at(descriptor, _CHUNK, offset):
        chunks.append(chunk)
        offset += len(chunk)
    return chunks

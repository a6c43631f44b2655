"""The files of a search, as they are at one moment, and their lines in blocks.

Writers rotate and compress while we look. So the plain files are opened first, and the look is
repeated until a second listing of the folder agrees with what was opened: then each line is in
exactly one of the files.
"""

import os
import re
import time
from collections.abc import Iterator
from pathlib import Path

from holdfast.durable.names import long_path
from holdfast.durable.shared_files import Identity, identity, open_for_reading, read_at
from holdfast.errors import NotFoundError, StorageError, storage_error
from holdfast.logs.lines import START
from holdfast.logs.rotation import LogName, parse_name

_BLOCK = 64 << 10  # what is looked through several times stays in the processor's cache
_PROBE = 1 << 16
_NARROW_ENOUGH = 1 << 18
_ATTEMPTS = 50
# A line's time, behind the end of the line before: a text to begin with is found much faster.
_STAMP = re.compile(rb"\n" + re.escape(START) + rb"(\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(?:\.\d{1,9})?)Z")


class DamagedFileError(Exception):
    """A compressed file cannot be read any further."""


class Source:
    """One log file of a search. A plain one is open and read up to the size it had then."""

    def __init__(self, path: Path, name: LogName) -> None:
        self.path = path
        self.name = name
        self.descriptor = -1
        self.identity: Identity = (0, 0)
        self.end = 0
        if not name.packed:
            self.descriptor = open_for_reading(path)
            status = os.fstat(self.descriptor)
            self.identity = (status.st_dev, status.st_ino)
            self.end = status.st_size

    def __del__(self) -> None:
        if getattr(self, "descriptor", -1) >= 0:
            os.close(self.descriptor)

    def leave_unfinished_line(self) -> None:
        """Move the end back behind the last newline; the rest is still being written."""
        at = self.end
        while at > 0:
            start = max(0, at - _PROBE)
            newline = read_at(self.descriptor, at - start, start).rfind(b"\n")
            if newline >= 0:
                self.end = start + newline + 1
                return
            at = start
        self.end = 0

    def first_stamp(self) -> bytes:
        """The earliest time near the beginning; empty when there is none."""
        try:
            beginning = next(self._pieces(0, self.end, _PROBE), b"")
        except DamagedFileError:
            return b""
        return min(_STAMP.findall(b"\n" + beginning), default=b"")

    def blocks(self, since: bytes, until: bytes) -> Iterator[bytes]:
        """Whole lines in blocks; those earlier than `since` or later than `until` may be left out.

        Only the last block may end without a newline. Raises `DamagedFileError`.
        """
        start, end = 0, self.end
        if since and self.descriptor >= 0:
            start = self._skip_earlier(since)
        if until and self.descriptor >= 0:
            end = self._skip_later(until, start)
        yield from self._whole_lines(start, end) if self.descriptor >= 0 else self._unpacked_lines()

    def _whole_lines(self, start: int, end: int) -> Iterator[bytes]:
        """Blocks that begin where a line does, so that none has to be put together."""
        size = _BLOCK
        while start < end:
            piece = read_at(self.descriptor, min(size, end - start), start)
            cut = piece.rfind(b"\n") + 1
            if cut:
                yield piece[:cut]
                start, size = start + cut, _BLOCK
            elif start + len(piece) >= end or len(piece) < size:
                yield piece  # the last line, or what is left of a file cut short meanwhile
                return
            else:
                size *= 2  # a line longer than that

    def _unpacked_lines(self) -> Iterator[bytes]:
        rest: list[bytes] = []
        for piece in _unpack(self.path, _BLOCK):
            cut = piece.rfind(b"\n") + 1
            if not cut:
                rest.append(piece)
                continue
            yield b"".join([*rest, piece[:cut]])
            rest = [piece[cut:]]
        if last := b"".join(rest):
            yield last

    def _skip_earlier(self, since: bytes) -> int:
        """The beginning of a line before which all is earlier than `since`, by bisection."""
        low, high = 0, self.end
        while high - low > _NARROW_ENOUGH:
            middle = (low + high) // 2
            stamps = self._stamps_at(middle)
            if not stamps:
                break
            if max(stamps) < since:
                low = middle
            else:
                high = middle
        return self._next_line(low - 1) if low else 0

    def _skip_later(self, until: bytes, low: int) -> int:
        """The end of a line behind which all is later than `until`, by bisection."""
        high = self.end
        while high - low > _NARROW_ENOUGH:
            middle = (low + high) // 2
            stamps = self._stamps_at(middle)
            if not stamps:
                break
            if min(stamps) > until:
                high = middle
            else:
                low = middle
        return self._next_line(high)

    def _next_line(self, offset: int) -> int:
        while offset < self.end:
            piece = read_at(self.descriptor, min(_PROBE, self.end - offset), offset)
            newline = piece.find(b"\n")
            if newline >= 0:
                return offset + newline + 1
            offset += len(piece) or self.end
        return self.end

    def _stamps_at(self, offset: int) -> list[bytes]:
        piece = read_at(self.descriptor, _PROBE, offset)
        return _STAMP.findall(piece)

    def _pieces(self, start: int, end: int, size: int) -> Iterator[bytes]:
        if self.name.packed:
            yield from _unpack(self.path, size)
            return
        while start < end:
            piece = read_at(self.descriptor, min(size, end - start), start)
            if not piece:
                return  # cut short by somebody meanwhile
            yield piece
            start += len(piece)


def _unpack(path: Path, size: int) -> Iterator[bytes]:
    import zstandard

    try:
        with (
            long_path(path).open("rb") as file,
            zstandard.ZstdDecompressor().stream_reader(file, read_across_frames=True) as content,
        ):
            while piece := content.read(size):
                yield piece
    except zstandard.ZstdError as error:
        raise DamagedFileError(str(error)) from error
    except FileNotFoundError:
        return  # past its days, and removed since the search began


def open_sources(folder: Path) -> list[Source]:
    """All log files in `folder`. Raises `NotFoundError`, `StorageError`."""
    for attempt in range(_ATTEMPTS):
        names = list_logs(folder)
        try:
            sources = [Source(folder / name, parts) for name, parts in names.items()]
            agreed = all(s.name.packed or identity(s.path) == s.identity for s in sources)
        except FileNotFoundError:
            agreed = False
        except OSError as error:
            raise storage_error(error, folder, "open the logs") from error
        if agreed and names == list_logs(folder):
            return [source for source in sources if not _is_twin(source, names)]
        time.sleep(0.002 * attempt)
    raise StorageError(
        "the logs are rotated faster than they can be opened", path=folder, hint="try again"
    )


def list_logs(folder: Path) -> dict[str, LogName]:
    """The names of the log files in `folder`. Raises `NotFoundError`, `StorageError`."""
    try:
        found = {entry.name: parse_name(entry.name) for entry in long_path(folder).iterdir()}
    except FileNotFoundError as error:
        raise NotFoundError("there is no such log folder", path=folder) from error
    except OSError as error:
        raise storage_error(error, folder, "list the logs") from error
    return {name: parts for name, parts in sorted(found.items()) if parts is not None}


def _is_twin(source: Source, names: dict[str, LogName]) -> bool:
    """Whether this is the compressed twin of a file that is still there (a crash between)."""
    return source.name.packed and source.path.name.removesuffix(".zst") in names


def starts_like_ours(line: bytes) -> bool:
    """Whether `line` begins and ends as each whole line of ours does."""
    return line.startswith(START) and line.endswith(b"}")

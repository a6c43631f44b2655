"""The messages of a file queue: every plain put, in order, in numbered segments.

``messages/00000001.jsonl`` holds sealed lines (see `holdfast.durable.journal`) whose records are::

    {"segment":1,"formatVersion":1,"n":0}        first: messages were put before this segment
    {"msg":<payload>,"at":1763874000.5,"n":1}    one put; n counts messages, without a gap
    {"roll":2,"n":1}                             last: it goes on in segment 2

Producers append under one lock and need to know nothing but the last line; they never wait for
consumers. The consumer's cursor walks the same files, so a take costs the same at any backlog.
"""

from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import NamedTuple
from zlib import crc32

import msgspec

from holdfast.durable.appending import AppendFile, NumberedFile
from holdfast.durable.faults import fault_point
from holdfast.durable.files import make_folder, sync_folder
from holdfast.durable.grouping import GroupCommit
from holdfast.durable.journal import seal, unseal
from holdfast.durable.locks import QuickLock
from holdfast.durable.names import long_path
from holdfast.errors import CorruptError, NewerFormatError, UnreadableError, storage_error
from holdfast.queues.stores.file.torn import cut_torn_tail

FORMAT_VERSION = 1

_MESSAGE, _ROLL, _HEADER = b'{"msg":', b'{"roll":', b'{"segment":'
_TAIL = 256  # bytes: holds any roll or header line whole
_CHUNK = 1 << 16


class Cursor(NamedTuple):
    """Where the line goes on: a byte of a segment, and how many messages stand before it."""

    segment: int
    offset: int
    n: int


class Found(NamedTuple):
    """A message in the line, and the cursor behind it."""

    n: int
    segment: int
    offset: int
    length: int
    at: float
    payload: bytes
    behind: Cursor


class _Header(msgspec.Struct, rename="camel"):
    segment: int
    format_version: int
    n: int


class _Numbered(msgspec.Struct):
    n: int
    roll: int | None = None


def segment_path(folder: Path, number: int) -> Path:
    """The file of segment `number`."""
    return folder / f"{number:08d}.jsonl"


def segment_numbers(folder: Path) -> list[int]:
    """The numbers of the files in `folder`, ascending."""
    target = long_path(folder)
    if not target.is_dir():
        return []
    stems = (path.name.removesuffix(".jsonl") for path in target.iterdir())
    return sorted(int(stem) for stem in stems if len(stem) == 8 and stem.isdigit())


class MessageWriter:
    """Appends messages. Every call holds `lock` (the producers') inside; thread-safe."""

    def __init__(self, folder: Path, *, segment_bytes: int, sync: bool) -> None:
        self.folder = folder
        self.cut = 0
        make_folder(folder)
        self.lock = QuickLock(folder.parent / "put.lock")
        self._segment_bytes = segment_bytes
        self._sync = sync
        self._group: GroupCommit[tuple[Sequence[bytes], float], int] = GroupCommit(self._commit)
        self._out: NumberedFile | None = None
        self._last = 0

    def open(self, cursor: Cursor) -> None:
        """Find the end. `cursor` is the consumers', which a power cut may have put beyond it."""
        with self.lock:
            self._find_end(cursor)

    @property
    def is_open(self) -> bool:
        """Whether `open` was called."""
        return self._out is not None

    def append(self, payloads: Sequence[bytes], now: float) -> int:
        """Append messages; returns the number of the first. Raises `StorageError`."""
        return self._group.ask((payloads, now)) if self._sync else self._write(payloads, now)

    def _commit(self, group: Sequence[tuple[Sequence[bytes], float]]) -> list[int]:
        """Write what several threads put, with one fsync."""
        out = self._out
        assert out is not None
        now = max(moment for _, moment in group)
        first = self._write([payload for payloads, _ in group for payload in payloads], now)
        out.sync((out.number, out.end))
        firsts = []
        for payloads, _ in group:
            firsts.append(first)
            first += len(payloads)
        return firsts

    def _write(self, payloads: Sequence[bytes], now: float) -> int:
        out = self._out
        assert out is not None
        at = b"%.6f" % now
        with self.lock:
            try:
                if out.file.size() != out.end:
                    self._follow(out)
                if out.end >= self._segment_bytes:
                    self._roll(out)
                first = n = self._last + 1
                lines = []
                for payload in payloads:
                    record = b'{"msg":%b,"at":%b,"n":%d}' % (payload, at, n)
                    lines.append(b'{"crc":"%08x","rec":%b}\n' % (crc32(record), record))
                    n += 1
                fault_point("queue.append")
                out.append(lines[0] if n - first == 1 else b"".join(lines))
                self._last = n - 1
                fault_point("queue.appended")
            except BaseException as error:
                out.end = -1  # look at the last line again before the next put
                if isinstance(error, OSError):
                    raise storage_error(error, out.file.path, "append to the queue") from error
                raise
        return first

    def last_number(self) -> int:
        """How many messages were ever put."""
        assert self._out is not None
        with self.lock:
            if self._out.file.size() != self._out.end:
                self._follow(self._out)
            return self._last

    def mend(self, segment: int) -> None:
        """Cut an unfinished last line off `segment`. Raises `CorruptError` for other damage."""
        with self.lock:
            self.cut += cut_torn_tail(segment_path(self.folder, segment))

    def close(self) -> None:
        """Close the files."""
        if self._out is not None:
            self._out.file.close()
        self.lock.close()

    def _find_end(self, cursor: Cursor) -> None:
        number = max([*segment_numbers(self.folder), 1])
        before = self._last_of(number - 1) if number > 1 else 0
        file = AppendFile(segment_path(self.folder, number), create=True)
        self._out = NumberedFile(number, file, 0)
        self._last = before
        self._follow(self._out)
        if (self._out.number, self._out.end) < cursor[:2]:
            self._last = max(self._last, cursor.n)
            while self._out.number <= cursor.segment:
                self._roll(self._out)

    def _last_of(self, number: int) -> int:
        path = segment_path(self.folder, number)
        if not long_path(path).exists():
            return 0  # used up and removed: then the next segment has its header
        file = AppendFile(path, create=False)
        try:
            return self._read_tail(file, file.size()).n
        finally:
            file.close()

    def _follow(self, out: NumberedFile) -> None:
        """Others wrote, or died writing: take over from the last line."""
        while True:
            out.end = out.file.size()
            if out.end == 0:
                self._begin(out)
                return
            tail = self._read_tail(out.file, out.end)
            out.end = out.file.size()
            if out.end == 0:
                continue
            self._last = tail.n
            if tail.roll is None:
                return
            # Others may be further already, and that segment used up and removed.
            self._enter(out, max(tail.roll, *segment_numbers(self.folder)))

    def _read_tail(self, file: AppendFile, size: int) -> _Numbered:
        """The number of the last line, which is mended first if it is unfinished."""
        record = self._last_record(file, size)
        if record is None:
            self.cut += cut_torn_tail(file.path)
            size = file.size()
            if size == 0:
                return _Numbered(0)
            record = self._last_record(file, size)
        try:
            if record is None:
                raise ValueError("no record")
            if record.startswith(_MESSAGE):
                return _Numbered(int(record[record.rindex(b',"n":') + 5 : -1]))
            if record.startswith(_HEADER):
                return _Numbered(_check_header(record, file.path).n)
            return msgspec.json.decode(record, type=_Numbered)
        except (ValueError, msgspec.MsgspecError) as error:
            raise UnreadableError(
                "the last line is no record of a queue", path=file.path, hint=_WAY_OUT
            ) from error

    def _last_record(self, file: AppendFile, size: int) -> bytes | None:
        window = _TAIL
        while True:
            start = max(0, size - window)
            data = file.read(start, size - start)
            if not data.endswith(b"\n"):
                return None
            line_at = data.rfind(b"\n", 0, -1) + 1
            if line_at or start == 0:
                return unseal(data[line_at:])
            window *= 8

    def _begin(self, out: NumberedFile) -> None:
        header = b'{"segment":%d,"formatVersion":%d,"n":%d}' % (
            out.number,
            FORMAT_VERSION,
            self._last,
        )
        out.append(seal(header))
        fault_point("queue.segment.begun")
        out.file.sync()
        sync_folder(self.folder)

    def _roll(self, out: NumberedFile) -> None:
        out.append(seal(b'{"roll":%d,"n":%d}' % (out.number + 1, self._last)))
        fault_point("queue.segment.rolled")
        self._enter(out, out.number + 1)
        self._follow(out)

    def _enter(self, out: NumberedFile, number: int) -> None:
        file = AppendFile(segment_path(self.folder, number), create=True)
        out.move_on(number, file, 0, sync=self._sync)


class MessageReader:
    """Walks the line from a cursor. One thread at a time: the ledger's lock covers it."""

    def __init__(self, folder: Path, mend: Callable[[int], None]) -> None:
        self.folder = folder
        self._mend = mend
        self._files: dict[int, AppendFile] = {}
        self._segment = 0
        self._start = 0
        self._buffer = b""

    def first(self, cursor: Cursor) -> Found | None:
        """The message at `cursor`; None at the end of the line. Raises `UnreadableError`."""
        segment, offset, _ = cursor
        while True:
            line = self._line(segment, offset)
            if line is None:
                if not self._lost_its_end(segment, offset):
                    return None
                segment, offset = segment + 1, 0
                continue
            record = unseal(line)
            if record is None:
                self._mend(segment)  # raises, unless it was the torn last line
                self._buffer = b""
                return None
            if record.startswith(_MESSAGE):
                return _found(record, segment, offset, len(line), self.folder)
            if record.startswith(_ROLL):
                segment, offset = segment + 1, 0
            else:
                _check_header(record, self._path(segment))
                offset += len(line)

    def walk(self, cursor: Cursor) -> Iterator[Found]:
        """All messages from `cursor` on."""
        while (found := self.first(cursor)) is not None:
            yield found
            cursor = found.behind

    def payload(self, segment: int, offset: int, length: int) -> bytes:
        """The payload of the message whose line is there. Raises `CorruptError`."""
        file = self._file(segment)
        record = None if file is None else unseal(file.read(offset, length))
        if record is None:
            raise CorruptError(
                f"the message at byte {offset} does not match its checksum",
                path=self._path(segment),
                hint=_WAY_OUT,
            )
        return _found(record, segment, offset, length, self.folder).payload

    def forget(self, segment: int) -> None:
        """Close the file of a segment that is to be removed."""
        file = self._files.pop(segment, None)
        if file is not None:
            file.close()

    def close(self) -> None:
        """Close the files."""
        for segment in list(self._files):
            self.forget(segment)

    def _path(self, segment: int) -> Path:
        return segment_path(self.folder, segment)

    def _file(self, segment: int) -> AppendFile | None:
        file = self._files.get(segment)
        if file is None and long_path(self._path(segment)).exists():
            if len(self._files) >= 8:
                self.forget(min(self._files))
            file = self._files[segment] = AppendFile(self._path(segment), create=False)
        return file

    def _line(self, segment: int, offset: int) -> bytes | None:
        """The whole line at `offset`; None when there is none yet."""
        at = offset - self._start
        if segment == self._segment and 0 <= at < len(self._buffer):
            end = self._buffer.find(b"\n", at) + 1
            if end:
                return self._buffer[at:end]
        file = self._file(segment)
        if file is None:
            self._refuse_a_hole(segment)
            return None
        size = _CHUNK
        while True:
            data = file.read(offset, size)
            end = data.find(b"\n") + 1
            if end or len(data) < size:
                break
            size *= 8
        self._segment, self._start, self._buffer = segment, offset, data
        return data[:end] if end else None

    def _lost_its_end(self, segment: int, offset: int) -> bool:
        """After a power cut the cursor may stand beyond what is left; the line goes on behind."""
        file = self._files.get(segment)
        return (
            file is not None
            and offset > file.size()
            and long_path(self._path(segment + 1)).exists()
        )

    def _refuse_a_hole(self, segment: int) -> None:
        later = [number for number in segment_numbers(self.folder) if number > segment]
        if later:
            raise UnreadableError(
                "the segment is missing, and later ones are there",
                path=self._path(segment),
                hint=_WAY_OUT,
            )


_WAY_OUT = "restore the queue's folder from a backup; nothing was changed"


def _found(record: bytes, segment: int, offset: int, length: int, folder: Path) -> Found:
    try:
        number_at = record.rindex(b',"n":')
        at_at = record.rindex(b',"at":', 0, number_at)
        n = int(record[number_at + 5 : -1])
        at = float(record[at_at + 6 : number_at])
    except ValueError as error:
        raise UnreadableError(
            f"the record at byte {offset} is no message",
            path=segment_path(folder, segment),
            hint=_WAY_OUT,
        ) from error
    behind = Cursor(segment, offset + length, n)
    return Found(n, segment, offset, length, at, record[len(_MESSAGE) : at_at], behind)


def _check_header(record: bytes, path: Path) -> _Header:
    try:
        header = msgspec.json.decode(record, type=_Header)
    except msgspec.MsgspecError as error:
        raise UnreadableError(
            f"not a record of a queue: {error}", path=path, hint=_WAY_OUT
        ) from error
    if header.format_version > FORMAT_VERSION:
        raise NewerFormatError(
            f"written in format {header.format_version}; this Holdfast reads up to"
            f" {FORMAT_VERSION}",
            path=path,
            hint="upgrade Holdfast; nothing was changed",
        )
    return header

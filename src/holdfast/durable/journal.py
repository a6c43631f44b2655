"""Checksummed JSON Lines: an append-only journal that tells torn from whole.

Each line is ``{"crc":"1a2b3c4d","rec":<record>}``: the CRC-32 (IEEE 802.3, eight lower-case hex
digits) of the record's exact bytes, then the record, any JSON value without a newline. So
``jq .rec`` reads it, and a record is checked without being parsed.

A crash can leave an unfinished last line (without its newline, or with blocks never written, which
read as NULs); it was never acknowledged, so it is cut off and reported. Any other damage is an
error, and nothing is cut.
"""

import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from zlib import crc32

from holdfast.durable.closing import Closing
from holdfast.durable.faults import fault_point
from holdfast.durable.files import Durability, read_bytes, sync_file, sync_folder, write_all
from holdfast.durable.names import long_path
from holdfast.errors import CorruptError, storage_errors

_AT_ONCE = 1 << 20  # bytes; more would be in memory four times
_RECORD_AT = len(b'{"crc":"1a2b3c4d","rec":')


def seal(record: bytes) -> bytes:
    """The line of one record (JSON bytes without a newline), newline included."""
    if not record or b"\n" in record:
        raise ValueError("a journal record is JSON on one line")
    return b'{"crc":"%08x","rec":%b}\n' % (crc32(record), record)


def unseal(line: bytes) -> bytes | None:
    """The record of one whole line (with or without its newline); None when it is damaged."""
    line = line.removesuffix(b"\n")
    record = line[_RECORD_AT:-1]
    sound = line.endswith(b"}") and line.startswith(b'{"crc":"%08x","rec":' % crc32(record))
    return record if sound else None


@dataclass(frozen=True)
class Contents:
    """What a journal file holds.

    `records` are the whole records in order; `sound_length` is the length in bytes up to which the
    file is sound; `torn` is the number of bytes of an unfinished last line beyond it.
    """

    records: list[bytes]
    sound_length: int
    torn: int


def parse(data: bytes, path: Path) -> Contents:
    """The records in `data`. Raises `CorruptError` with the line when damage is not at the end."""
    if len(data) > _AT_ONCE:
        return _parse_line_by_line(data, path)
    lines = data.split(b"\n")
    records = [line[_RECORD_AT:-1] for line in lines[:-1]]
    sealed = [b'{"crc":"%08x","rec":%b}' % (crc32(record), record) for record in records]
    if not lines[-1] and sealed == lines[:-1]:
        return Contents(records, len(data), 0)
    return _parse_line_by_line(data, path)


def _parse_line_by_line(data: bytes, path: Path) -> Contents:
    records: list[bytes] = []
    offset = 0
    for number, line in enumerate(_lines(data), start=1):
        record = unseal(line) if line.endswith(b"\n") else None
        if record is None:
            _refuse_damage(line, data[offset + len(line) :], number, path)
            return Contents(records, offset, len(data) - offset)
        records.append(record)
        offset += len(line)
    return Contents(records, offset, 0)


def read_journal(path: Path) -> Contents:
    """The records of the journal file `path`. Raises `NotFoundError`, `CorruptError`."""
    return parse(read_bytes(path), path)


def mend(path: Path) -> int:
    """Cut an unfinished last line off; returns how many bytes were cut (0 when all is whole).

    The caller holds the lock under which the journal is written. Raises `CorruptError`.
    """
    contents = read_journal(path)
    if contents.torn:
        with storage_errors(path, "cut the unfinished line"):
            os.truncate(long_path(path), contents.sound_length)
    return contents.torn


class JournalWriter(Closing):
    """Appends records to one journal file; made if missing.

    The caller holds whatever lock keeps other writers out. `append` returns once all records are
    written with the writer's durability; what a crashed writer left unfinished is cut off before.
    """

    def __init__(self, path: Path, *, durability: Durability = "process") -> None:
        self.path = path
        self.durability = durability
        flags = os.O_RDWR | os.O_CREAT | os.O_APPEND | getattr(os, "O_BINARY", 0)
        with storage_errors(path, "open the journal"):
            self._descriptor = os.open(long_path(path), flags, 0o644)
        self._size = -1  # up to where the file is known to be whole
        try:
            if durability == "power":
                sync_folder(path.parent)
        except BaseException:
            self.close()
            raise

    def append(self, *records: bytes) -> None:
        """Append `records`, all or none.

        Raises `StorageError` when the disk refuses (the file is then cut back to whole) and
        `CorruptError` when the end of the file is damaged.
        """
        data = b"".join(map(seal, records))
        with storage_errors(self.path, "append to the journal"):
            before = self._whole_size()
            try:
                write_all(self._descriptor, data)
                fault_point("journal.appended")
                if self.durability == "power":
                    sync_file(self._descriptor)
            except BaseException:
                self._size = -1
                os.ftruncate(self._descriptor, before)
                raise
            self._size = before + len(data)

    def _whole_size(self) -> int:
        """The size of the file, after an unfinished last line of another writer was cut off."""
        size = os.fstat(self._descriptor).st_size
        if size not in (0, self._size):
            os.lseek(self._descriptor, size - 1, os.SEEK_SET)
            if os.read(self._descriptor, 1) != b"\n":
                mend(self.path)
                size = os.fstat(self._descriptor).st_size
        return size

    def close(self) -> None:
        """Close the file; closing it again does nothing."""
        descriptor, self._descriptor = self._descriptor, -1
        if descriptor >= 0:
            os.close(descriptor)


def _lines(data: bytes) -> Iterator[bytes]:
    start = 0
    while start < len(data):
        end = data.find(b"\n", start) + 1 or len(data)
        yield data[start:end]
        start = end


def _refuse_damage(line: bytes, after: bytes, number: int, path: Path) -> None:
    """A damaged line that is complete, or that a sound one follows, was not torn by a crash."""
    complete = line.endswith(b"\n") and b"\0" not in line
    if complete or any(unseal(later) is not None for later in _lines(after)):
        raise CorruptError(
            "the line does not match its checksum",
            path=path,
            line=number,
            column=1,
            hint="restore this file from a backup; the lines after it are still readable",
        )

"""Archives: a stream moved out of the log into one checksummed JSON Lines file.

``jq .rec`` reads it: first ``{"stream", "version", "archivedAt", "format"}``, then one
``{"position", "version", "type", "body"}`` an event.
"""

from collections.abc import Iterator
from pathlib import Path

import msgspec

from holdfast.durable.faults import fault_point
from holdfast.durable.files import make_folder, write_atomic
from holdfast.durable.journal import read_journal, seal
from holdfast.errors import ConflictError, CorruptError, NewerFormatError, NotFoundError
from holdfast.events.event import check_name, keys_of
from holdfast.events.store import EventStore, StoredEvent

_PAGE = 1000  # events a read
_FORMAT = 1


class Archive(msgspec.Struct, frozen=True, rename="camel"):
    """Where an archived stream is; `archived_at` is in seconds of the epoch."""

    stream: str
    version: int
    archived_at: float
    file: str

    @property
    def path(self) -> Path:
        """The file it was written to."""
        return Path(self.file)


class _Head(msgspec.Struct, frozen=True, rename="camel"):
    """The first line of an archive: how many events follow (one a version)."""

    stream: str
    version: int
    archived_at: float
    format: int = _FORMAT


class _Line(msgspec.Struct, frozen=True):
    """An event in an archive."""

    position: int
    version: int
    type: str
    body: msgspec.Raw


def archive_of(note: bytes) -> Archive:
    """The archive that an engine's note tells of."""
    return msgspec.json.decode(note, type=Archive)


def archive_stream(store: EventStore, stream: str, path: Path, now: float) -> Archive:
    """Write the file, then let the engine remove the events; see `EventLog.archive`."""
    if store.archived(stream) is not None:
        raise ConflictError(f"the stream {stream!r} is archived already")
    version = store.version(stream)
    if not version:
        raise NotFoundError(f"there is no stream {stream!r}", hint="holdfast events streams")
    make_folder(path.parent, durability="power")
    head = msgspec.json.encode(_Head(stream, version, now))
    lines = (seal(msgspec.json.encode(line)) for line in _lines(store, stream, version))
    write_atomic(path, seal(head) + b"".join(lines), durability="power", exclusive=True)
    fault_point("events.archive.written")
    archive = Archive(stream, version, now, str(path))
    if not store.archive(stream, version, msgspec.json.encode(archive)):
        raise ConflictError(
            f"somebody appended to {stream!r} while it was archived; it is still in the log",
            path=path,
            hint="archive it again, to another file",
        )
    return archive


def read_archive(store: EventStore, stream: str) -> list[StoredEvent]:
    """The events of an archived stream. Raises `NotFoundError`, `CorruptError`."""
    note = store.archived(stream)
    if note is None:
        raise NotFoundError(f"the stream {stream!r} is not archived")
    archive = archive_of(note)
    contents = read_journal(archive.path)
    first = contents.records[:1]
    head = msgspec.json.decode(first[0], type=_Head) if first else None
    if head is not None and head.format > _FORMAT:
        raise NewerFormatError(
            f"the archive has format {head.format}; this Holdfast knows {_FORMAT}",
            path=archive.path,
            hint="upgrade Holdfast",
        )
    lines = [msgspec.json.decode(record, type=_Line) for record in contents.records[1:]]
    versions = [line.version for line in lines]
    if head is None or head.stream != stream or versions != list(range(1, archive.version + 1)):
        raise CorruptError(
            f"not the whole archive of {stream!r}: {len(lines)} of {archive.version} events",
            path=archive.path,
            hint="restore this file from a backup",
        )
    return [
        (line.position, stream, line.version, check_name(line.type, "event type"), bytes(line.body))
        for line in lines
    ]


def unarchive(store: EventStore, stream: str) -> int:
    """Put the events back; see `EventLog.unarchive`."""
    events = read_archive(store, stream)
    if not store.unarchive(stream, events, keys_of(events)):
        raise NotFoundError(f"the stream {stream!r} is not archived")
    return len(events)


def _lines(store: EventStore, stream: str, version: int) -> Iterator[_Line]:
    after = 0
    while after < version:
        rows = store.read(stream=stream, after=after, limit=min(_PAGE, version - after), types=None)
        if not rows:
            raise ConflictError(f"somebody archived {stream!r} in between")
        for position, _, number, type_, body in rows:
            yield _Line(position, number, type_, msgspec.Raw(body))
        after = rows[-1][2]

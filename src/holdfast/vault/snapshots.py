"""Snapshot files: zstd-compressed JSON Lines, the header first, then one entry per path."""

from collections.abc import Collection, Iterator, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

import msgspec
import zstandard

from holdfast.durable.names import long_path
from holdfast.errors import (
    CorruptError,
    HoldfastError,
    LockedError,
    NewerFormatError,
    NotFoundError,
    UnreadableError,
    UsageError,
)
from holdfast.vault.entries import FORMAT_VERSION, Entry, Header, escape, escaped, unescaped
from holdfast.vault.lines import lines_of
from holdfast.vault.reports import SnapshotInfo
from holdfast.vault.repository import Repository

if TYPE_CHECKING:
    from blake3 import blake3

_BATCH = 2000  # entries encoded at once
_HEADERS = "headers"
_HEADER_START = 1 << 16  # bytes of a snapshot file that nearly always hold its whole header


class SnapshotWriter:
    """Gathers the entries of a snapshot, compressed, until the header is known."""

    def __init__(self, *, digest: bool = False) -> None:
        self._encoder = msgspec.json.Encoder()
        self._compressor = zstandard.ZstdCompressor(level=3, write_checksum=True)
        self._stream = _new_stream()
        self._pieces: list[bytes] = []
        self._batch: list[Entry] = []
        self._body = _new_digest() if digest else None
        self.count = 0

    def add(self, entry: Entry) -> None:
        """Append `entry`."""
        self.extend((entry,))

    def extend(self, entries: Sequence[Entry]) -> None:
        """Append `entries`."""
        self.count += len(entries)
        self._batch += entries
        if len(self._batch) >= _BATCH:
            self._flush()

    def body(self) -> bytes:
        """The digest of all entries, if it is kept; equal ones say that nothing at all changed."""
        self._flush()
        assert self._body is not None
        return self._body.digest()

    def publish(self, repository: Repository, header: Header) -> str:
        """Write the snapshot file, the commit point; returns its id. More may be added after."""
        self._flush()
        self._pieces.append(self._stream.flush())
        self._stream = _new_stream()
        first = self._compressor.compress(self._encoder.encode(header) + b"\n")
        return repository.publish(repository.snapshots, b"".join([first, *self._pieces]))

    def _flush(self) -> None:
        try:
            data = self._encoder.encode_lines(self._batch)
        except UnicodeEncodeError:
            data = self._encoder.encode_lines([_writable(entry) for entry in self._batch])
        self._batch.clear()
        if self._body is not None:
            self._body.update(data)
        if compressed := self._stream.compress(data):
            self._pieces.append(compressed)


def _new_stream() -> "zstandard.ZstdCompressionObj":
    # In a thread of its own, beside the walk.
    return zstandard.ZstdCompressor(level=3, write_checksum=True, threads=1).compressobj()


def _writable(entry: Entry) -> Entry:
    try:
        (entry.path + (entry.target or "")).encode("utf-8")
    except UnicodeEncodeError:
        return escaped(entry)
    return entry


class Snapshot:
    """An open snapshot: its header, and its entries one after another.

    Opening checks the whole file against its name. Raises `NotFoundError`, `UnreadableError`.
    """

    def __init__(self, repository: Repository, identity: str, *, digest: bool = False) -> None:
        self.id = identity
        self.path = _path(repository, identity)
        self._lines = lines_of(repository.read(repository.snapshots, identity), self.path)
        self.header = _parse_header(next(self._lines, b""), self.path)
        self._body = _new_digest() if digest else None

    def body(self) -> bytes:
        """The digest of the entries that were read, if it is kept; see `SnapshotWriter.body`."""
        assert self._body is not None
        return self._body.digest()

    def entries(self) -> Iterator[Entry]:
        """The entries in their order, names as this system spells them; to be read once."""
        for batch in self.batches():
            yield from batch

    def batches(self, paths: Collection[str] = ()) -> Iterator[list[Entry]]:
        """The entries as `entries` gives them, some thousands at a time.

        With `paths` only those at, above and below one of them, and perhaps a few more.
        """
        decoder = msgspec.json.Decoder(Entry)
        beginnings = _beginnings(paths) if paths else None
        count = 0
        for lines in self._lines:
            if self._body is not None:
                self._body.update(lines)
            if beginnings is not None:
                whole = lines.split(b"\n")
                count += len(whole) - lines.endswith(b"\n")
                lines = b"\n".join(line for line in whole if line.startswith(beginnings))
            try:
                entries = decoder.decode_lines(lines)
            except (msgspec.MsgspecError, UnicodeDecodeError) as error:
                raise UnreadableError(f"not a snapshot: {error}", path=self.path) from error
            count += 0 if beginnings is not None else len(entries)
            yield [unescaped(entry) if entry.escaped else entry for entry in entries]
        if count != self.header.totals.entries:
            expected = self.header.totals.entries
            raise CorruptError(f"{count} entries instead of {expected}", path=self.path)


def _beginnings(paths: Collection[str]) -> tuple[bytes, ...]:
    """How the lines of the entries at, above and below `paths` begin, escaped or not."""
    found: set[bytes] = set()
    for path in paths:
        above = [path[:at] for at, character in enumerate(path) if character == "/"]
        for name, ends in [(path, (b'"', b"/")), *((folder, (b'"',)) for folder in above)]:
            for text in {escape(name), name.encode("utf-8", "replace").decode()}:
                begin = b'{"path":' + msgspec.json.encode(text)[:-1]
                found.update(begin + end for end in ends)
    return tuple(found)


def _new_digest() -> "blake3":
    from blake3 import blake3  # late: whoever only lists snapshots needs none

    return blake3()


def list_snapshots(repository: Repository) -> list[SnapshotInfo]:
    """All snapshots, oldest first; those whose header cannot be read say so in `damage`."""
    identities = repository.identities(repository.snapshots)
    found = [_info(repository, identity) for identity in identities]
    listed = [info for info in found if info is not None]
    return sorted(listed, key=lambda info: (info.started_at, info.ended_at, info.id))


def info_of(identity: str, header: Header) -> SnapshotInfo:
    """The header as it is listed."""
    return SnapshotInfo(
        id=identity,
        started_at=header.started_at,
        ended_at=header.ended_at,
        host=header.host,
        workspace_id=header.workspace_id,
        workspace_name=header.workspace_name,
        root=header.roots[0].path if header.roots else "",
        tags=header.tags,
        home=next((root.path for root in header.roots if root.name == "home"), ""),
        parent=header.parent,
        totals=header.totals,
        problems=header.problems,
        partial=header.partial,
        vault=header.vault,
        point=header.point,
    )


def resolve(repository: Repository, ref: str) -> str:
    """The id meant by a unique beginning of one (4 digits or more) or by ``latest``.

    Raises `NotFoundError`, `UsageError` when several begin so, `UnreadableError` when which one is
    the latest cannot be told.
    """
    if ref == "latest":
        return _latest(repository)
    identities = repository.identities(repository.snapshots)
    matches = [name for name in identities if len(ref) >= 4 and name.startswith(ref.lower())]
    if not matches:
        raise NotFoundError(
            f"no snapshot {ref!r}",
            path=repository.root,
            hint="give at least 4 digits of an id from: holdfast backup list",
        )
    if len(matches) > 1:
        raise UsageError(f"{len(matches)} snapshots begin with {ref!r}", hint="give more digits")
    return matches[0]


def _latest(repository: Repository) -> str:
    snapshots = list_snapshots(repository)
    if locked := [info for info in snapshots if info.locked]:
        Snapshot(repository, locked[0].id)  # says which key is needed
    damaged = [info for info in snapshots if info.damage]
    if damaged:
        raise UnreadableError(
            f"which snapshot is the latest cannot be told: {damaged[0].damage}",
            path=_path(repository, damaged[0].id),
            hint="choose one by its id from: holdfast backup list",
        )
    if not snapshots:
        raise NotFoundError(
            "the vault has no snapshot yet",
            path=repository.root,
            hint="take one with: holdfast backup create",
        )
    whole = [info for info in snapshots if not info.partial]
    return (whole or snapshots)[-1].id


def _info(repository: Repository, identity: str) -> SnapshotInfo | None:
    """The snapshot as it is listed; None when it was forgotten meanwhile."""
    path = _path(repository, identity)
    try:
        return info_of(identity, _read_header(repository, identity))
    except NewerFormatError:
        raise
    except LockedError as error:
        never = datetime.fromtimestamp(0, UTC)
        return SnapshotInfo(identity, never, never, damage=error.message, locked=True)
    except HoldfastError as error:
        if not long_path(path).exists():
            return None
        never = datetime.fromtimestamp(0, UTC)
        return SnapshotInfo(identity, never, never, damage=error.message)


def _read_header(repository: Repository, identity: str) -> Header:
    """The header alone: the file's first frame."""
    path = _path(repository, identity)
    known = repository.memory.recall(_HEADERS, identity) if repository.sealing.encrypted else None
    size = _HEADER_START
    while True:
        data = known or repository.read_start(repository.snapshots, identity, size)
        frame = zstandard.ZstdDecompressor().decompressobj()
        try:
            line = frame.decompress(data)
        except zstandard.ZstdError as error:
            raise CorruptError(f"damaged snapshot: {error}", path=path) from error
        if frame.eof or len(data) < size:
            if known is None and repository.sealing.encrypted:
                first = data[: len(data) - len(frame.unused_data)]
                repository.memory.remember(_HEADERS, identity, first)
            return _parse_header(line, path)
        size *= 8


def _parse_header(line: bytes, path: Path) -> Header:
    try:
        version = msgspec.json.decode(line, type=_Version).format_version
        if version > FORMAT_VERSION:
            raise NewerFormatError(
                f"written in format {version}; this Holdfast reads up to {FORMAT_VERSION}",
                path=path,
                hint="upgrade Holdfast; nothing was changed",
            )
        return msgspec.json.decode(line, type=Header)
    except (msgspec.MsgspecError, UnicodeDecodeError) as error:
        raise UnreadableError(f"not a snapshot: {error}", path=path) from error


class _Version(msgspec.Struct, rename="camel"):
    format_version: int


def _path(repository: Repository, identity: str) -> Path:
    return repository.lines_path(repository.snapshots, identity)

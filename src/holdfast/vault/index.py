"""The index: in which pack, frame and place each chunk lies.

A fragment is zstd-compressed JSON Lines, one line per frame of a pack. Fragments are written once
and never changed; all of them together are the index.
"""

from collections.abc import Iterator
from typing import NamedTuple

import msgspec
import zstandard

from holdfast.errors import HoldfastError, NewerFormatError, UnreadableError
from holdfast.vault.reports import Finding
from holdfast.vault.repository import Repository


class ChunkAt(msgspec.Struct, array_like=True, gc=False):
    """A chunk's id, and where its bytes start and how many there are in the frame's tar data."""

    id: str
    offset: int
    length: int


class FrameRecord(msgspec.Struct, rename="camel"):
    """One frame: its pack (id and whole size), its place there, its chunks. Sizes in bytes."""

    pack: str
    pack_size: int
    offset: int
    length: int
    raw_length: int
    chunks: list[ChunkAt]


class Frame(NamedTuple):
    """Where a frame lies."""

    pack: str
    offset: int
    length: int
    raw_length: int


class Place(NamedTuple):
    """Where a chunk lies in its frame (the number of it in `Index.frames`)."""

    frame: int
    offset: int
    length: int


class FirstLine(msgspec.Struct, rename="camel"):
    """The first line of a fragment."""

    format_version: int
    vault: str


_BITS = 40  # offsets and lengths in a frame; the frame's number above them
_MASK = (1 << _BITS) - 1


class Index:
    """Every chunk that can be read: chunks of packs that are missing or cut short are not in it.

    A chunk's place is packed into one integer, for memory: there may be millions.
    """

    def __init__(self) -> None:
        self.frames: list[Frame] = []
        self.pack_sizes: dict[str, int] = {}
        self.findings: list[Finding] = []
        self._places: dict[str, int] = {}
        self._loaded: set[str] = set()

    def load(self, repository: Repository) -> None:
        """Read the fragments not read yet. Damage goes to `findings`; the rest is usable."""
        present = repository.pack_sizes()
        decoder = msgspec.json.Decoder(FrameRecord)
        for identity in repository.identities(repository.index):
            if identity in self._loaded:
                continue
            self._loaded.add(identity)
            try:
                records = _fragment(repository, identity, decoder)
            except NewerFormatError:
                raise
            except HoldfastError as error:
                where = repository.index / f"{identity}.jsonl.zst"
                self.findings.append(Finding(repository.relative(where), error.message))
                continue
            for record in records:
                self._add(record, repository, present)

    def __contains__(self, chunk: str) -> bool:
        return chunk in self._places

    def __len__(self) -> int:
        return len(self._places)

    def chunks(self) -> Iterator[str]:
        """The ids of all chunks."""
        return iter(self._places)

    def place(self, chunk: str) -> Place | None:
        """Where `chunk` lies, or None when no readable pack holds it."""
        packed = self._places.get(chunk)
        if packed is None:
            return None
        return Place(packed >> 2 * _BITS, packed >> _BITS & _MASK, packed & _MASK)

    def _add(self, record: FrameRecord, repository: Repository, present: dict[str, int]) -> None:
        if record.pack not in self.pack_sizes:
            self.pack_sizes[record.pack] = record.pack_size
            self._look_at_pack(record, repository, present.get(record.pack))
        if present.get(record.pack) != record.pack_size:
            return
        high = len(self.frames) << 2 * _BITS
        self.frames.append(Frame(record.pack, record.offset, record.length, record.raw_length))
        places = self._places
        for chunk in record.chunks:
            places[chunk.id] = high | chunk.offset << _BITS | chunk.length

    def _look_at_pack(self, record: FrameRecord, repository: Repository, size: int | None) -> None:
        where = repository.relative(repository.pack_path(record.pack))
        if size is None:
            self.findings.append(Finding(where, "the pack is missing"))
        elif size != record.pack_size:
            problem = f"the pack has {size} bytes instead of {record.pack_size}"
            self.findings.append(Finding(where, problem))


def encode_fragment(vault: str, version: int, records: list[FrameRecord]) -> bytes:
    """The file of a fragment."""
    lines = msgspec.json.Encoder().encode_lines([FirstLine(version, vault), *records])
    return zstandard.ZstdCompressor(level=3, write_checksum=True).compress(lines)


def _fragment(
    repository: Repository, identity: str, decoder: msgspec.json.Decoder[FrameRecord]
) -> list[FrameRecord]:
    path = repository.index / f"{identity}.jsonl.zst"
    data = repository.read(repository.index, identity)
    try:
        with zstandard.ZstdDecompressor().stream_reader(data, read_across_frames=True) as reader:
            first, _, rest = reader.read().partition(b"\n")
        header = msgspec.json.decode(first, type=FirstLine)
        if header.format_version > 1:
            raise NewerFormatError(
                f"written in format {header.format_version}", path=path, hint="upgrade Holdfast"
            )
        return decoder.decode_lines(rest)
    except (zstandard.ZstdError, msgspec.MsgspecError, UnicodeDecodeError) as error:
        raise UnreadableError(f"not an index fragment: {error}", path=path) from error

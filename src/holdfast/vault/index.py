"""The index: in which pack, frame and place each chunk lies.

A fragment is zstd-compressed JSON Lines, one line per frame of a pack. Fragments are written once
and never changed; all of them together are the index.
"""

from collections.abc import Collection, Iterable, Iterator
from typing import NamedTuple

import msgspec
import zstandard

from holdfast.errors import HoldfastError, LockedError, NewerFormatError, UnreadableError
from holdfast.vault.lines import lines_of
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


_RECORDS = msgspec.json.Decoder(FrameRecord)
_FEW = 50  # chunks that are looked for one by one
_BITS = 40  # offsets and lengths in a frame; the frame's number above them
_MASK = (1 << _BITS) - 1
_NOWHERE = 0  # before a chunk's place is known; no chunk lies at the start of a frame


class Index:
    """Every chunk that can be read: chunks of packs that are missing or cut short are not in it.

    What is only in a condemned pack has a `place`, but is not ``in`` the index.

    A chunk's place is packed into one integer, for memory: there may be millions.
    """

    def __init__(self) -> None:
        self._clear()

    def load(
        self,
        repository: Repository,
        *,
        only: Collection[str] | None = None,
        without_key: bool = False,
    ) -> None:
        """Read all fragments. Damage goes to `findings`; the rest is usable.

        With `only` just the places of those chunks are kept, under these very strings, which saves
        memory; if they are few, it is much faster, and there may be more. What is encrypted raises
        `LockedError`, or with `without_key` is passed over and counted in `locked`.
        """
        few = only if only is None or len(only) <= _FEW else None
        many = only if few is None else None
        while True:
            self._clear(many or ())
            fragments = repository.identities(repository.index)
            self._load(repository, fragments, few, without_key, filtered=many is not None)
            for chunk in [chunk for chunk, place in self._places.items() if place == _NOWHERE]:
                del self._places[chunk]
            # A prune may have replaced fragments, and removed the packs only the old ones list.
            if not self.findings or repository.identities(repository.index) == fragments:
                return

    def __contains__(self, chunk: str) -> bool:
        """Whether a new snapshot may rely on `chunk` being there."""
        return chunk in self._places

    def __len__(self) -> int:
        return len(self._places)

    def chunks(self) -> Iterator[str]:
        """The ids of all chunks."""
        yield from self._places
        yield from (chunk for chunk in self._condemned_places if chunk not in self._places)

    def place(self, chunk: str) -> Place | None:
        """Where `chunk` lies, or None when no readable pack holds it."""
        packed = self._places.get(chunk)
        if packed is None:
            packed = self._condemned_places.get(chunk)
        if packed is None:
            return None
        return Place(packed >> 2 * _BITS, packed >> _BITS & _MASK, packed & _MASK)

    def _clear(self, wanted: Iterable[str] = ()) -> None:
        self.frames: list[Frame] = []
        self.pack_sizes: dict[str, int] = {}
        self.condemned: set[str] = set()
        self.findings: list[Finding] = []
        self.locked = 0
        self._places: dict[str, int] = dict.fromkeys(wanted, _NOWHERE)
        self._condemned_places: dict[str, int] = {}

    def _load(
        self,
        repository: Repository,
        fragments: list[str],
        only: Collection[str] | None,
        without_key: bool,
        *,
        filtered: bool,
    ) -> None:
        self.condemned = repository.condemned_packs()
        present = repository.pack_sizes()
        for identity in fragments:
            try:
                for record in read_fragment(repository, identity, only):
                    self._add(record, repository, present, filtered)
            except NewerFormatError:
                raise
            except LockedError:
                if not without_key:
                    raise
                self.locked += 1
            except HoldfastError as error:
                where = repository.lines_path(repository.index, identity)
                self.findings.append(Finding(repository.relative(where), error.message))

    def _add(
        self,
        record: FrameRecord,
        repository: Repository,
        present: dict[str, int],
        filtered: bool,
    ) -> None:
        if record.pack not in self.pack_sizes:
            self.pack_sizes[record.pack] = record.pack_size
            self._look_at_pack(record, repository, present.get(record.pack))
        if present.get(record.pack) != record.pack_size:
            return
        high = len(self.frames) << 2 * _BITS
        self.frames.append(Frame(record.pack, record.offset, record.length, record.raw_length))
        condemned = record.pack in self.condemned
        places = self._condemned_places if condemned else self._places
        for chunk in record.chunks:
            if filtered and chunk.id not in self._places:
                continue
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


def _lines_with(lines: bytes, chunks: Collection[str]) -> bytes:
    """Those of `lines` that name one of `chunks`."""
    found: dict[int, bytes] = {}
    for chunk in chunks:
        at = -1
        while (at := lines.find(chunk.encode(), at + 1)) >= 0:
            start, end = lines.rfind(b"\n", 0, at) + 1, lines.find(b"\n", at) + 1
            found[start] = lines[start : end or len(lines)]
    return b"".join(found[start] for start in sorted(found))


def read_fragment(
    repository: Repository, identity: str, only: Collection[str] | None = None
) -> Iterator[FrameRecord]:
    """The records of a fragment one by one, or those with a chunk of `only`.

    Raises `UnreadableError`, `NotFoundError`, `NewerFormatError`, `LockedError`.
    """
    path = repository.lines_path(repository.index, identity)
    blocks = lines_of(repository.read(repository.index, identity), path)
    try:
        version = msgspec.json.decode(next(blocks, b""), type=FirstLine).format_version
        if version > 1:
            raise NewerFormatError(
                f"written in format {version}", path=path, hint="upgrade Holdfast"
            )
        for block in blocks:
            yield from _RECORDS.decode_lines(block if only is None else _lines_with(block, only))
    except (msgspec.MsgspecError, UnicodeDecodeError) as error:
        raise UnreadableError(f"not an index fragment: {error}", path=path) from error

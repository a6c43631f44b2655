"""Reading a pack without the index: its frames, one after another, and the chunks in each."""

import re
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import zstandard

from holdfast.errors import CorruptError
from holdfast.vault.index import ChunkAt
from holdfast.vault.sealing import Sealing

_BLOCK = 512
_FED = 1 << 20
_ID = re.compile(rb"[0-9a-f]{64}")
# How each age file begins: both, so that a damaged one is still told from the one before it.
_AGE, _STANZA = b"age-encryption.org/v1\n", b"-> X25519 "
_MAGIC = b"\x28\xb5\x2f\xfd"  # of a zstd frame


class RawFrame(NamedTuple):
    """A frame that decompressed: its place in the pack, its tar data, its sound chunks."""

    offset: int
    length: int
    data: bytes
    chunks: list[ChunkAt]


def frames(pack: bytes, sealing: Sealing, place: Path) -> Iterator[RawFrame]:
    """The readable frames of a pack's bytes; after damage, reading goes on at the next frame.

    Raises `LockedError` naming `place`.
    """
    if not sealing.encrypted:
        yield from _clear_frames(pack, sealing)
        return
    starts = sorted({*_all(pack, _AGE), *(at - len(_AGE) for at in _all(pack, _STANZA))})
    for start, end in zip(starts, [*starts[1:], len(pack)], strict=True):
        try:
            data = sealing.unseal(pack[start:end], place)
        except CorruptError:
            continue
        for frame in _clear_frames(data, sealing):
            yield RawFrame(start, end - start, frame.data, frame.chunks)


def _all(pack: bytes, what: bytes) -> Iterator[int]:
    at = pack.find(what)
    while at >= 0:
        yield at
        at = pack.find(what, at + 1)


def _clear_frames(pack: bytes, sealing: Sealing) -> Iterator[RawFrame]:
    view = memoryview(pack)
    at = 0
    while at < len(pack):
        found = _decompress(view[at:])
        if found is None:
            following = pack.find(_MAGIC, at + 1)
            if following < 0:
                return
            at = following
            continue
        data, length = found
        yield RawFrame(at, length, data, list(_members(data, sealing)))
        at += length


def _decompress(view: memoryview) -> tuple[bytes, int] | None:
    """The first frame's content and its compressed length; None when it is damaged."""
    frame = zstandard.ZstdDecompressor().decompressobj()
    parts = []
    fed = 0
    try:
        while not frame.eof and fed < len(view):
            parts.append(frame.decompress(view[fed : fed + _FED]))
            fed += min(_FED, len(view) - fed)
    except zstandard.ZstdError:
        return None
    return (b"".join(parts), fed - len(frame.unused_data)) if frame.eof else None


def _members(data: bytes, sealing: Sealing) -> Iterator[ChunkAt]:
    """The members of tar data whose content is what their name says."""
    at = 0
    while at + _BLOCK <= len(data):
        name, digits = data[at : at + 64], data[at + 124 : at + 135]
        at += _BLOCK
        try:
            size = int(digits, 8)
        except ValueError:
            continue  # tar's end, or damage: the next block may be a header again
        if _ID.fullmatch(name) and sealing.matches(name.decode(), data[at : at + size]):
            yield ChunkAt(name.decode(), at, size)
        at += size + -size % _BLOCK

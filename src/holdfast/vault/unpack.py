"""Reading a pack without the index: its frames, one after another, and the chunks in each."""

from collections.abc import Iterator
from typing import NamedTuple

import zstandard
from blake3 import blake3

from holdfast.vault.index import ChunkAt

_BLOCK = 512
_FED = 1 << 20
_MAGIC = b"\x28\xb5\x2f\xfd"  # of a zstd frame


class RawFrame(NamedTuple):
    """A frame that decompressed: its place in the pack, its tar data, its sound chunks."""

    offset: int
    length: int
    data: bytes
    chunks: list[ChunkAt]


def frames(pack: bytes) -> Iterator[RawFrame]:
    """The readable frames of a pack's bytes; after damage, reading goes on at the next frame."""
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
        yield RawFrame(at, length, data, list(_members(data)))
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


def _members(data: bytes) -> Iterator[ChunkAt]:
    """The members of tar data whose content is what their name says."""
    at = 0
    while at + _BLOCK <= len(data):
        name, digits = data[at : at + 64], data[at + 124 : at + 135]
        at += _BLOCK
        try:
            size = int(digits, 8)
        except ValueError:
            continue  # tar's end, or damage: the next block may be a header again
        if blake3(data[at : at + size]).hexdigest().encode() == name:
            yield ChunkAt(name.decode(), at, size)
        at += size + -size % _BLOCK

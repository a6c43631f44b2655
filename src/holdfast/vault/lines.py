"""Reading zstd-compressed JSON Lines a block at a time, for memory."""

from collections.abc import Iterator
from pathlib import Path

import zstandard

from holdfast.errors import CorruptError

_BLOCK = 1 << 20  # bytes


def lines_of(data: bytes, path: Path) -> Iterator[bytes]:
    """The first line of the file `path`, then whole lines in blocks of about a megabyte.

    `data` is its content. Raises `CorruptError`.
    """
    rest = b""
    first = True
    reader = zstandard.ZstdDecompressor().stream_reader(data, read_across_frames=True)
    while True:
        try:
            block = reader.read(_BLOCK)
        except zstandard.ZstdError as error:
            raise CorruptError(f"damaged: {error}", path=path) from error
        if not block:
            break
        rest += block
        if first and b"\n" in rest:
            line, _, rest = rest.partition(b"\n")
            first = False
            yield line
        end = rest.rfind(b"\n") + 1
        if end and not first:
            yield rest[:end]
            rest = rest[end:]
    if rest:
        yield rest

"""Cutting large files into chunks, so that a change costs what it touched and little more.

Databases are cut at fixed places, as their pages stay where they are. Everything else is cut where
the content says so: of the lines that end between `LEAST` and `MOST` bytes after the last cut, the
one with the largest CRC-32 ends the chunk (random bytes have "lines" too, of 256 bytes). What is
inserted or cut out shifts the cuts near it; soon the same line is the largest again and all further
chunks are the same. Splitting and hashing lines are single calls to C: a gear hash, the usual way,
would need a loop in Python over every byte. (Not the smallest: an empty line's CRC-32 is 0.)
"""

import os
from collections.abc import Iterator
from zlib import crc32

from holdfast.engines.sqlite_copy import MAGIC

LEAST = 1 << 20
"""Bytes of the shortest chunk, but for a file's last."""

MOST = 3 << 19
"""Bytes of the longest chunk: a file up to this size is one."""

PAGES = 256 << 10
"""Bytes of a database's chunk."""

_READ = 8 << 20


def pieces(descriptor: int, size: int) -> Iterator[bytes]:
    """The first `size` bytes of an open file, cut into chunks; fewer if the file ends before."""
    rest = b""
    fixed = None
    while size > 0:
        block = _read(descriptor, min(size, _READ))
        size = size - len(block) if block else 0
        if fixed is None:
            fixed = block.startswith(MAGIC)
        data = rest + block if rest else block
        start = 0
        while len(data) - start > MOST:
            end = start + PAGES if fixed else _cut(data, start)
            yield data[start:end]
            start = end
        rest = data[start:] if start else data
    while fixed and len(rest) > PAGES:
        yield rest[:PAGES]
        rest = rest[PAGES:]
    if rest:
        yield rest


def _cut(data: bytes, start: int) -> int:
    """Where the chunk that begins at `start` ends; more than `MOST` bytes follow there."""
    lines = data[start + LEAST : start + MOST].split(b"\n")
    # The first began before the window and the last ends behind it: they depend on its place.
    hashes = list(map(crc32, lines[1:-1]))
    if not hashes:
        return start + MOST
    number = hashes.index(max(hashes)) + 2
    return start + LEAST + number + sum(map(len, lines[:number]))


def _read(descriptor: int, wanted: int) -> bytes:
    block = os.read(descriptor, wanted)
    while len(block) < wanted and (more := os.read(descriptor, wanted - len(block))):
        block += more
    return block

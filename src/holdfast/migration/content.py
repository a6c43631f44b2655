"""What a store holds, as numbers: counts by kind, bytes, and one hash that is the same for every
engine that holds the same."""

from collections.abc import Callable
from typing import Any

import msgspec
from blake3 import blake3

Moved = Callable[[int, int, int], None]
"""Told now and then: records done, bytes done, bytes expected in all (0: not known)."""

_encode = msgspec.msgpack.Encoder().encode


class Content(msgspec.Struct, frozen=True, rename="camel"):
    """Counts by kind, the bytes of all records, and the BLAKE3 hash over them in their order."""

    counts: dict[str, int]
    size: int
    hash: str


class Tally:
    """Adds records up. A record is its kind and plain values; the order counts."""

    def __init__(self, moved: Moved | None = None, expected: int = 0) -> None:
        self._counts: dict[str, int] = {}
        self._size = 0
        self._hash = blake3()
        self._moved = moved
        self._expected = expected

    def add(self, kind: str, *values: Any) -> None:
        """The next record. MessagePack of the same values is the same bytes."""
        record = _encode((kind, *values))
        self._hash.update(record)
        self._counts[kind] = self._counts.get(kind, 0) + 1
        self._size += len(record)
        if self._moved is not None:
            self._moved(sum(self._counts.values()), self._size, self._expected)

    def content(self) -> Content:
        """All that was added."""
        return Content(self._counts, self._size, self._hash.hexdigest())

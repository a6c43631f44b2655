"""Following logs as they are written, across rotations."""

import os
import time
from collections.abc import Iterator
from pathlib import Path

from holdfast.durable.shared_files import Identity, read_at
from holdfast.logs.sources import Source, list_logs

_PAUSE = 0.2
_BLOCK = 1 << 20
# A listing that races with a rename can miss a file, so one miss proves nothing.
_MISSES = 5


class _Tail:
    """One open file: how far it was read, and the line that has no end yet."""

    def __init__(self, source: Source, offset: int) -> None:
        self.source = source
        self.offset = offset
        self.rest = b""
        self.missed = 0

    def read(self) -> bytes:
        """The whole lines that were added, at most one block of them."""
        descriptor = self.source.descriptor
        if os.fstat(descriptor).st_size < self.offset:  # emptied by somebody
            self.offset, self.rest = 0, b""
        piece = read_at(descriptor, _BLOCK, self.offset)
        self.offset += len(piece)
        whole, newline, self.rest = (self.rest + piece).rpartition(b"\n")
        return whole + newline


class Follower:
    """Yields what is added to any log file of a folder, from the ends of `sources` on.

    A file is held open through its rotation and let go when it has been compressed or removed,
    which happens only when nobody can append to it any more.
    """

    def __init__(self, directory: Path, sources: list[Source]) -> None:
        self._directory = directory
        self._tails = {source.identity: _Tail(source, source.end) for source in sources}

    def blocks(self) -> Iterator[tuple[Path, str, bytes]]:
        """File, component and whole lines; never ends."""
        while True:
            quiet = True
            for tail in self._present():
                while block := tail.read():
                    quiet = False
                    yield tail.source.path, tail.source.name.component, block
            if quiet:
                time.sleep(_PAUSE)

    def _present(self) -> list[_Tail]:
        seen: set[Identity] = set()
        for name, parts in list_logs(self._directory).items():
            if parts.packed:
                continue
            try:
                source = Source(self._directory / name, parts)
            except FileNotFoundError:
                continue
            seen.add(source.identity)
            self._tails.setdefault(source.identity, _Tail(source, 0))
        tails = list(self._tails.items())
        for key, tail in tails:
            tail.missed = 0 if key in seen else tail.missed + 1
            if tail.missed > _MISSES:
                del self._tails[key]
        return [tail for _, tail in tails]

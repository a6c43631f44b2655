"""Following logs as they are written, across rotations."""

import os
import time
from collections.abc import Iterator
from pathlib import Path

from holdfast.durable.shared_files import Identity, read_at
from holdfast.logs.sources import DamagedFileError, Source, open_sources

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

    def blocks(self) -> Iterator[bytes]:
        """The whole lines that were added."""
        while block := self._next():
            yield block

    def _next(self) -> bytes:
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
    which happens only when nobody can append to it any more. Files that came and were compressed
    between two looks are read whole.
    """

    def __init__(self, directory: Path, sources: list[Source]) -> None:
        self._directory = directory
        self._tails = {s.identity: _Tail(s, s.end) for s in sources if not s.name.packed}
        self._read = {s.path.name.removesuffix(".zst") for s in sources if s.name.rotated_at}
        self._current = {s.name.component: s.identity for s in sources if not s.name.rotated_at}

    def batches(self) -> Iterator[list[tuple[Path, str, bytes]]]:
        """What each look found: file, component and whole lines. Never ends."""
        while True:
            batch = []
            for source, blocks in self._additions():
                try:
                    batch += [(source.path, source.name.component, block) for block in blocks]
                except DamagedFileError:
                    continue  # a search without follow counts it
            yield batch
            if not batch:
                time.sleep(_PAUSE)

    def _additions(self) -> list[tuple[Source, Iterator[bytes]]]:
        """What there is to read now: known files, files compressed since, new files."""
        plain, packed = self._look()
        known = list(self._tails.items())
        additions = [(tail.source, tail.blocks()) for _, tail in known]
        additions += [(s, s.blocks(b"", b"")) for s in self._unread(packed, plain)]
        for source in plain.values():
            if source.identity not in self._tails:
                tail = self._tails[source.identity] = _Tail(source, 0)
                additions.append((source, tail.blocks()))
            if source.name.rotated_at:
                self._read.add(source.path.name)
            else:
                self._current[source.name.component] = source.identity
        for key, tail in known:
            tail.missed = 0 if key in plain else tail.missed + 1
            if tail.missed > _MISSES:
                del self._tails[key]
        return additions

    def _look(self) -> tuple[dict[Identity, Source], list[Source]]:
        """The plain files, and the compressed ones, as they are at one moment."""
        sources = open_sources(self._directory)
        plain = {source.identity: source for source in sources if not source.name.packed}
        return plain, [source for source in sources if source.name.packed]

    def _unread(self, packed: list[Source], plain: dict[Identity, Source]) -> list[Source]:
        """Compressed files of which nothing was read, oldest first.

        Where the file that a component was last seen writing is gone, the oldest new one is that
        file, and its tail has it.
        """
        names = {source.path.name for source in plain.values()}
        unread = []
        for source in packed:
            stem = source.path.name.removesuffix(".zst")
            if stem in self._read or stem in names:
                continue
            self._read.add(stem)
            current = self._current.get(source.name.component)
            if current is not None and current not in plain:
                del self._current[source.name.component]
            else:
                unread.append(source)
        return unread

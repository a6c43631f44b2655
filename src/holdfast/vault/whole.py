"""Every path of the workspace and the home with its content, for backups that are no snapshots."""

import os
import tempfile
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

from blake3 import blake3

from holdfast.durable.trees import Entry as Found
from holdfast.durable.trees import walk
from holdfast.engines.sqlite_copy import COMPANIONS
from holdfast.errors import storage_error
from holdfast.vault.capture import Capture
from holdfast.vault.coverage import WORKSPACE, Tree
from holdfast.vault.create import Order
from holdfast.vault.entries import Entry, Kind, Problem, Root, from_status
from holdfast.vault.estimate import Estimate

_IN_MEMORY = 32 << 20  # bytes of one file; a larger one is gathered in a scratch file
_TELL_EVERY = 200  # entries


Content = Callable[[], Iterator[bytes]]
"""Gives a file's content piece by piece, any number of times until the next path is gathered."""


class Gathered(NamedTuple):
    """A path: its entry, and what a file holds."""

    tree: Tree
    entry: Entry
    content: Content


class Gatherer:
    """Walks the trees of `order` as a snapshot does; what cannot be captured is in `problems`.

    `place` is where the backup goes, which is left out; `scratch` a private folder.
    """

    def __init__(
        self,
        order: Order,
        roots: Sequence[Root],
        place: Path,
        scratch: Path,
        *,
        encrypted: bool = False,
    ) -> None:
        self.problems: list[Problem] = []
        self.files = self.size = 0
        self.started = datetime.now(UTC)
        self._order = order
        self._spool = _Spool(scratch)
        self._capture = Capture(self._spool.store, scratch, _identify)
        self._trees = [
            Tree(
                number,
                root,
                place,
                everything=order.everything,
                excludes=order.excludes,
                encrypted=encrypted,
                away=order.away,
            )
            for number, root in enumerate(roots)
        ]
        self._tree = self._trees[0]
        self._estimate = None if order.progress is None else Estimate(self._trees)

    def __iter__(self) -> Iterator[Gathered]:
        count = 0
        for tree in reversed(self._trees):  # the home matters most
            self._tree = tree
            for found in walk(tree.path, skip=self._skip, on_error=self._unlisted):
                count += 1
                if (gathered := self._take(found)) is not None:
                    gathered.entry.root = tree.number
                    yield gathered
                if self._estimate is not None and self._order.progress and count % _TELL_EVERY == 0:
                    self._order.progress(count, self.size, self._estimate.size)

    def close(self) -> None:
        if self._estimate is not None:
            self._estimate.stop()
        self._spool.close()

    def _skip(self, path: str, item: os.DirEntry[str]) -> bool:
        return self._tree.leaves(path, item)

    def _unlisted(self, path: str, error: OSError) -> None:
        if path == "" and self._tree.root.name == WORKSPACE:
            raise storage_error(error, self._tree.path, "list the folder") from error
        self._report(path, error.strerror or str(error))

    def _report(self, path: str, reason: str) -> None:
        self.problems.append(Problem(self._tree.shown(path), reason))

    def _take(self, found: Found) -> Gathered | None:
        path, status = found
        if found.is_file:
            return self._file(path, status)
        kind: Kind = "folder" if found.is_folder else "link"
        if not found.is_folder and not found.is_link:
            return None  # FIFOs, sockets and devices hold nothing
        entry = from_status(path, kind, status)
        if found.is_link:
            try:
                entry.target = os.readlink(self._tree.place(path))  # noqa: PTH115
            except OSError as error:
                self._report(path, error.strerror or str(error))
                return None
        return Gathered(self._tree, entry, lambda: iter(()))

    def _file(self, path: str, status: os.stat_result) -> Gathered | None:
        self._spool.clear()
        tell = partial(self._report, path)
        content = self._capture.read_or_tell(self._tree.place(path), status, tell)
        if content is None:
            return None
        if content.capture == "sqlite":
            self._tree.companions.update(path + suffix for suffix in COMPANIONS)
        entry = from_status(path, "file", content.status)
        entry.size, entry.chunks, entry.capture = content.size, content.chunks, content.capture
        if status.st_nlink > 1:
            entry.hard_link = f"{status.st_dev:x}-{status.st_ino:x}"
        self.files += 1
        self.size += entry.size
        return Gathered(self._tree, entry, partial(self._spool.content, content.chunks))


class _Spool:
    """The pieces of the file being captured, in memory or, when it is large, in a scratch file."""

    def __init__(self, scratch: Path) -> None:
        self._scratch = scratch
        self._places: dict[str, tuple[int, int]] = {}
        self._end = 0
        self._file: Any = self._fresh()

    def _fresh(self) -> Any:
        return tempfile.SpooledTemporaryFile(_IN_MEMORY, dir=str(self._scratch))

    def clear(self) -> None:
        if self._end > _IN_MEMORY:
            self._file.close()
            self._file = self._fresh()
        else:
            self._file.seek(0)
            self._file.truncate()
        self._places.clear()
        self._end = 0

    def store(self, chunk: str, data: bytes) -> None:
        if chunk in self._places:
            return
        try:
            self._file.seek(self._end)
            self._file.write(data)
        except OSError as error:
            raise storage_error(error, self._scratch, "gather a large file") from error
        self._places[chunk] = (self._end, len(data))
        self._end += len(data)

    def content(self, chunks: Sequence[str]) -> Iterator[bytes]:
        for chunk in chunks:
            at, length = self._places[chunk]
            self._file.seek(at)
            yield self._file.read(length)

    def close(self) -> None:
        with suppress(OSError):
            self._file.close()


def _identify(data: bytes) -> str:
    return blake3(data).hexdigest()

"""The snapshot before: which files need not be read again."""

import os
from collections.abc import Iterator

from holdfast.vault.capture import SETTLED_NS, at_rest
from holdfast.vault.coverage import Tree
from holdfast.vault.entries import SECOND, Entry
from holdfast.vault.index import Index
from holdfast.vault.snapshots import Snapshot


class Parent:
    """Looks paths up in an earlier snapshot, in the order of `durable.trees.walk`.

    Both run in the same order, so the snapshot is read along and never held in memory. A snapshot
    in another order costs reading files again, nothing else.
    """

    def __init__(self, snapshot: Snapshot | None, index: Index) -> None:
        self.id = None if snapshot is None else snapshot.id
        self.snapshot = snapshot
        self._index = index
        # A file as young as the snapshot itself may have changed after it was read, within the
        # same tick of the clock: it is not trusted.
        self._trusted_before = 0 if snapshot is None else snapshot.header.started_ns - SETTLED_NS
        self._entries: Iterator[Entry] = iter(()) if snapshot is None else snapshot.entries()
        self._current = next(self._entries, None)

    def unchanged(self, tree: Tree, path: str, status: os.stat_result) -> Entry | None:
        """The entry of the file `path` of `tree` if that holds, and its chunks are in the vault."""
        entry = self._find(tree.number, path)
        if entry is None or entry.kind != "file":
            return None
        mtime, ctime = status.st_mtime_ns, status.st_ctime_ns
        # As `entry.on_disk`, but this is done for every file of every snapshot.
        if (
            entry.inode != status.st_ino
            or (entry.size if entry.source_size is None else entry.source_size) != status.st_size
            or entry.mtime * SECOND + entry.mtime_nanos != mtime
            or entry.ctime * SECOND + entry.ctime_nanos != ctime
            or mtime >= self._trusted_before
            or ctime >= self._trusted_before
        ):
            return None
        if entry.capture == "sqlite" and not at_rest(tree.place(path)):
            return None
        for chunk in entry.chunks:
            if chunk not in self._index:
                return None
        return entry

    def body(self) -> bytes | None:
        """The digest of all entries; see `SnapshotWriter.body`."""
        if self.snapshot is None:
            return None
        for _ in self._entries:
            pass
        return self.snapshot.body()

    def _find(self, root: int, path: str) -> Entry | None:
        entry = self._current
        if entry is not None and (entry.path != path or entry.root != root):
            wanted = _order(root, path)
            while entry is not None and _order(entry.root, entry.path) < wanted:
                entry = self._current = next(self._entries, None)
        if entry is None or entry.path != path or entry.root != root:
            return None
        self._current = next(self._entries, None)
        return entry


def _order(root: int, path: str) -> tuple[int, list[str], str]:
    *folders, name = path.split("/")
    return -root, folders, name  # the last root is walked first

"""The snapshot before: which files need not be read again."""

from collections.abc import Iterator
from typing import NamedTuple

from holdfast.vault.capture import SETTLED_NS
from holdfast.vault.entries import Entry
from holdfast.vault.priorities import Priority, priority_of
from holdfast.vault.repository import Repository
from holdfast.vault.snapshots import Snapshot


class _Group(NamedTuple):
    """The entries of one folder, by name."""

    root: int
    folder: str
    entries: dict[str, Entry]


class Parent:
    """Looks folders up in an earlier snapshot, in the order in which a new one goes through them.

    Both run in the same order, so the snapshot is read along and never held in memory. A snapshot
    in another order costs reading files again, nothing else.
    """

    def __init__(self, repository: Repository, snapshot: Snapshot | None) -> None:
        self.snapshot = snapshot
        self.header = None if snapshot is None else snapshot.header
        # A file as young as the snapshot itself may have changed after it was read, within the
        # same tick of the clock: it is not trusted.
        self.trusted_before = 0 if snapshot is None else snapshot.header.started_ns - SETTLED_NS
        self._names = [] if snapshot is None else [root.name for root in snapshot.header.roots]
        self._groups = iter(()) if snapshot is None else self._in_order(repository, snapshot)
        self._next = next(self._groups, None)

    def folder(self, root: int, folder: str) -> dict[str, Entry]:
        """The entries directly in `folder` of the tree numbered `root`, by name."""
        group = self._next
        if group is not None and (group.folder != folder or group.root != root):
            wanted = self._order(root, folder)
            while group is not None and self._order(group.root, group.folder) < wanted:
                group = self._next = next(self._groups, None)
        if group is None or group.folder != folder or group.root != root:
            return {}
        self._next = next(self._groups, None)
        return group.entries

    def body(self) -> bytes | None:
        """The digest of all entries; see `SnapshotWriter.body`."""
        if self.snapshot is None:
            return None
        for _ in self._groups:
            pass
        return self.snapshot.body()

    def _in_order(self, repository: Repository, snapshot: Snapshot) -> Iterator[_Group]:
        if snapshot.header.by_priority:
            yield from _groups(snapshot)
            return
        # Taken before there were priorities: read once for each.
        for priority in Priority:
            for group in _groups(Snapshot(repository, snapshot.id)):
                if self._priority(group.root, group.folder) == priority:
                    yield group

    def _order(self, root: int, folder: str) -> tuple[Priority, int, list[str]]:
        # The last root is gone through first.
        return self._priority(root, folder), -root, folder.split("/")

    def _priority(self, root: int, folder: str) -> Priority:
        return priority_of(self._names[root] if root < len(self._names) else "", folder)


def _groups(snapshot: Snapshot) -> Iterator[_Group]:
    root, folder = -1, ""
    entries: dict[str, Entry] = {}
    for batch in snapshot.batches():
        for entry in batch:
            above, _, name = entry.path.rpartition("/")
            if above != folder or entry.root != root:
                if entries:
                    yield _Group(root, folder, entries)
                root, folder, entries = entry.root, above, {}
            entries[name] = entry
    if entries:
        yield _Group(root, folder, entries)

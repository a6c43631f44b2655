"""What differs between two snapshots, or between a snapshot and the tree as it is now."""

import os
import stat
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path

from holdfast.durable.names import long_path
from holdfast.durable.trees import Entry as Found
from holdfast.durable.trees import walk
from holdfast.engines.sqlite_copy import COMPANIONS
from holdfast.vault.coverage import Tree, shown
from holdfast.vault.entries import Entry, Root
from holdfast.vault.index import Index
from holdfast.vault.plan import Planner
from holdfast.vault.reports import Change, Difference
from holdfast.vault.repository import Repository
from holdfast.vault.snapshots import Snapshot

_Before = dict[tuple[int, str], Entry]


def diff_snapshots(before: Snapshot, after: Snapshot) -> list[Difference]:
    """How `after` differs from `before`, by path."""
    roots = after.header.roots
    old = _entries(before)
    found = [
        _compare(old.pop((entry.root, entry.path), None), entry, roots) for entry in _held(after)
    ]
    return _sorted([*filter(None, found), *_removed(old, before.header.roots)])


def diff_now(repository: Repository, before: Snapshot) -> list[Difference]:
    """How the tree that `before` was taken of differs now; what it left out is left out again.

    Content is compared, not only times. Raises `UnreadableError` for an ignore file that is none.
    """
    index = Index()
    index.load(repository)
    old = _entries(before)
    found: list[Difference] = []
    for number, root in enumerate(before.header.roots):
        top = Path(root.path)
        tree = Tree(
            number,
            root,
            repository.root,
            everything=before.header.everything,
            excludes=before.header.excludes,
            encrypted=repository.sealing.encrypted,
        )
        now = _Now(tree, Planner(top, index, before.header.started_ns, repository.sealing.matches))
        for item in now.walk():
            entry = old.pop((number, item.path), None)
            if (difference := now.compare(entry, item)) is not None:
                found.append(difference)
    return _sorted([*found, *_removed(old, before.header.roots)])


class _Now:
    """The tree as it is, seen as the snapshot saw it."""

    def __init__(self, tree: Tree, planner: Planner) -> None:
        self._tree = tree
        self._planner = planner

    def walk(self) -> Iterator[Found]:
        """What is there, parents first; what cannot be looked at counts as not there."""
        if not long_path(self._tree.path).is_dir():
            return
        yield from walk(self._tree.path, skip=self._skip, on_error=lambda *_: None)

    def compare(self, entry: Entry | None, found: Found) -> Difference | None:
        size = found.status.st_size if found.is_file else 0
        path = self._tree.shown(found.path)
        if entry is None:
            return Difference(path, "added", 0, size)
        if entry.capture == "sqlite":
            self._tree.companions.update(entry.path + suffix for suffix in COMPANIONS)
        change = self._change(entry, found)
        return None if change is None else Difference(path, change, entry.size, size)

    def _change(self, entry: Entry, found: Found) -> Change | None:
        if _kind(found) != entry.kind:
            return "kind"
        if found.is_file and not self._planner.same_content(entry, found.status):
            return "content"
        if found.is_link:
            place = self._planner.place(entry.path)
            return None if os.readlink(place) == entry.target else "target"  # noqa: PTH115
        return None if stat.S_IMODE(found.status.st_mode) == entry.mode else "mode"

    def _skip(self, path: str, item: os.DirEntry[str]) -> bool:
        return self._tree.ignores(path, item.name) or self._tree.excludes(path, item)


def _kind(found: Found) -> str:
    if found.is_file:
        return "file"
    if found.is_folder:
        return "folder"
    if found.is_link:
        return "link"
    mode = found.status.st_mode
    return "fifo" if stat.S_ISFIFO(mode) else "socket" if stat.S_ISSOCK(mode) else "device"


def _held(snapshot: Snapshot) -> Iterator[Entry]:
    return (entry for entry in snapshot.entries() if entry.kind != "excluded")


def _entries(snapshot: Snapshot) -> _Before:
    return {(entry.root, entry.path): entry for entry in _held(snapshot)}


def _compare(old: Entry | None, new: Entry, roots: Sequence[Root]) -> Difference | None:
    path = shown(new, roots)
    if old is None:
        return Difference(path, "added", 0, new.size)
    change: Change | None = None
    if old.kind != new.kind:
        change = "kind"
    elif old.chunks != new.chunks:
        change = "content"
    elif old.target != new.target:
        change = "target"
    elif old.mode != new.mode:
        change = "mode"
    return None if change is None else Difference(path, change, old.size, new.size)


def _removed(left: _Before, roots: Sequence[Root]) -> Iterator[Difference]:
    return (Difference(shown(entry, roots), "removed", entry.size) for entry in left.values())


def _sorted(differences: Iterable[Difference]) -> list[Difference]:
    return sorted(differences, key=lambda each: each.path)

"""Going through the trees for a snapshot: what is unchanged is recognised, the rest is read.

An unchanged file costs one lstat and one comparison: this is done for every file of every
snapshot, so what is done for each is written out here, and the rest is called only when it is
needed.
"""

import os
import stat
import sys
from collections.abc import Callable, Sequence
from functools import partial
from typing import NamedTuple

import msgspec

from holdfast.durable.trees import is_junction
from holdfast.engines.sqlite_copy import COMPANIONS
from holdfast.errors import BusyError, HoldfastError, storage_error
from holdfast.vault import queue_files
from holdfast.vault.capture import Capture, Content, at_rest
from holdfast.vault.coverage import WORKSPACE, Tree, is_secret
from holdfast.vault.entries import SECOND, Entry, Kind, Problem, Totals, from_status
from holdfast.vault.estimate import Estimate
from holdfast.vault.excludes import remade_by
from holdfast.vault.parent import Parent
from holdfast.vault.priorities import Priority, priority_of
from holdfast.vault.queue_files import Held
from holdfast.vault.registry_locks import RegistryLocks
from holdfast.vault.reports import Progress
from holdfast.vault.sample import Reservoir
from holdfast.vault.snapshots import SnapshotWriter

_TELL_EVERY = 500  # entries
_READ_TELL = 4 << 20  # bytes of one file

_KINDS: dict[int, Kind] = {
    stat.S_IFREG: "file",
    stat.S_IFDIR: "folder",
    stat.S_IFLNK: "link",
    stat.S_IFIFO: "fifo",
    stat.S_IFSOCK: "socket",
}
_FORMAT = 0o170000  # the bits of a mode that tell the kind
_WINDOWS = sys.platform == "win32"
# Elsewhere a folder whose times are the same has the same names; on Windows not on all disks.
_TIMES_TELL = not _WINDOWS


class _Below(NamedTuple):
    """A folder to go through, and whether it looks as it did in the parent."""

    path: str
    same: bool


class Gathering:
    """The entries of one snapshot, gathered into `writer`.

    `holds(chunks)` says whether the vault has them all. With `same_rules` the parent left out what
    this one leaves out.
    """

    def __init__(
        self,
        parent: Parent,
        capture: Capture,
        *,
        holds: Callable[[Sequence[str]], bool],
        same_rules: bool,
        stores: Sequence[str],
        digest: bool,
        progress: Progress | None,
    ) -> None:
        self.writer = SnapshotWriter(digest=digest)
        self.totals = Totals()
        self.problems: list[Problem] = []
        self.fresh = Reservoir()
        self.known = Reservoir()
        self.of_stores: dict[str, Entry] = {}  # the smallest file of each store
        self._stores = stores
        self._near_stores = {
            path.partition("/")[0] for store in stores for path in (store, store.rpartition("/")[0])
        }
        self._parent = parent
        self._capture = capture
        self._holds = holds
        self._same_rules = same_rules
        self._progress = progress
        self._expected = 0 if parent.header is None else parent.header.totals.size
        self._estimate: Estimate | None = None
        self._told = 0
        self._reading = 0  # bytes read of the present file
        self._read_told = 0
        self._held: dict[str, dict[str, Held]] = {}  # by place of the folder
        # Folders with names that the parent has no entry for, or no entries at all.
        self._incomplete: set[str] = set()
        if parent.header is not None:
            for problem in parent.header.problems:
                self._incomplete |= {problem.path, problem.path.rpartition("/")[0]}
        self._twins: dict[str, Entry] = {}

    def walk(self, trees: Sequence[Tree], cut: Callable[[], None]) -> None:
        """Go through `trees`, what matters most of all of them first, the last tree first.

        `cut` is called when all of that is there, and then after each folder: it may keep what
        there is until then.
        """
        if self._progress is not None and not self._expected:
            self._estimate = Estimate(trees)
        pending: dict[tuple[Priority, int], list[_Below]] = {
            (priority, tree.number): [] for priority in Priority for tree in reversed(trees)
        }
        for tree in trees:
            pending[Priority.HIGH, tree.number].append(_Below("", same=False))
        for (priority, number), stack in pending.items():
            stack.sort(key=lambda below: below.path.split("/"), reverse=True)
            tree = trees[number]
            locks = RegistryLocks(tree.path)
            while stack:
                folder = stack.pop()
                with locks.held(folder.path):
                    found = self._folder(tree, *folder)
                for below in reversed(found):
                    pending[priority_of(tree.root.name, below.path), number].append(below)
                self._tell(_TELL_EVERY)
                if priority != Priority.HIGH or (number == 0 and not stack):
                    cut()
        self._tell(0)

    def _folder(self, tree: Tree, folder: str, same: bool) -> list[_Below]:
        """Take what is in `folder`; returns the folders in it.

        The names in a folder that is the `same` as in the parent are not asked for again.
        """
        known = self._parent.folder(tree.number, folder)
        if tree.hides_secrets:  # those that an earlier Holdfast took
            known = {name: each for name, each in known.items() if not is_secret(each.path)}
        place = tree.place(folder)
        if (held := self._held.pop(place, None)) is not None:
            self._take_held(tree, folder, held, known)
            return []
        try:
            hold = self._names_hold(tree, folder, known, same)
            names = list(known) if hold else sorted(os.listdir(place))  # noqa: PTH208
        except OSError as error:
            self._unlisted(tree, folder, error)
            return []
        if queue_files.MARK in names:
            self._hold_queue(tree, folder)
        lstat, totals = os.lstat, self.totals
        hidden, companions = tree.hidden, tree.companions
        same_rules, trusted_before = self._same_rules, self._parent.trusted_before
        if folder:
            place += os.sep
        prefix = folder + "/" if folder else ""
        below: list[_Below] = []
        entries: list[Entry] = []
        unchanged: list[Entry] = []
        for name in names:
            path = prefix + name
            before = known.get(name)
            if (
                path in hidden
                or path in companions
                or (before is None and tree.ignores(path, name))
            ):
                continue
            try:
                status = lstat(place + name)
            except OSError as error:
                self._report(tree, path, error)
                continue
            mode = status.st_mode
            kind = _KINDS.get(mode & _FORMAT, "device")
            if _WINDOWS and kind == "folder" and is_junction(status):
                kind = "link"
            # What was taken as the same kind by the same rules is not left out now.
            settled = same_rules and before is not None and before.kind == kind
            if not settled and tree.leaves_out(path, name, is_folder=kind == "folder"):
                totals.excluded += 1
                entries.append(Entry(path, "excluded", root=tree.number, remake=remade_by(name)))
                continue
            as_before = (
                before
                if before is not None
                and before.inode == status.st_ino
                and before.kind == kind
                and (mtime := status.st_mtime_ns) == before.mtime * SECOND + before.mtime_nanos
                and (ctime := status.st_ctime_ns) == before.ctime * SECOND + before.ctime_nanos
                and mtime < trusted_before
                and ctime < trusted_before
                and before.mode == mode & 0o7777
                else None
            )
            entry: Entry | None
            if kind == "folder":
                entry = as_before or from_status(path, kind, status, tree.number)
                below.append(_Below(path, as_before is not None))
            elif (
                as_before is not None
                and kind == "file"
                and (as_before.size if as_before.source_size is None else as_before.source_size)
                == status.st_size
                and (as_before.capture is None or at_rest(place + name))
                and self._holds(as_before.chunks)
            ):
                entry = as_before
                totals.size += as_before.size
                unchanged.append(as_before)
                if as_before.capture is not None:
                    tree.companions.update(path + suffix for suffix in COMPANIONS)
            else:
                entry = self._take(tree, path, kind, status)
            if entry is not None:
                entries.append(entry)
        if folder.partition("/")[0] in self._near_stores and tree.number == 0:
            self._sample_stores(folder, entries)
        totals.folders += len(below)
        totals.files += len(unchanged)
        totals.unchanged += len(unchanged)
        self.known.offer(unchanged)
        self.writer.extend(entries)
        return below

    def _names_hold(self, tree: Tree, folder: str, known: dict[str, Entry], same: bool) -> bool:
        """Whether the parent has all names of `folder`, which looks as it did then.

        It lacks the names it could not capture, and those that belonged to a database.
        """
        return (
            same
            and _TIMES_TELL
            and self._same_rules
            and bool(known)
            and (not self._incomplete or tree.shown(folder) not in self._incomplete)
            and not any(entry.capture for entry in known.values())
        )

    def _sample_stores(self, folder: str, entries: Sequence[Entry]) -> None:
        """Remember a file of each store for the proof; the smallest, as this is done each time."""
        for store in self._stores:
            inside = f"{folder}/".startswith(f"{store}/")
            if not inside and folder != store.rpartition("/")[0]:
                continue
            for entry in entries:
                if not entry.size or not (inside or entry.path == store):
                    continue
                if store not in self.of_stores or entry.size < self.of_stores[store].size:
                    self.of_stores[store] = entry

    def _hold_queue(self, tree: Tree, folder: str) -> None:
        """Note where the records of the queue in `folder` end now, in all its files."""
        try:
            parts = queue_files.hold_queue(tree.path / folder)
        except BusyError as error:
            self._report(tree, folder, f"its files were read at different moments: {error.message}")
            return
        except (HoldfastError, OSError):
            return  # what nobody can write to does not change either
        for part, files in (parts or {}).items():
            self._held[tree.place(f"{folder}/{part}" if folder else part)] = files

    def _take_held(
        self, tree: Tree, folder: str, held: dict[str, Held], known: dict[str, Entry]
    ) -> None:
        """Take the files of a part of a queue as they were."""
        trusted_before = self._parent.trusted_before
        entries = []
        for name, (descriptor, status) in held.items():
            path = f"{folder}/{name}"
            if tree.ignores(path, name):
                continue
            before = known.get(name)
            if (
                before is not None
                and before.on_disk
                == (status.st_size, status.st_mtime_ns, status.st_ctime_ns, status.st_ino)
                and max(status.st_mtime_ns, status.st_ctime_ns) < trusted_before
                and self._holds(before.chunks)
            ):
                self.totals.unchanged += 1
                entry = before
            else:
                content = self._capture.read_held(descriptor, status)
                entry = _filled(path, content, None, tree.number)
                self.fresh.offer((entry,))
            self.totals.files += 1
            self.totals.size += entry.size
            entries.append(entry)
        self.writer.extend(entries)
        if tree.number == 0:
            self._sample_stores(folder, entries)
        _close(held)

    def close(self) -> None:
        """Close what a capture that was cut off left open."""
        if self._estimate is not None:
            self._estimate.stop()
        while self._held:
            _close(self._held.popitem()[1])

    def _take(self, tree: Tree, path: str, kind: Kind, status: os.stat_result) -> Entry | None:
        """The entry of what is new or changed; None if there is none."""
        if kind == "file":
            return self._take_file(tree, path, status)
        entry = from_status(path, kind, status, tree.number)
        if kind != "link":
            self.totals.skipped += 1
            return entry
        try:
            entry.target = os.readlink(tree.place(path))  # noqa: PTH115
        except OSError as error:
            self._report(tree, path, error)
            return None
        self.totals.links += 1
        return entry

    def _take_file(self, tree: Tree, path: str, status: os.stat_result) -> Entry | None:
        entry = self._read(tree, path, status)
        if entry is None:
            return None
        self.fresh.offer((entry,))
        if entry.capture == "sqlite":
            tree.companions.update(path + suffix for suffix in COMPANIONS)
        self.totals.files += 1
        self.totals.size += entry.size
        self._tell(_TELL_EVERY)
        return entry

    def _read(self, tree: Tree, path: str, status: os.stat_result) -> Entry | None:
        twin = f"{status.st_dev:x}-{status.st_ino:x}" if status.st_nlink > 1 else None
        entry = from_status(path, "file", status, tree.number)
        known = None if twin is None else self._twins.get(twin)
        if known is not None and known.on_disk == (status.st_size, *entry.on_disk[1:]):
            return msgspec.structs.replace(known, path=path, root=tree.number)
        tell = partial(self._report, tree, path)
        content = self._capture.read_or_tell(tree.place(path), status, tell)
        if content is None:
            return None
        entry = _filled(path, content, twin, tree.number)
        if twin is not None:
            self._twins[twin] = entry
        return entry

    def _unlisted(self, tree: Tree, folder: str, error: OSError) -> None:
        if folder == "" and tree.root.name == WORKSPACE:
            raise storage_error(error, tree.path, "list the folder") from error
        self._report(tree, folder, error)

    def _report(self, tree: Tree, path: str, reason: OSError | str) -> None:
        text = reason if isinstance(reason, str) else reason.strerror or str(reason)
        self.problems.append(Problem(tree.shown(path), text))

    def _tell(self, least: int) -> None:
        """Tell the progress when at least that many entries were done since the last time."""
        done = self.totals.files + self.totals.folders + self.totals.links
        self._reading = self._read_told = 0
        if self._progress is not None and done - self._told >= least:
            self._told = done
            self._progress(done, self.totals.size, self._all)

    def read(self, size: int) -> None:
        """Tell the progress within a large file, of which `size` more bytes were read."""
        self._reading += size
        if self._progress is not None and self._reading - self._read_told >= _READ_TELL:
            self._read_told = self._reading
            done = self.totals.files + self.totals.folders + self.totals.links
            self._progress(done, self.totals.size + self._reading, self._all)

    @property
    def _all(self) -> int:
        """All bytes there are, as far as is known; else 0."""
        return self._expected if self._estimate is None else self._estimate.size


def _close(held: dict[str, Held]) -> None:
    for descriptor, _ in held.values():
        os.close(descriptor)


def _filled(path: str, content: Content, twin: str | None, root: int) -> Entry:
    entry = from_status(path, "file", content.status, root)
    entry.size = content.size
    entry.chunks = content.chunks
    entry.capture = content.capture
    entry.hard_link = twin
    if content.status.st_size != content.size:
        entry.source_size = content.status.st_size
    return entry

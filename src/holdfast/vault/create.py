"""Taking a snapshot: walk, recognise what is unchanged, read the rest, publish, prove."""

import os
import random
import socket
import stat
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path

import msgspec

from holdfast.durable.files import make_folder, sweep_temporary
from holdfast.durable.names import is_within, long_path
from holdfast.durable.trees import Entry as Found
from holdfast.durable.trees import walk
from holdfast.engines.sqlite_copy import COMPANIONS
from holdfast.errors import (
    ConflictError,
    HoldfastError,
    NotFoundError,
    UsageError,
    storage_error,
)
from holdfast.vault.capture import Capture, ChangingError, Content
from holdfast.vault.coverage import HOME, UNDO, WORKSPACE, Tree
from holdfast.vault.entries import (
    FORMAT_VERSION,
    Entry,
    Header,
    Kind,
    Problem,
    Root,
    Totals,
    from_status,
)
from holdfast.vault.failing import visit
from holdfast.vault.index import Index
from holdfast.vault.packs import PackWriter
from holdfast.vault.parent import Parent
from holdfast.vault.proof import prove
from holdfast.vault.reports import Progress, SnapshotInfo, SnapshotReport
from holdfast.vault.repository import Repository
from holdfast.vault.snapshots import Snapshot, SnapshotWriter, info_of, list_snapshots

_SAMPLE = 5
_TELL_EVERY = 500  # entries


@dataclass(frozen=True)
class Order:
    """What is to be taken: the trees, and what `Vault.snapshot` was told."""

    root: Path
    home: Path | None = None
    excludes: Sequence[str] = ()
    tags: Sequence[str] = ()
    everything: bool = False
    workspace_id: str = ""
    workspace_name: str = ""
    point: str = ""
    away: Sequence[Path] = ()
    progress: Progress | None = None
    unless_unchanged: bool = False

    @property
    def roots(self) -> list[Root]:
        """The trees; a home that lies in the first one is no tree of its own."""
        roots = [Root(WORKSPACE, str(self.root))]
        if self.home is not None and not is_within(self.home, self.root):
            roots.append(Root(HOME, str(self.home)))
        return roots


def take_snapshot(repository: Repository, order: Order) -> SnapshotReport:
    """Take a snapshot as ordered; see `Vault.snapshot`."""
    began = time.monotonic()
    if not long_path(order.root).is_dir():
        raise NotFoundError("there is no such folder", path=order.root)
    if is_within(order.root, repository.root):
        raise UsageError("a vault cannot hold itself", path=order.root)
    make_folder(repository.scratch, private=True)
    sweep_temporary(repository.scratch, older_than=86_400)
    index = Index()
    index.load(repository, without_key=True)
    parent = Parent(_parent_snapshot(repository, order), index)
    work = _Work(repository, order, index, parent)
    try:
        work.walk()
        if order.unless_unchanged and (same := work.same_as_before()) is not None:
            return SnapshotReport(same, None, [], time.monotonic() - began)
        stored = work.packs.finish() if work.packs is not None else 0
        identity, header = work.publish(stored)
    except BaseException:
        if work.packs is not None:
            work.packs.abort()
        raise
    if work.packs is not None:
        index = Index()  # what is proven is what was published
        index.load(repository, without_key=True)
    repository.tidy_memory()
    proof, findings = prove(repository, index, identity, work.sample.entries, order.roots)
    seconds = time.monotonic() - began
    notes = _notes(repository, index)
    return SnapshotReport(info_of(identity, header), proof, findings, seconds, notes)


def _notes(repository: Repository, index: Index) -> list[str]:
    if index.locked or (repository.keys is not None and repository.keys.new_key):
        return [
            "what the encrypted vault held before is not known on this machine, and without the "
            "key it cannot be looked at: what could not be recognised was stored anew"
        ]
    return []


def _parent_snapshot(repository: Repository, order: Order) -> Snapshot | None:
    """The newest readable snapshot of the same tree; for an undo point rather one of those."""
    place = str(order.root)
    newest_first = list_snapshots(repository)[::-1]
    # Undo points leave out what programs write all the time: each kind knows most of its own.
    for info in sorted(newest_first, key=lambda info: (UNDO in info.tags) != (UNDO in order.tags)):
        if info.damage is None and info.root == place:
            try:
                return Snapshot(repository, info.id)
            except HoldfastError:
                continue  # damaged below its header: an older one serves as well
    return None


@dataclass
class _Sample:
    """A fair choice of the files read in this snapshot, or of the unchanged if none was read."""

    fresh: list[Entry] = field(default_factory=list)
    known: list[Entry] = field(default_factory=list)
    seen: list[int] = field(default_factory=lambda: [0, 0])

    @property
    def entries(self) -> list[tuple[Entry, bool]]:
        """Each with whether it was read just now."""
        return [(entry, True) for entry in self.fresh] + [(entry, False) for entry in self.known]

    def offer(self, entry: Entry, *, fresh: bool) -> None:
        chosen = self.fresh if fresh else self.known
        self.seen[fresh] += 1
        if len(chosen) < _SAMPLE:
            chosen.append(entry)
        elif (at := int(random.random() * self.seen[fresh])) < _SAMPLE:  # noqa: S311
            chosen[at] = entry


class _Work:
    """One snapshot being taken."""

    def __init__(self, repository: Repository, order: Order, index: Index, parent: Parent) -> None:
        self.packs: PackWriter | None = None
        self.sample = _Sample()
        self._repository = repository
        self._order = order
        self._index = index
        self._missing_before = index.pack_sizes.keys() - repository.pack_sizes().keys()
        self._parent = parent
        self._started_ns = time.time_ns()
        self._trees = [
            Tree(
                number,
                root,
                repository.root,
                everything=order.everything,
                excludes=order.excludes,
                encrypted=repository.sealing.encrypted,
                away=order.away,
            )
            for number, root in enumerate(order.roots)
        ]
        self._tree = self._trees[0]
        self._capture = Capture(self._store, repository.scratch, repository.sealing.identify)
        self._writer = SnapshotWriter()
        self._totals = Totals()
        self._problems: list[Problem] = []
        self._added: set[str] = set()
        self._twins: dict[str, Entry] = {}

    def walk(self) -> None:
        """Go through the trees, the home's first as it matters most, and gather all entries."""
        tell = self._order.progress
        totals = self._totals
        for tree in reversed(self._trees):
            self._tree = tree
            for found in walk(tree.path, skip=self._skip, on_error=self._unlisted):
                self._take(found)
                if tell is not None and self._totals.files % _TELL_EVERY == 0:
                    tell(totals.files + totals.folders + totals.links, totals.size)
        if tell is not None:
            tell(totals.files + totals.folders + totals.links, totals.size)

    def same_as_before(self) -> SnapshotInfo | None:
        """The parent, when every entry is, byte for byte, as it is there."""
        parent = self._parent.snapshot
        if parent is None or self.packs is not None or self._problems:
            return None
        totals = parent.header.totals
        if (totals.entries, totals.files) != (self._writer.count, self._totals.files):
            return None
        if self._writer.body() != self._parent.body():
            return None
        return info_of(parent.id, parent.header)

    def publish(self, stored: int) -> tuple[str, Header]:
        """Write the snapshot file."""
        order = self._order
        self._totals.stored = stored
        self._totals.entries = self._writer.count
        header = Header(
            format_version=FORMAT_VERSION,
            vault=self._repository.id,
            roots=order.roots,
            host=socket.gethostname(),
            platform=sys.platform,
            started_at=datetime.fromtimestamp(self._started_ns / 1e9, UTC),
            ended_at=datetime.now(UTC),
            totals=self._totals,
            workspace_id=order.workspace_id,
            workspace_name=order.workspace_name,
            parent=self._parent.id,
            tags=list(order.tags),
            excludes=list(order.excludes),
            everything=order.everything,
            point=order.point,
            problems=self._problems,
        )
        self._check_packs()
        identity = self._writer.publish(self._repository, header)
        visit("vault.snapshot.written", self._repository.root, "write the snapshot")
        return identity, header

    def _check_packs(self) -> None:
        """A prune leaves alone what may be relied on, but not longer than its age of grace."""
        relied_on = self._index.pack_sizes.keys() - self._index.condemned - self._missing_before
        relied_on |= set(self.packs.published if self.packs is not None else ())
        if relied_on - self._repository.pack_sizes().keys():
            raise ConflictError(
                "a prune removed packs that this snapshot was about to rely on",
                path=self._repository.packs,
                hint="take it again; what it stored is kept",
            )

    def _skip(self, path: str, item: os.DirEntry[str]) -> bool:
        if self._tree.ignores(path, item.name):
            return True
        if not self._tree.excludes(path, item):
            return False
        self._totals.excluded += 1
        self._add(Entry(path, "excluded"))
        return True

    def _add(self, entry: Entry) -> None:
        entry.root = self._tree.number
        self._writer.add(entry)

    def _unlisted(self, path: str, error: OSError) -> None:
        if path == "" and self._tree.root.name == WORKSPACE:
            raise storage_error(error, self._tree.path, "list the folder") from error
        self._report(path, error.strerror or str(error))

    def _report(self, path: str, reason: str) -> None:
        self._problems.append(Problem(self._tree.shown(path), reason))

    def _take(self, found: Found) -> None:
        path, status = found
        if stat.S_ISREG(status.st_mode):
            self._take_file(path, status)
        elif found.is_folder:
            self._totals.folders += 1
            self._add(from_status(path, "folder", status))
        elif found.is_link:
            self._take_link(path, status)
        else:
            self._totals.skipped += 1
            self._add(from_status(path, _special(status), status))

    def _take_link(self, path: str, status: os.stat_result) -> None:
        entry = from_status(path, "link", status)
        try:
            entry.target = os.readlink(self._tree.place(path))  # noqa: PTH115
        except OSError as error:
            self._report(path, error.strerror or str(error))
            return
        self._totals.links += 1
        self._add(entry)

    def _take_file(self, path: str, status: os.stat_result) -> None:
        entry = self._parent.unchanged(self._tree, path, status)
        if entry is not None:
            self._totals.unchanged += 1
            self.sample.offer(entry, fresh=False)
        else:
            entry = self._read(path, status)
            if entry is None:
                return
            entry.root = self._tree.number
            self.sample.offer(entry, fresh=True)
        if entry.capture == "sqlite":
            self._tree.companions.update(path + suffix for suffix in COMPANIONS)
        self._totals.files += 1
        self._totals.size += entry.size
        self._writer.add(entry)

    def _read(self, path: str, status: os.stat_result) -> Entry | None:
        twin = f"{status.st_dev:x}-{status.st_ino:x}" if status.st_nlink > 1 else None
        entry = from_status(path, "file", status)
        known = None if twin is None else self._twins.get(twin)
        if known is not None and known.on_disk == (status.st_size, *entry.on_disk[1:]):
            return _like(known, path)
        try:
            content = self._capture.read(self._tree.place(path), status)
        except FileNotFoundError:
            self._report(path, "it vanished while the snapshot was taken")
            return None
        except OSError as error:
            self._report(path, error.strerror or str(error))
            return None
        except ChangingError:
            self._report(path, "it changed each time it was read")
            return None
        if content.problem is not None:
            self._report(path, content.problem)
        entry = _filled(path, content, twin)
        if twin is not None:
            self._twins[twin] = entry
        return entry

    def _store(self, chunk: str, data: bytes) -> None:
        if chunk in self._index or chunk in self._added:
            return
        self._added.add(chunk)
        if self.packs is None:
            self.packs = PackWriter(self._repository)
        self.packs.add(chunk, data)


def _filled(path: str, content: Content, twin: str | None) -> Entry:
    entry = from_status(path, "file", content.status)
    entry.size = content.size
    entry.chunks = content.chunks
    entry.capture = content.capture
    entry.hard_link = twin
    if content.status.st_size != content.size:
        entry.source_size = content.status.st_size
    return entry


def _like(entry: Entry, path: str) -> Entry:
    return msgspec.structs.replace(entry, path=path)


def _special(status: os.stat_result) -> Kind:
    if stat.S_ISFIFO(status.st_mode):
        return "fifo"
    return "socket" if stat.S_ISSOCK(status.st_mode) else "device"

"""Taking a snapshot: go through the trees, store what is new, publish, prove."""

import socket
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

import msgspec
from blake3 import blake3

from holdfast.durable.files import make_folder, remove, sweep_temporary
from holdfast.durable.names import is_within, long_path
from holdfast.errors import ConflictError, HoldfastError, NotFoundError, UsageError
from holdfast.vault.capture import Capture
from holdfast.vault.coverage import HOME, UNDO, WORKSPACE, Tree
from holdfast.vault.entries import FORMAT_VERSION, Entry, Header, Root
from holdfast.vault.failing import visit
from holdfast.vault.forget import forget
from holdfast.vault.incremental import Gathering
from holdfast.vault.index import Index
from holdfast.vault.packs import PackWriter
from holdfast.vault.parent import Parent
from holdfast.vault.proof import prove
from holdfast.vault.reports import Progress, SnapshotInfo, SnapshotReport
from holdfast.vault.repository import Repository
from holdfast.vault.snapshots import Snapshot, info_of, list_snapshots

FIRST_PARTIAL = 2.0
"""Seconds after which the first snapshot of a tree publishes what it has, as a partial one."""

PARTIAL_EVERY = 300.0
"""Seconds after which any other does, and again and again."""


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
    stores: Sequence[str] = ()
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
    earlier = [info for info in list_snapshots(repository) if info.root == str(order.root)]
    work = _Work(repository, order, _newest_readable(repository, order, earlier))
    try:
        work.gather()
        if order.unless_unchanged and (same := work.same_as_before()) is not None:
            return SnapshotReport(same, None, [], time.monotonic() - began)
        identity, header = work.publish()
    except BaseException:
        work.abort()
        raise
    work.drop_partial()
    if partial := [i.id for i in earlier if i.partial and i.host == header.host]:
        forget(repository, partial)
    index = Index()  # what is proven is what was published
    sample = work.sample()
    wanted = {chunk for entry, _ in sample for chunk in entry.chunks}
    index.load(repository, only=wanted, without_key=True)
    repository.tidy_memory()
    proof, findings = prove(repository, index, identity, sample, order.roots, order.stores)
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


def _newest_readable(
    repository: Repository, order: Order, earlier: Sequence[SnapshotInfo]
) -> Snapshot | None:
    """The newest of the snapshots of the same tree; a partial one if there is no other.

    For an undo point it is rather one of those: they leave out what programs write all the time,
    so each kind knows most of its own.
    """

    def rank(info: SnapshotInfo) -> tuple[bool, bool]:
        return info.partial, (UNDO in info.tags) != (UNDO in order.tags)

    newest_first = list(reversed(earlier))
    for info in sorted(newest_first, key=rank):
        try:
            return Snapshot(repository, info.id, digest=order.unless_unchanged)
        except HoldfastError:
            continue  # damaged below its header: an older one serves as well
    return None


class _Work:
    """One snapshot being taken."""

    def __init__(self, repository: Repository, order: Order, parent: Snapshot | None) -> None:
        self._partial: str | None = None
        self._repository = repository
        self._order = order
        self._parent = Parent(repository, parent)
        self._started_ns = time.time_ns()
        self._next_partial = time.monotonic() + (FIRST_PARTIAL if parent is None else PARTIAL_EVERY)
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
        self._rules = _digest([(tree.rules, sorted(tree.hidden)) for tree in self._trees])
        self._index: Index | None = None
        self._packs: PackWriter | None = None
        self._stored = 0
        self._added: set[str] = set()
        self._relied_on = self._standing_packs()
        # The parent's chunks were all there; while the packs are the same, they are there still.
        header = self._parent.header
        self._all_held = header is not None and header.packs == self._packs_digest()
        self._gathering = Gathering(
            self._parent,
            Capture(self._store, repository.scratch, repository.sealing.identify),
            holds=self._holds,
            same_rules=header is not None and header.rules == self._rules,
            stores=order.stores,
            digest=order.unless_unchanged,
            progress=order.progress,
        )

    def gather(self) -> None:
        """Go through the trees."""
        try:
            self._gathering.walk(self._trees, self._cut)
        finally:
            self._gathering.close()

    def publish(self, *, partial: bool = False) -> tuple[str, Header]:
        """Write the snapshot file."""
        order, gathering = self._order, self._gathering
        if self._packs is not None:
            self._stored += self._packs.finish()
            self._relied_on |= set(self._packs.published)
            self._packs = None
        gathering.totals.stored = self._stored
        gathering.totals.entries = gathering.writer.count
        header = Header(
            format_version=FORMAT_VERSION,
            vault=self._repository.id,
            roots=order.roots,
            host=socket.gethostname(),
            platform=sys.platform,
            started_at=datetime.fromtimestamp(self._started_ns / 1e9, UTC),
            ended_at=datetime.now(UTC),
            totals=gathering.totals,
            workspace_id=order.workspace_id,
            workspace_name=order.workspace_name,
            parent=None if self._parent.snapshot is None else self._parent.snapshot.id,
            tags=list(order.tags),
            excludes=list(order.excludes),
            everything=order.everything,
            point=order.point,
            problems=gathering.problems,
            partial=partial,
            by_priority=True,
            rules=self._rules,
            packs=self._packs_digest(),
        )
        identity = gathering.writer.publish(self._repository, header)
        visit("vault.snapshot.written", self._repository.root, "write the snapshot")
        return identity, header

    def same_as_before(self) -> SnapshotInfo | None:
        """The parent, when every entry is, byte for byte, as it is there."""
        parent, gathering = self._parent.snapshot, self._gathering
        if parent is None or self._packs is not None or self._stored or gathering.problems:
            return None
        totals = parent.header.totals
        if (totals.entries, totals.files) != (gathering.writer.count, gathering.totals.files):
            return None
        if parent.header.partial or gathering.writer.body() != self._parent.body():
            return None
        return info_of(parent.id, parent.header)

    def abort(self) -> None:
        """Give up; what was published stays, as garbage or for the next snapshot."""
        if self._packs is not None:
            self._packs.abort()

    def sample(self) -> list[tuple[Entry, bool]]:
        """Some files read just now, which are compared with those on disk, and some unchanged.

        One of each store is among them.
        """
        gathering = self._gathering
        chosen = [(entry, True) for entry in gathering.fresh.entries]
        chosen += [(entry, False) for entry in gathering.known.entries]
        paths = {(entry.root, entry.path) for entry, _ in chosen}
        of_stores = gathering.of_stores.values()
        return chosen + [(entry, False) for entry in of_stores if (0, entry.path) not in paths]

    def _cut(self) -> None:
        """Keep what there is, if it is time: a snapshot that is cut off later was of use then."""
        now = time.monotonic()
        if now < self._next_partial or self._packs is None:
            return
        self._next_partial = now + PARTIAL_EVERY
        before = self._partial
        self._partial, _ = self.publish(partial=True)
        self._remove(before)

    def drop_partial(self) -> None:
        """Remove what was kept meanwhile: the whole snapshot holds all of it."""
        self._remove(self._partial)

    def _remove(self, snapshot: str | None) -> None:
        if snapshot is not None:
            remove(self._repository.lines_path(self._repository.snapshots, snapshot))

    def _standing_packs(self) -> set[str]:
        repository = self._repository
        return repository.pack_sizes().keys() - repository.condemned_packs()

    def _packs_digest(self) -> str:
        """Of the packs that may be relied on. Raises `ConflictError` when one is gone.

        A prune leaves them alone, but not longer than its age of grace.
        """
        sizes = self._repository.pack_sizes()
        if self._relied_on - sizes.keys():
            raise ConflictError(
                "a prune removed packs that this snapshot was about to rely on",
                path=self._repository.packs,
                hint="take it again; what it stored is kept",
            )
        return _digest(sorted((pack, sizes[pack]) for pack in self._relied_on))

    def _holds(self, chunks: Sequence[str]) -> bool:
        if self._all_held:
            return True
        index = self._loaded()
        return all(chunk in index for chunk in chunks)

    def _loaded(self) -> Index:
        """The index, read when it is first needed."""
        if self._index is None:
            self._index = Index()
            before = self._repository.pack_sizes().keys()
            self._index.load(self._repository, without_key=True)
            found = (self._index.pack_sizes.keys() & before) - self._index.condemned
            # Of the packs at the start, those that no index lists are of no use to this snapshot.
            self._relied_on = found if not self._all_held else self._relied_on | found
        return self._index

    def _store(self, chunk: str, data: bytes) -> None:
        self._gathering.read(len(data))
        if chunk in self._loaded() or chunk in self._added:
            return
        self._added.add(chunk)
        if self._packs is None:
            self._packs = PackWriter(self._repository)
        self._packs.add(chunk, data)


def _digest(facts: object) -> str:
    return blake3(msgspec.json.encode(facts)).hexdigest()

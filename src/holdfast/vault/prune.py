"""Pruning: what no snapshot needs goes, while snapshots may be taken at any moment.

A backup holds no lock, so whether it is about to rely on a chunk is not known. Therefore a pack is
first *condemned* by a mark: it stays readable, but a snapshot begun after that relies on none of
its chunks. Only after an age of grace, longer than any backup lasts, is it removed, and not even
then when a snapshot published meanwhile needs it. What is needed of a half-used pack is copied
before it is condemned. Order: new packs, index, marks; later the index without the packs, then the
packs, then the marks. A crash anywhere leaves work for the next prune, and nothing else.
"""

import time
from collections import Counter
from dataclasses import dataclass, field
from datetime import UTC, datetime

import msgspec

from holdfast.durable.documents import convert, read_document, write_document
from holdfast.durable.files import make_folder, remove, sync_folder
from holdfast.durable.locks import Lock
from holdfast.durable.names import long_path
from holdfast.errors import NotFoundError, UnreadableError
from holdfast.vault import packs as writing
from holdfast.vault.chunks import ChunkReader
from holdfast.vault.failing import visit
from holdfast.vault.index import Index
from holdfast.vault.reindex import drop_packs
from holdfast.vault.reports import PruneReport
from holdfast.vault.repository import Repository
from holdfast.vault.snapshots import Snapshot

GRACE = 24 * 3600.0
"""Seconds between condemning a pack and removing it: longer than a backup may last."""

_LEAST_USED = 0.6  # of a pack's content; below that it is rewritten
_SMALL = 8  # a pack below this part of the usual size is small
_MANY_SMALL = 16  # so many small packs are joined


class Mark(msgspec.Struct, frozen=True, rename="camel"):
    """Why a pack will be removed, and since when (UTC) nothing new relies on it."""

    pack: str
    reason: str
    since: datetime


def prune(repository: Repository, *, grace: float = GRACE, dry_run: bool = False) -> PruneReport:
    """Remove what is needed no more; see `Vault.prune`."""
    repository.sealing.require_key()
    make_folder(repository.scratch, private=True)
    with Lock(repository.scratch / "prune.lock", purpose="prune the vault"):
        return _Prune(repository, grace, dry_run).run()


@dataclass
class _Prune:
    """One prune, which is the only one."""

    repository: Repository
    grace: float
    dry_run: bool
    needed: set[str] = field(default_factory=set)
    read: set[str] = field(default_factory=set)

    def run(self) -> PruneReport:
        forgotten = self._remove_forgotten()
        index = self._load()
        sizes = self.repository.pack_sizes()
        if saved := self._needed_again(index):
            self._pardon(saved)
            index = self._load()
        unused, rewritten = self._choose(index, sizes)
        if not self.dry_run:
            rewritten -= self._copy_needed(index, rewritten)
            self._condemn(unused, "nothing in it is needed")
            self._condemn(rewritten, "what is needed of it was copied")
        removed = self._expired()
        if not self.dry_run:
            removed = self._remove(removed)
            self._remove_proofs()
        waiting = (self.repository.condemned_packs() | {*unused, *rewritten}) - {*removed}
        return PruneReport(
            snapshots=forgotten,
            condemned=sorted(unused),
            rewritten=sorted(rewritten),
            removed=sorted(removed),
            freed=sum(sizes.get(pack, 0) for pack in removed),
            waiting=sum(sizes.get(pack, 0) for pack in waiting),
            dry_run=self.dry_run,
        )

    def _remove_forgotten(self) -> list[str]:
        forgotten = self.repository.identities(self.repository.forgotten)
        if not self.dry_run and forgotten:
            for identity in forgotten:
                remove(self.repository.lines_path(self.repository.forgotten, identity))
                visit("vault.prune.forgotten", self.repository.root)
            sync_folder(self.repository.forgotten)
        return forgotten

    def _load(self) -> Index:
        """The index, complete, and what the snapshots need of it."""
        # The packs first: what is published after that is younger than any age of grace.
        present = self.repository.pack_sizes()
        self._read_snapshots()
        index = Index()
        index.load(self.repository)
        if index.findings:
            finding = index.findings[0]
            raise _damaged(self.repository, f"{finding.where}: {finding.problem}")
        lost = next((chunk for chunk in self.needed if index.place(chunk) is None), None)
        if lost is not None and present.keys() - index.pack_sizes.keys():
            raise _damaged(self.repository, f"the index lacks packs, and the chunk {lost[:16]}")
        return index

    def _read_snapshots(self) -> None:
        repository = self.repository
        for identity in repository.identities(repository.snapshots):
            if identity in self.read:
                continue
            try:
                for entry in Snapshot(repository, identity).entries():
                    self.needed.update(entry.chunks)
            except NotFoundError:
                continue  # forgotten since it was listed: the next prune sees to it
            self.read.add(identity)

    def _needed_again(self, index: Index) -> set[str]:
        """Condemned packs with a chunk that is needed and nowhere else."""
        found = set()
        for chunk in self.needed:
            place = None if chunk in index else index.place(chunk)
            if place is not None:
                found.add(index.frames[place.frame].pack)
        return found

    def _pardon(self, packs: set[str]) -> None:
        if not self.dry_run:
            for pack in packs:
                remove(self.repository.mark_path(pack))

    def _choose(self, index: Index, sizes: dict[str, int]) -> tuple[set[str], set[str]]:
        """Packs that nothing is needed of, and packs worth rewriting."""
        whole: Counter[str] = Counter()
        used: Counter[str] = Counter()
        for frame in index.frames:
            whole[frame.pack] += frame.raw_length
        for chunk in self.needed:
            place = index.place(chunk)
            if place is not None:
                used[index.frames[place.frame].pack] += place.length + 1024  # header and padding
        standing = index.pack_sizes.keys() - index.condemned
        unused = {pack for pack in standing if not used[pack]} | self._orphans(index, sizes)
        rest = standing - unused
        rewritten = {pack for pack in rest if used[pack] < _LEAST_USED * whole[pack]}
        small = {pack for pack in rest if sizes.get(pack, 0) < writing.PACK_SIZE // _SMALL}
        if len(small) >= _MANY_SMALL:
            rewritten |= small
        return unused, rewritten

    def _orphans(self, index: Index, sizes: dict[str, int]) -> set[str]:
        """Packs that no index lists, too old for their writer to be at work still."""
        orphans = set()
        for pack in sizes.keys() - index.pack_sizes.keys() - self.repository.condemned_packs():
            try:
                path = long_path(self.repository.pack_path(pack))
                age = time.time() - path.stat().st_mtime
            except FileNotFoundError:
                continue
            if age > self.grace:
                orphans.add(pack)
        return orphans

    def _copy_needed(self, index: Index, packs: set[str]) -> set[str]:
        """Copy what is needed of `packs`; returns the new ones."""
        if not packs:
            return set()
        chunks = []
        for chunk in self.needed:
            place = index.place(chunk)
            if place is not None and index.frames[place.frame].pack in packs:
                chunks.append((place, chunk))
        writer = writing.PackWriter(self.repository)
        try:
            with ChunkReader(self.repository, index) as reader:
                for _, chunk in sorted(chunks):  # in the order of the packs: each is read once
                    writer.add(chunk, reader.read(chunk))
            writer.finish()
        except BaseException:
            writer.abort()
            raise
        return set(writer.published)

    def _condemn(self, packs: set[str], reason: str) -> None:
        if packs:
            make_folder(self.repository.condemned, private=True, durability="power")
        for pack in sorted(packs):
            mark = Mark(pack, reason, datetime.now(UTC))
            write_document(self.repository.mark_path(pack), mark, mode=0o600)
            visit("vault.prune.condemned", self.repository.root)

    def _expired(self) -> set[str]:
        expired = set()
        for pack in self.repository.condemned_packs():
            try:
                mark = convert(read_document(self.repository.mark_path(pack)), Mark)
            except NotFoundError:
                continue  # a backup has just stored the same pack again
            if time.time() - mark.since.timestamp() >= self.grace:
                expired.add(pack)
        return expired

    def _remove(self, packs: set[str]) -> set[str]:
        """Remove the expired packs that are not needed after all; returns which."""
        packs = packs - self._needed_again(self._load())
        if not packs:
            return packs
        drop_packs(self.repository, packs)
        for pack in sorted(packs):
            remove(self.repository.pack_path(pack))
            visit("vault.prune.removed", self.repository.root)
            remove(self.repository.mark_path(pack))
        return packs

    def _remove_proofs(self) -> None:
        """Those of snapshots that are no more."""
        held = {*self.repository.identities(self.repository.snapshots)}
        held |= {*self.repository.identities(self.repository.forgotten)}
        for proof in self.repository.proofs.glob("*.json"):
            if proof.stem not in held:
                remove(proof)


def _damaged(repository: Repository, problem: str) -> UnreadableError:
    return UnreadableError(
        f"what is needed cannot be told: {problem}",
        path=repository.root,
        hint="mend it first with: holdfast backup repair",
    )

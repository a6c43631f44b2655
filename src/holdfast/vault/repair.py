"""Repair: the index from the packs, damaged packs from what is left of them and from the disk.

Nothing is destroyed: what was replaced is moved to the vault's folder ``damaged/``.
"""

import os
from collections import defaultdict
from dataclasses import dataclass, field
from pathlib import Path

from blake3 import blake3

from holdfast.durable.files import make_folder, read_bytes, remove
from holdfast.durable.locks import Lock
from holdfast.durable.names import long_path
from holdfast.errors import (
    CorruptError,
    HoldfastError,
    LockedError,
    NewerFormatError,
    NotFoundError,
)
from holdfast.vault.capture import Capture, ChangingError
from holdfast.vault.coverage import shown
from holdfast.vault.entries import Entry
from holdfast.vault.failing import visit
from holdfast.vault.index import FrameRecord, read_fragment
from holdfast.vault.packs import PackWriter
from holdfast.vault.reindex import drop_packs, keep_damaged, publish_records
from holdfast.vault.reports import Finding, Progress, RepairReport
from holdfast.vault.repository import Repository
from holdfast.vault.snapshots import Snapshot
from holdfast.vault.unpack import RawFrame, frames

_NAMED = 50  # lost paths named per snapshot; the rest is counted


def repair(
    repository: Repository, *, dry_run: bool = False, progress: Progress | None = None
) -> RepairReport:
    """Mend what can be mended; see `Vault.repair`."""
    repository.sealing.require_key()
    make_folder(repository.scratch, private=True)
    with Lock(repository.scratch / "prune.lock", purpose="repair the vault"):
        return _Repair(repository, dry_run, progress).run()


@dataclass
class _Repair:
    """One repair, which is the only one; no prune runs beside it."""

    repository: Repository
    dry_run: bool
    progress: Progress | None
    listed: dict[str, int] = field(default_factory=dict)
    new_records: list[FrameRecord] = field(default_factory=list)
    sound: set[str] = field(default_factory=set)
    bad_fragments: list[str] = field(default_factory=list)
    bad_packs: list[str] = field(default_factory=list)
    published: list[str] = field(default_factory=list)
    indexed: list[str] = field(default_factory=list)
    findings: list[Finding] = field(default_factory=list)

    def run(self) -> RepairReport:
        self._read_index()
        self._read_packs()
        wanted = self._wanted()
        lost = wanted.keys() - self.sound
        if not self.dry_run:
            self._keep_damaged()
        saved, remade = self._write(lost, wanted)
        self._name_the_lost(lost - remade)
        if not self.dry_run:
            self._replace()
        return RepairReport(
            indexed=self.indexed,
            replaced=self.bad_fragments + self.bad_packs,
            saved=saved,
            remade=len(remade) - saved,
            findings=self.findings,
            dry_run=self.dry_run,
        )

    def _read_index(self) -> None:
        repository = self.repository
        for identity in repository.identities(repository.index):
            try:
                records = list(read_fragment(repository, identity))
            except (NewerFormatError, NotFoundError, LockedError):
                raise
            except HoldfastError:
                path = repository.lines_path(repository.index, identity)
                self.bad_fragments.append(repository.relative(path))
                continue
            self.listed.update((record.pack, record.pack_size) for record in records)

    def _read_packs(self) -> None:
        """Read every byte of every pack; keep the places of those that no index lists."""
        sizes = self.repository.pack_sizes()
        done, whole_size = 0, sum(sizes.values())
        for count, pack in enumerate(sorted(sizes)):
            path = self.repository.pack_path(pack)
            data = read_bytes(path)
            whole = blake3(data).hexdigest() == pack
            found = list(frames(data, self.repository.sealing, path))
            if not whole:
                self.bad_packs.append(self.repository.relative(path))
            elif pack not in self.listed:
                self.indexed.append(pack)
                self.new_records += _records(pack, len(data), found)
            if whole:
                self.sound.update(chunk.id for frame in found for chunk in frame.chunks)
            done += len(data)
            if self.progress is not None:
                self.progress(count + 1, done, whole_size)

    def _wanted(self) -> dict[str, list[tuple[str, str, str]]]:
        """All chunks that snapshots need, with whose (snapshot, root, path) those are."""
        wanted: dict[str, list[tuple[str, str, str]]] = defaultdict(list)
        repository = self.repository
        for identity in repository.identities(repository.snapshots):
            try:
                snapshot = Snapshot(repository, identity)
                for entry in snapshot.entries():
                    self._note(wanted, snapshot, entry)
            except (NewerFormatError, LockedError):
                raise
            except HoldfastError as error:
                where = repository.snapshot_name(identity)
                self.findings.append(Finding(where, error.message, identity))
        return wanted

    def _note(
        self, wanted: dict[str, list[tuple[str, str, str]]], snapshot: Snapshot, entry: Entry
    ) -> None:
        for chunk in entry.chunks:
            owners = wanted[chunk]
            if chunk not in self.sound:
                root = snapshot.header.roots[entry.root].path
                owners.append((snapshot.id, root, entry.path))

    def _write(
        self, lost: set[str], wanted: dict[str, list[tuple[str, str, str]]]
    ) -> tuple[int, set[str]]:
        """Store the sound chunks of damaged packs again, and what is on the disk of the lost.

        Returns how many were saved, and which are there again.
        """
        writer = None if self.dry_run else PackWriter(self.repository)
        found: set[str] = set()

        sealing = self.repository.sealing

        def keep(chunk: str, data: bytes) -> None:
            if chunk in lost and chunk not in found:
                found.add(chunk)
                if writer is not None:
                    writer.add(chunk, data)

        def keep_any(_: str, data: bytes) -> None:
            for chunk in sealing.identities(data):
                keep(chunk, data)

        try:
            for relative in self.bad_packs:
                path = self.repository.root / relative
                for frame in frames(read_bytes(path), sealing, path):
                    for at in frame.chunks:
                        keep(at.id, frame.data[at.offset : at.offset + at.length])
            saved = len(found)
            capture = Capture(keep_any, self.repository.scratch, sealing.identify)
            places = {(root, path) for chunk in lost - found for _, root, path in wanted[chunk]}
            for root, inner in sorted(places):
                _read_again(capture, root, inner)
            if writer is not None:
                writer.finish()
                self.published = writer.published
        except BaseException:
            if writer is not None:
                writer.abort()
            raise
        return saved, found

    def _replace(self) -> None:
        """Publish the new index, then remove what is damaged; it has been kept."""
        new = publish_records(self.repository, self.new_records) if self.new_records else None
        for relative in self.bad_fragments:
            if _identity(relative) != new:  # made again byte for byte: the same name, sound now
                remove(self.repository.root / relative)
        gone = self.listed.keys() - self.repository.pack_sizes().keys()
        bad = {_identity(relative): relative for relative in self.bad_packs}
        for pack in self.published:
            bad.pop(pack, None)  # made again byte for byte: the same name, sound now
        drop_packs(self.repository, gone | bad.keys())
        for relative in bad.values():
            remove(self.repository.root / relative)
            visit("vault.repair.removed", self.repository.root)

    def _keep_damaged(self) -> None:
        if self.bad_fragments or self.bad_packs:
            make_folder(self.repository.damaged, private=True)
        for relative in self.bad_fragments + self.bad_packs:
            keep_damaged(self.repository, relative)

    def _name_the_lost(self, lost: set[str]) -> None:
        """Name the paths of each snapshot that do not come back whole."""
        if not lost:
            return
        repository = self.repository
        for identity in repository.identities(repository.snapshots):
            where = repository.snapshot_name(identity)
            try:
                snapshot = Snapshot(repository, identity)
                paths = [
                    shown(entry, snapshot.header.roots)
                    for entry in snapshot.entries()
                    if not lost.isdisjoint(entry.chunks)
                ]
            except HoldfastError:
                continue  # named before
            for path in paths[:_NAMED]:
                problem = "part of its content is lost: no pack and no file on disk has it"
                self.findings.append(Finding(where, problem, identity, path))
            if len(paths) > _NAMED:
                more = f"{len(paths) - _NAMED} more files lost content"
                self.findings.append(Finding(where, more, identity))


def _identity(relative: str) -> str:
    """The id of a pack or a fragment, from its path in the vault."""
    return Path(relative).name.partition(".")[0]


def _records(pack: str, size: int, found: list[RawFrame]) -> list[FrameRecord]:
    return [
        FrameRecord(pack, size, frame.offset, frame.length, len(frame.data), frame.chunks)
        for frame in found
        if frame.chunks
    ]


def _read_again(capture: Capture, root: str, path: str) -> None:
    """Offer the chunks of a file as it is now; only those with the wanted hashes are taken."""
    place = os.path.join(str(long_path(Path(root))), path.replace("/", os.sep))  # noqa: PTH118
    try:
        capture.read(place, os.lstat(place))
    except (OSError, ChangingError, CorruptError):
        return

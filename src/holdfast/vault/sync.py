"""Copying snapshots from one vault to another without reading the files again.

A chunk may have another id there, and another key. A snapshot and its copies share a `point`, so
that what was copied once, or was taken for both in one moment, is not copied again.
"""

import random
from collections.abc import Sequence

import msgspec

from holdfast.durable.files import make_folder
from holdfast.errors import ConflictError, HoldfastError, NewerFormatError, NotFoundError
from holdfast.vault.chunks import ChunkReader
from holdfast.vault.coverage import HOME, is_secret
from holdfast.vault.entries import Entry, Header
from holdfast.vault.failing import visit
from holdfast.vault.index import Index
from holdfast.vault.packs import PackWriter
from holdfast.vault.proof import prove
from holdfast.vault.reports import Finding, Progress, SnapshotInfo, SyncReport
from holdfast.vault.repository import Repository
from holdfast.vault.snapshots import Snapshot, SnapshotWriter, info_of, list_snapshots

_SAMPLE = 5
_TELL_EVERY = 200  # entries


def copy_snapshots(
    source: Repository,
    target: Repository,
    identities: Sequence[str] | None = None,
    *,
    progress: Progress | None = None,
) -> SyncReport:
    """Copy the snapshots named, or all, that `target` has not; oldest first.

    One that cannot be read is a finding and does not keep the others back. Raises `LockedError`,
    `StorageError`, and `ConflictError` when a prune of the target took what was relied on.
    """
    source.sealing.require_key()
    have = {point_of(info) for info in list_snapshots(target) if not info.damage}
    wanted = [
        info
        for info in list_snapshots(source)
        if (identities is None or info.id in identities)
        and (info.damage or point_of(info) not in have)
    ]
    copied: list[SnapshotInfo] = []
    findings: list[Finding] = []
    stored = 0
    make_folder(target.scratch, private=True)
    for info in wanted:
        try:
            made, size, wrong = _Copy(source, target, progress).run(info.id)
        except (NewerFormatError, ConflictError):
            raise
        except NotFoundError:
            continue  # forgotten since it was listed
        except HoldfastError as error:
            if not _is_of_source(error, source):
                raise
            findings.append(Finding(source.snapshot_name(info.id), error.message, info.id))
            continue
        copied.append(made)
        findings += wrong
        stored += size
    return SyncReport(copied, len(have), stored, findings)


def point_of(info: SnapshotInfo) -> str:
    """What a snapshot shares with its copies."""
    return info.point or info.id


class _Copy:
    """One snapshot being copied."""

    def __init__(self, source: Repository, target: Repository, progress: Progress | None) -> None:
        self._source = source
        self._target = target
        self._progress = progress
        self._there = Index()
        self._there.load(target, without_key=True)
        self._before = self._there.pack_sizes.keys() & target.pack_sizes().keys()
        self._ids: dict[str, str] = {}  # here and there
        self._added: set[str] = set()
        self._packs: PackWriter | None = None
        self._sample: list[Entry] = []
        self._done = self._size = 0

    def run(self, identity: str) -> tuple[SnapshotInfo, int, list[Finding]]:
        snapshot = Snapshot(self._source, identity)
        writer = SnapshotWriter()
        index = Index()
        index.load(self._source)
        try:
            with ChunkReader(self._source, index) as reader:
                for entry in snapshot.entries():
                    if not self._is_secret(entry, snapshot.header):
                        writer.add(self._copied(entry, reader))
            stored = self._packs.finish() if self._packs is not None else 0
            visit("vault.sync.stored", self._target.root)
        except BaseException:
            if self._packs is not None:
                self._packs.abort()
            raise
        header = self._header(snapshot.header, identity, stored, writer.count)
        self._check_packs()
        made = writer.publish(self._target, header)
        visit("vault.snapshot.written", self._target.root, "write the snapshot")
        index = Index()
        index.load(self._target, without_key=True)
        sample = [(entry, False) for entry in self._sample]
        _, findings = prove(self._target, index, made, sample, header.roots)
        return info_of(made, header), stored, findings

    def _is_secret(self, entry: Entry, header: Header) -> bool:
        if self._target.sealing.encrypted or not is_secret(entry.path):
            return False
        return header.roots[entry.root].name == HOME

    def _copied(self, entry: Entry, reader: ChunkReader) -> Entry:
        chunks = tuple(self._chunk(chunk, reader) for chunk in entry.chunks)
        copied = msgspec.structs.replace(entry, chunks=chunks)
        self._done += 1
        self._size += entry.size
        if entry.kind == "file":
            if len(self._sample) < _SAMPLE:
                self._sample.append(copied)
            elif (at := int(random.random() * self._done)) < _SAMPLE:  # noqa: S311
                self._sample[at] = copied
        if self._progress is not None and self._done % _TELL_EVERY == 0:
            self._progress(self._done, self._size, 0)
        return copied

    def _chunk(self, chunk: str, reader: ChunkReader) -> str:
        known = self._ids.get(chunk)
        if known is None:
            known = self._ids[chunk] = self._store(chunk, reader)
        return known

    def _store(self, chunk: str, reader: ChunkReader) -> str:
        clear = not (self._source.sealing.encrypted or self._target.sealing.encrypted)
        if clear and chunk in self._there:
            return chunk  # the same id there, so it need not be read
        data = reader.read(chunk)
        there = self._target.sealing.identify(data)
        if there not in self._there and there not in self._added:
            self._added.add(there)
            if self._packs is None:
                self._packs = PackWriter(self._target)
            self._packs.add(there, data)
        return there

    def _header(self, header: Header, identity: str, stored: int, entries: int) -> Header:
        totals = msgspec.structs.replace(header.totals, stored=stored, entries=entries)
        return msgspec.structs.replace(
            header,
            vault=self._target.id,
            parent=None,
            totals=totals,
            point=header.point or identity,
        )

    def _check_packs(self) -> None:
        relied_on = self._before - self._there.condemned
        relied_on |= set(self._packs.published if self._packs is not None else ())
        if relied_on - self._target.pack_sizes().keys():
            raise ConflictError(
                "a prune removed packs that this snapshot was about to rely on",
                path=self._target.packs,
                hint="run it again; what it stored is kept",
            )


def _is_of_source(error: HoldfastError, source: Repository) -> bool:
    return error.path is not None and error.path.is_relative_to(source.root)

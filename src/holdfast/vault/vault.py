"""The vault's front: snapshots taken, listed, verified and restored.

What does the work is imported when it is needed: whoever only lists snapshots waits for none of it.
"""

from collections.abc import Sequence
from pathlib import Path

from holdfast.durable.quarantine import Quarantine
from holdfast.vault.entries import Entry, Header
from holdfast.vault.proof import last_proof
from holdfast.vault.reports import (
    Progress,
    Proof,
    RestoreReport,
    SnapshotInfo,
    SnapshotReport,
    VerifyReport,
)
from holdfast.vault.repository import Repository
from holdfast.vault.snapshots import Snapshot, list_snapshots, resolve


class Vault:
    """One vault. Any number of processes may use it at once; readers and writers need no lock."""

    def __init__(self, repository: Repository) -> None:
        self._repository = repository

    @classmethod
    def open(cls, path: Path) -> "Vault":
        """The vault at `path`. Raises `NotFoundError`, `UnreadableError`, `NewerFormatError`."""
        return cls(Repository.open(path.absolute()))

    @classmethod
    def create(cls, path: Path) -> "Vault":
        """Make a vault at `path`, or open the one there. Raises `ConflictError` if it is other."""
        return cls(Repository.create(path.absolute()))

    @property
    def path(self) -> Path:
        """The vault's folder."""
        return self._repository.root

    @property
    def id(self) -> str:
        """The vault's own id, the same for ever."""
        return self._repository.id

    def snapshot(
        self,
        root: Path,
        *,
        excludes: Sequence[str] = (),
        tags: Sequence[str] = (),
        everything: bool = False,
        workspace_id: str = "",
        workspace_name: str = "",
        progress: Progress | None = None,
    ) -> SnapshotReport:
        """Take a snapshot of the folder `root` and prove it by a sampled restore.

        `excludes` are further gitignore patterns; with `everything` the default ones and
        ``.holdfastignore`` do not count. What cannot be read is in the snapshot's `problems`. When
        this returns, the snapshot survives a power cut. Raises `NotFoundError`, `UsageError`,
        `StorageError`, `UnreadableError`.
        """
        from holdfast.vault.create import Order, take_snapshot

        order = Order(
            root.absolute(), excludes, tags, everything, workspace_id, workspace_name, progress
        )
        return take_snapshot(self._repository, order)

    def snapshots(self) -> list[SnapshotInfo]:
        """All snapshots, oldest first; a damaged one says so in `damage`."""
        return list_snapshots(self._repository)

    def resolve(self, ref: str) -> str:
        """The id of the snapshot `ref`: ``latest``, or the first digits (at least 4) of an id.

        Raises `NotFoundError`, `UsageError` when several begin so, `UnreadableError` when which
        one is the latest cannot be told.
        """
        return resolve(self._repository, ref)

    def read(self, ref: str) -> tuple[Header, list[Entry]]:
        """The header and all entries of a snapshot."""
        snapshot = Snapshot(self._repository, self.resolve(ref))
        return snapshot.header, list(snapshot.entries())

    def verify(
        self, ref: str | None = None, *, full: bool = False, progress: Progress | None = None
    ) -> VerifyReport:
        """Check one snapshot, or all: is every chunk there, and does a sample restore rightly.

        With `full` every byte of every pack is read and compared. Damage is in the report.
        """
        from holdfast.vault.verify import verify

        if ref is None:
            identities = self._repository.identities(self._repository.snapshots)
        else:
            identities = [self.resolve(ref)]
        return verify(self._repository, identities, full=full, progress=progress)

    def restore(
        self,
        ref: str,
        paths: Sequence[str] = (),
        *,
        to: Path,
        quarantine: Quarantine | None = None,
        dry_run: bool = False,
        progress: Progress | None = None,
    ) -> RestoreReport:
        """Bring all files, or those at and below `paths`, back below the folder `to`.

        What would be overwritten goes to `quarantine` first; without one that is refused before
        anything is changed. What the snapshot does not have is left alone. With `dry_run` only the
        plan is made. A restore that was interrupted is completed by the same call. Files are at
        durability ``process``. Raises `NotFoundError`, `RefusedError`, `UnreadableError`,
        `StorageError` when the disk is full; what else goes wrong is in the report's `problems`.
        """
        from holdfast.vault.chunks import ChunkReader
        from holdfast.vault.index import Index
        from holdfast.vault.restore import Restorer, select

        identity = self.resolve(ref)
        snapshot = Snapshot(self._repository, identity)
        entries = select(snapshot.entries(), paths)
        index = Index()
        index.load(self._repository)
        with ChunkReader(self._repository, index) as reader:
            restorer = Restorer(
                reader,
                to.absolute(),
                settled_before=snapshot.header.started_ns,
                quarantine=quarantine,
                reason=f"replaced by the restore of snapshot {identity[:12]}",
                progress=progress,
            )
            steps = restorer.plan(entries)
            if not dry_run:
                restorer.carry_out(steps)
            return restorer.report(identity, steps, dry_run=dry_run)

    def last_proof(self, ref: str | None = None) -> Proof | None:
        """When a snapshot (any, or `ref`) was last proven restorable, and how."""
        return last_proof(self._repository, None if ref is None else self.resolve(ref))

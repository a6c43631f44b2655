"""The vault's front: snapshots taken, listed, verified and restored.

What does the work is imported when it is needed: whoever only lists snapshots waits for none of it.
"""

from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from holdfast.durable.points import note_forgotten
from holdfast.durable.quarantine import Quarantine
from holdfast.vault.coverage import UNDO
from holdfast.vault.entries import Entry, Header
from holdfast.vault.keys import VaultKeys
from holdfast.vault.proof import last_proof, proofs
from holdfast.vault.reports import (
    Consent,
    Difference,
    DrillReport,
    Finding,
    FindReport,
    ForgetReport,
    Progress,
    Proof,
    PruneReport,
    RepairReport,
    RestoreReport,
    SnapshotInfo,
    SnapshotReport,
    SyncReport,
    VerifyReport,
)
from holdfast.vault.repository import Access, Repository
from holdfast.vault.retention import Retention
from holdfast.vault.snapshots import Snapshot, list_snapshots, resolve

if TYPE_CHECKING:
    from holdfast.vault.browsing import Held, HeldFile
    from holdfast.vault.drill import Look


class Vault:
    """One vault. Any number of processes may use it at once; readers and writers need no lock."""

    def __init__(self, repository: Repository) -> None:
        self._repository = repository

    @classmethod
    def open(cls, path: Path, access: Access | None = None) -> "Vault":
        """The vault at `path`. Raises `NotFoundError`, `UnreadableError`, `NewerFormatError`.

        `access` gives the keys of an encrypted one; without them `LockedError` is raised by what
        needs them.
        """
        return cls(Repository.open(path.absolute(), access))

    @classmethod
    def create(cls, path: Path, access: Access | None = None) -> "Vault":
        """Make a vault at `path`, encrypted if `access` says so, or open the one there.

        Raises `ConflictError` if it is other.
        """
        return cls(Repository.create(path.absolute(), access))

    @property
    def path(self) -> Path:
        """The vault's folder."""
        return self._repository.root

    @property
    def id(self) -> str:
        """The vault's own id, the same for ever."""
        return self._repository.id

    def copy_from(
        self,
        other: "Vault",
        refs: Sequence[str] | None = None,
        *,
        progress: Progress | None = None,
    ) -> SyncReport:
        """Copy snapshots of another vault here, those `refs` or all that are not here yet.

        The files are not read again; the two vaults may be encrypted differently. What cannot be
        read there is in the report. Raises `LockedError`, `StorageError`, `ConflictError`.
        """
        from holdfast.vault.sync import copy_snapshots

        chosen = None if refs is None else [other.resolve(ref) for ref in refs]
        return copy_snapshots(other._repository, self._repository, chosen, progress=progress)

    @property
    def keys(self) -> VaultKeys | None:
        """The keys of an encrypted vault; None of one in clear."""
        return self._repository.keys

    def snapshot(
        self,
        root: Path,
        *,
        home: Path | None = None,
        excludes: Sequence[str] = (),
        tags: Sequence[str] = (),
        everything: bool = False,
        workspace_id: str = "",
        workspace_name: str = "",
        point: str = "",
        away: Sequence[Path] = (),
        stores: Sequence[str] = (),
        progress: Progress | None = None,
        unless_unchanged: bool = False,
    ) -> SnapshotReport:
        """Take a snapshot of the folder `root` and prove it by a sampled restore.

        Of the folder `home` it holds `HOME_ITEMS` (see `vault.coverage`), which go first; secrets
        in clear are never among them. `excludes` are further gitignore patterns; with `everything`
        the default ones and ``.holdfastignore`` do not count. What cannot be read is in the
        snapshot's `problems`. Of each of `stores`, files or folders relative to `root`, the proof
        restores a file. With `unless_unchanged`, and when nothing is, the report is about
        the snapshot before, which is not proven again. When this returns, the snapshot survives a
        power cut. `point` is a name that snapshots of the same moment in several vaults share;
        `away` are places of other backups, which are left out. Raises `NotFoundError`,
        `UsageError`, `StorageError`, `UnreadableError`.
        """
        from holdfast.vault.create import Order, take_snapshot

        order = Order(
            root.absolute(),
            None if home is None else home.absolute(),
            excludes,
            tags,
            everything,
            workspace_id,
            workspace_name,
            point=point,
            away=away,
            stores=stores,
            progress=progress,
            unless_unchanged=unless_unchanged,
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

    def folder(self, ref: str, path: str = "") -> "tuple[Header, list[Held]]":
        """The header of a snapshot, and what is directly in a folder of it, folders first.

        `path` is as for `restore`; empty means the workspace, ``~`` the home. Raises
        `NotFoundError`, and `UsageError` when it is no folder there.
        """
        from holdfast.vault.browsing import list_folder

        return list_folder(self._repository, self.resolve(ref), path)

    def beginning(self, ref: str, path: str, limit: int) -> "HeldFile":
        """A file of a snapshot with the first `limit` bytes of its content, or a few more.

        Raises `NotFoundError`, `UsageError` when it is no file, `CorruptError`, `LockedError`.
        """
        from holdfast.vault.browsing import read_beginning

        return read_beginning(self._repository, self.resolve(ref), path, limit)

    def verify(
        self,
        ref: str | None = None,
        *,
        full: bool = False,
        stores: Sequence[str] = (),
        progress: Progress | None = None,
    ) -> VerifyReport:
        """Check one snapshot, or all: is every chunk there, and does a sample restore rightly.

        With `full` every byte of every pack is read and compared. Of each of `stores`, as in
        `snapshot`, a file is restored, too. Damage is in the report.
        """
        from holdfast.vault.verify import verify

        if ref is None:
            identities = self._repository.identities(self._repository.snapshots)
        else:
            identities = [self.resolve(ref)]
        return verify(self._repository, identities, full=full, stores=stores, progress=progress)

    def restore(
        self,
        ref: str,
        paths: Sequence[str] = (),
        *,
        to: Path,
        home: Path | None = None,
        quarantine: Quarantine | None = None,
        dry_run: bool = False,
        consent: Consent | None = None,
        progress: Progress | None = None,
    ) -> RestoreReport:
        """Bring all files, or those at and below `paths`, back below the folder `to`.

        Files of the home come back only when named, as ``~/.claude.json`` or ``~`` for all of them;
        they go below the folder `home`.

        What would be overwritten goes to `quarantine` first; without one that is refused before
        anything is changed. What the snapshot does not have is left alone. With `dry_run` only the
        plan is made; `consent` is shown it before it is carried out. A restore that was interrupted
        is completed by the same call. Files are at durability ``process``. Raises `NotFoundError`,
        `RefusedError`, `UnreadableError`, `StorageError` when the disk is full; what else goes
        wrong is in the report's `problems`.
        """
        from holdfast.vault.restoration import Wish, restore

        wish = Wish(paths, to, home, quarantine, dry_run, progress, consent)
        return restore(self._repository, self.resolve(ref), wish)

    def diff(self, before: str, after: str | None = None) -> list[Difference]:
        """What changed from the snapshot `before` to `after`, or to now when that is None.

        Sorted by path. Times alone are no change; a renamed path is one removed and one added.
        """
        from holdfast.vault.diff import diff_now, diff_snapshots

        first = Snapshot(self._repository, self.resolve(before))
        if after is None:
            return diff_now(self._repository, first)
        return diff_snapshots(first, Snapshot(self._repository, self.resolve(after)))

    def find(self, pattern: str) -> FindReport:
        """Every version of the paths that `pattern` matches, in all snapshots.

        The pattern is the shell's (``*``, ``?``, ``[…]``); without a slash it is compared with the
        last part of each path, else with the whole path, where ``*`` matches slashes too.
        """
        from holdfast.vault.find import find

        return find(self._repository, pattern)

    def find_content(
        self, holds: "Callable[[Iterable[bytes]], bool]"
    ) -> "tuple[dict[str, list[str]], list[Finding]]":
        """The paths whose content, given in pieces, `holds` says yes to, with their snapshots.

        Also what could not be read. Raises `LockedError`, `NewerFormatError`.
        """
        from holdfast.vault.content_search import find_content

        return find_content(self._repository, holds)

    def forget(
        self,
        refs: Sequence[str] = (),
        *,
        retention: Retention | None = None,
        among: Callable[[SnapshotInfo], bool] | None = None,
        dry_run: bool = False,
    ) -> ForgetReport:
        """Give up the snapshots `refs` and those that `retention` does not keep.

        With `among` the rules look only at the snapshots for which it is true.

        They are set aside and can be taken back with `remember` until the next `prune`. Damaged
        snapshots are only forgotten when named. Raises as `resolve` does, before anything changes.
        """
        from holdfast.vault.forget import forget

        snapshots = self.snapshots()
        doomed = {self.resolve(ref) for ref in refs}
        if retention is not None:
            ruled = [
                info
                for info in snapshots
                if UNDO not in info.tags and (among is None or among(info))
            ]
            doomed |= {info.id for info in retention.to_forget(ruled)}
        if doomed and not dry_run:
            note_forgotten(self.path, sorted(doomed))
            forget(self._repository, sorted(doomed))
        forgotten = [info for info in snapshots if info.id in doomed]
        return ForgetReport(forgotten, len(snapshots) - len(forgotten), dry_run)

    def forgotten(self) -> set[str]:
        """The ids of the snapshots that `remember` can take back."""
        return set(self._repository.identities(self._repository.forgotten))

    def remember(self, ref: str) -> str:
        """Take back a forgotten snapshot (first digits of its id); returns its id.

        Raises `NotFoundError` once a prune removed it.
        """
        from holdfast.vault.forget import remember

        return remember(self._repository, ref)

    def prune(
        self,
        *,
        grace: float | None = None,
        dry_run: bool = False,
        progress: Progress | None = None,
    ) -> PruneReport:
        """Remove forgotten snapshots for good, and the packs that no snapshot needs any more.

        Safe beside running backups and at any crash. A pack is removed `grace` seconds (24 hours by
        default) after a prune found it unneeded; half-used packs are rewritten. With a `grace`
        shorter than a backup lasts, that backup may have to be repeated. Raises `UnreadableError`
        when damage hides what is needed, `BusyError` when another prune is at work.
        """
        from holdfast.vault.prune import GRACE, prune

        chosen = GRACE if grace is None else grace
        return prune(self._repository, grace=chosen, dry_run=dry_run, progress=progress)

    def repair(self, *, dry_run: bool = False, progress: Progress | None = None) -> RepairReport:
        """Make the index again from the packs, and damaged packs from what is left of them.

        What a damaged pack lost is read from the disk again where the files still have it. What was
        replaced is kept in the vault's ``damaged/``. The report names all that is lost for good.
        """
        from holdfast.vault.repair import repair

        return repair(self._repository, dry_run=dry_run, progress=progress)

    def drill(
        self,
        ref: str = "latest",
        *,
        scratch: Path | None = None,
        look: "Look | None" = None,
        progress: Progress | None = None,
    ) -> DrillReport:
        """Recover a whole snapshot into a scratch folder, compare everything, and remove it again.

        Every file's bytes, every link and every database (SQLite's integrity check) is looked at;
        `look` is given the restored workspace and says what its stores hold. When all is as it was,
        that is recorded. `scratch` is a folder with enough space; else the vault's own. Raises
        `StorageError` when there is not enough, `NotFoundError`, `UnreadableError`.
        """
        from holdfast.vault.drill import drill

        return drill(
            self._repository, self.resolve(ref), scratch=scratch, look=look, progress=progress
        )

    def proofs(self) -> list[Proof]:
        """All checks of snapshots that passed and are known, oldest first."""
        return proofs(self._repository)

    def last_proof(self, ref: str | None = None) -> Proof | None:
        """When a snapshot (any, or `ref`) was last proven restorable, and how."""
        return last_proof(self._repository, None if ref is None else self.resolve(ref))

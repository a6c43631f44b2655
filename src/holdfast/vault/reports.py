"""What the vault answers: plain facts, ready for JSON."""

from collections.abc import Callable
from datetime import datetime
from typing import Literal

import msgspec

from holdfast.vault.entries import Problem, Totals

Progress = Callable[[int, int, int], None]
"""Called now and then from a working thread with (entries done, bytes done, bytes expected in all).

What is expected is 0 when it is not known.
"""


class SnapshotInfo(msgspec.Struct, rename="camel", frozen=True):
    """One snapshot of a vault; `damage` says why its header cannot be read (then times are 0).

    With `locked` nothing is damaged: the header is encrypted, and the key is not there. `point` is
    the same for the copies of one snapshot in several vaults.

    `root` is the workspace it was taken of, `home` the home whose files it holds too, if any. A
    `partial` one was cut off: what it holds is sound, the rest is missing.
    """

    id: str
    started_at: datetime
    ended_at: datetime
    host: str = ""
    workspace_id: str = ""
    workspace_name: str = ""
    root: str = ""
    home: str = ""
    tags: list[str] = []
    parent: str | None = None
    totals: Totals = msgspec.field(default_factory=Totals)
    problems: list[Problem] = []
    partial: bool = False
    vault: str = ""
    damage: str | None = None
    locked: bool = False
    point: str = ""


class Proof(msgspec.Struct, rename="camel", frozen=True):
    """A check of one snapshot that passed: when (UTC), how, and how much was restored for it.

    `paths` are the stores of which a sample took a file; a drill took all. ``sealed`` is what can
    be checked without the key of an encrypted vault: that what was stored is on the disk as it was
    written. It is never recorded as a proof.
    """

    snapshot: str
    proven_at: datetime
    how: Literal["sample", "full", "drill", "sealed"]
    files: int
    size: int
    paths: list[str] = []


class Finding(msgspec.Struct, rename="camel", frozen=True):
    """Damage: the file of the vault, what is wrong with it, and which snapshot and path suffer."""

    where: str
    problem: str
    snapshot: str | None = None
    path: str | None = None


class SnapshotReport(msgspec.Struct, rename="camel", frozen=True):
    """A snapshot taken. Healthy when nothing was unreadable and the sampled proof held.

    `notes` are remarks, such as that all was stored anew.
    """

    snapshot: SnapshotInfo
    proof: Proof | None
    findings: list[Finding]
    seconds: float
    notes: list[str] = []

    @property
    def healthy(self) -> bool:
        """Whether everything was read, and the sample came back."""
        return not self.snapshot.problems and not self.findings


class VerifyReport(msgspec.Struct, rename="camel", frozen=True):
    """A verification: what was looked at and every damage found."""

    snapshots: int
    packs: int
    files_restored: int
    full: bool
    findings: list[Finding]

    @property
    def healthy(self) -> bool:
        """Whether no damage was found."""
        return not self.findings


class DrilledStore(msgspec.Struct, rename="camel", frozen=True):
    """A store that a drill opened: what it holds, or why it cannot be read."""

    name: str
    holds: str = ""
    problem: str | None = None


class DrillReport(msgspec.Struct, rename="camel", frozen=True):
    """A whole recovery: how much came back, what the stores hold, and all that is not as it was."""

    snapshot: str
    files: int
    size: int
    databases: int
    stores: list[DrilledStore]
    findings: list[Finding]
    seconds: float

    @property
    def healthy(self) -> bool:
        """Whether no damage was found."""
        return not self.findings


Action = Literal["create", "replace", "unchanged", "conflict", "skip"]


Consent = Callable[["RestoreReport"], None]
"""Called with the plan before anything is changed; whatever it raises ends the restore there."""


class PlannedPath(msgspec.Struct, rename="camel", frozen=True):
    """What a restore does with one path. `newer`: what is there was changed after the snapshot.

    ``conflict`` is something of another kind in the path's place; it goes to quarantine like
    anything replaced. ``skip`` is a kind that is not restored (FIFO, socket, device).
    """

    path: str
    action: Action
    newer: bool = False


class RestoreReport(msgspec.Struct, rename="camel", frozen=True):
    """A restore: the plan without what stays as it is, the counts, and what did not come back."""

    snapshot: str
    target: str
    dry_run: bool
    plan: list[PlannedPath]
    created: int
    replaced: int
    unchanged: int
    size: int
    quarantined: list[str]
    problems: list[Problem]

    @property
    def healthy(self) -> bool:
        """Whether all of it came back."""
        return not self.problems


class ForgetReport(msgspec.Struct, rename="camel", frozen=True):
    """What was forgotten (with `dry_run`: would be), oldest first, and how many are kept."""

    forgotten: list[SnapshotInfo]
    kept: int
    dry_run: bool


class PruneReport(msgspec.Struct, rename="camel", frozen=True):
    """A prune, or with `dry_run` what it would do.

    `snapshots` are the forgotten ones removed for good. `condemned` packs hold nothing needed any
    more, `rewritten` ones mostly not: what is needed of them was copied. Both wait for the age of
    grace (`waiting` bytes) before they are `removed` (`freed` bytes). Packs are named by id.
    """

    snapshots: list[str]
    condemned: list[str]
    rewritten: list[str]
    removed: list[str]
    freed: int
    waiting: int
    dry_run: bool


class RepairReport(msgspec.Struct, rename="camel", frozen=True):
    """A repair, or with `dry_run` what it would do.

    `indexed` packs were in no readable part of the index. `replaced` files of the vault were
    damaged and are in its folder ``damaged/`` now. `saved` chunks came from them, `remade` ones
    were read from the disk again. `findings` name what is lost for good.
    """

    indexed: list[str]
    replaced: list[str]
    saved: int
    remade: int
    findings: list[Finding]
    dry_run: bool

    @property
    def healthy(self) -> bool:
        """Whether no damage was found."""
        return not self.findings


class SyncReport(msgspec.Struct, rename="camel", frozen=True):
    """Snapshots copied to another vault: which, how many were there before, and `stored` bytes."""

    copied: list[SnapshotInfo]
    there: int
    stored: int
    findings: list[Finding]

    @property
    def healthy(self) -> bool:
        """Whether no damage was found."""
        return not self.findings


class ArchiveReport(msgspec.Struct, rename="camel", frozen=True, kw_only=True):
    """An archive written: `size` is its content's bytes, `stored` the file's.

    `proof` tells how it was read again: ``full``, every file compared, or ``sealed``, without the
    key: the bytes are those that were written.
    """

    path: str
    files: int
    size: int
    stored: int
    problems: list[Problem]
    findings: list[Finding]
    proof: Literal["full", "sealed"] | None
    seconds: float

    @property
    def healthy(self) -> bool:
        """Whether everything was read, and the proof found no damage."""
        return not self.problems and not self.findings


class CopyReport(msgspec.Struct, rename="camel", frozen=True, kw_only=True):
    """A copy made: of `files`, `linked` are shared with the copy before, `cloned` with the source.

    A clone (reflink) shares the disk's blocks until one side is changed. `copied` bytes were
    written.
    """

    path: str
    files: int
    size: int
    linked: int
    cloned: int
    copied: int
    problems: list[Problem]
    findings: list[Finding]
    seconds: float

    @property
    def healthy(self) -> bool:
        """Whether everything was read, and the proof found no damage."""
        return not self.problems and not self.findings


Change = Literal["added", "removed", "content", "kind", "target", "mode"]


class Difference(msgspec.Struct, rename="camel", frozen=True):
    """One path that differs: how, and the sizes (bytes) of its content before and after."""

    path: str
    change: Change
    size_before: int = 0
    size_after: int = 0


class FoundVersion(msgspec.Struct, rename="camel", frozen=True):
    """One content of a path that was looked for, and the snapshots that hold it, oldest first."""

    path: str
    kind: str
    size: int
    modified_at: datetime
    snapshots: list[str]


class FindReport(msgspec.Struct, rename="camel", frozen=True):
    """What was found, by path and age, and the snapshots that could not be read."""

    versions: list[FoundVersion]
    findings: list[Finding]

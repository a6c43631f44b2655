"""What the vault answers: plain facts, ready for JSON."""

from collections.abc import Callable
from datetime import datetime
from typing import Literal

import msgspec

from holdfast.vault.entries import Problem, Totals

Progress = Callable[[int, int], None]
"""Called now and then from the working thread with (entries done, bytes done)."""


class SnapshotInfo(msgspec.Struct, rename="camel", frozen=True):
    """One snapshot of a vault; `damage` says why its header cannot be read (then times are 0)."""

    id: str
    started_at: datetime
    ended_at: datetime
    host: str = ""
    workspace_id: str = ""
    workspace_name: str = ""
    root: str = ""
    tags: list[str] = []
    parent: str | None = None
    totals: Totals = msgspec.field(default_factory=Totals)
    problems: list[Problem] = []
    damage: str | None = None


class Proof(msgspec.Struct, rename="camel", frozen=True):
    """A check of one snapshot that passed: when (UTC), how, and how much was restored for it."""

    snapshot: str
    proven_at: datetime
    how: Literal["sample", "full"]
    files: int
    size: int


class Finding(msgspec.Struct, rename="camel", frozen=True):
    """Damage: the file of the vault, what is wrong with it, and which snapshot and path suffer."""

    where: str
    problem: str
    snapshot: str | None = None
    path: str | None = None


class SnapshotReport(msgspec.Struct, rename="camel", frozen=True):
    """A snapshot taken. Healthy when nothing was unreadable and the sampled proof held."""

    snapshot: SnapshotInfo
    proof: Proof | None
    findings: list[Finding]
    seconds: float

    @property
    def healthy(self) -> bool:
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
        return not self.findings


Action = Literal["create", "replace", "unchanged", "conflict", "skip"]


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
        return not self.problems

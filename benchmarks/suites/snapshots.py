"""Backups of a whole workspace, nothing left out."""

import shutil
from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any

from benchmarks.cases import Case, Program, Side, Survives
from benchmarks.environment import SCRATCH

_OURS = Program("snapshots", "benchmarks.ours.snapshots")
_RESTIC = Program("snapshots", "benchmarks.peers.restic_snapshots", requirement="restic")
_ENCRYPTED = Program("snapshots", "benchmarks.ours.encrypted_snapshots")
_ARCHIVES = Program("snapshots", "benchmarks.ours.archives")
_TAR = Program("snapshots", "benchmarks.peers.tar_snapshots", requirement="tar")


def cases(quick: bool) -> list[Case]:
    """The rows: all look at the same days, which are lived once."""
    row = _Row(divided_by=40 if quick else 1)
    return [
        row("first", "first snapshot", "s", "a power cut", 0.5),
        row("unchanged", "nothing changed", "s", "a power cut", 0.2),
        row("changed", "100 edited, 50 new, a log grown", "s", "a power cut", 0.35),
        row.restore("everything back", 0.9, 1.1),
        row("one", "one file back", "s", "nothing asked", 0.5),
        row("size", "size of the three snapshots", "MB", "a power cut", 0.9),
        row("memory", "peak memory of a process", "MB", "nothing asked", None),
        row.encrypted("first", "first snapshot, encrypted", "s", "a power cut", 0.6),
        row.encrypted("unchanged", "nothing changed, encrypted", "s", "a power cut", 0.2),
        row.encrypted("changed", "100 edited, 50 new, encrypted", "s", "a power cut", 0.35),
        row.encrypted("restore", "everything back, encrypted", "s", "nothing asked", 0.9),
        row.encrypted("one", "one file back, encrypted", "s", "nothing asked", 0.5),
        row.encrypted("size", "size of the three, encrypted", "MB", "a power cut", 0.9),
        row.archive("first", "an archive, read again whole", "s", "a power cut"),
        row.archive("restore", "everything back from it", "s", "nothing asked"),
    ]


class _Row:
    def __init__(self, divided_by: int) -> None:
        self._parameters = {
            "tree": str(SCRATCH / f"tree-{divided_by}"),
            "divided_by": divided_by,
        }

    def __call__(
        self, name: str, what: str, unit: str, survives: Survives, target: float | None
    ) -> Case:
        peer = self._restic if shutil.which("restic") else self._tar
        ours = Side("holdfast", _OURS, "days", "fsync, sampled restore", self._parameters)
        return _case(name, what, unit, survives, ours, peer, target)

    def encrypted(self, name: str, what: str, unit: str, survives: Survives, target: float) -> Case:
        """A row of an encrypted vault; restic always encrypts."""
        ours = Side("holdfast", _ENCRYPTED, "days", "fsync, age, sampled restore", self._parameters)
        peer = self._restic if shutil.which("restic") else self._tar
        return _case(f"encrypted-{name}", what, unit, survives, ours, peer, target, figure=name)

    def restore(self, what: str, restic: float, tar: float) -> Case:
        """The row of a whole restore, which tar does too: without looking at what is there."""
        case = self("restore", what, "s", "nothing asked", restic)
        if self._tar in case.peers:
            return case
        target = {**case.target, self._tar.name: tar}
        return replace(case, peers=(*case.peers, self._tar), target=target)

    def archive(self, name: str, what: str, unit: str, survives: Survives) -> Case:
        """A row of archives, which are whole each time."""
        ours = Side("holdfast", _ARCHIVES, "days", "fsync, every file compared", self._parameters)
        return _case(f"archive-{name}", what, unit, survives, ours, self._tar, None, figure=name)

    @property
    def _restic(self) -> Side:
        return Side("restic", _RESTIC, "days", "fsync, encrypted", self._parameters)

    @property
    def _tar(self) -> Side:
        return Side("tar | zstd", _TAR, "days", "sync, whole each time", self._parameters)


def _case(
    name: str,
    what: str,
    unit: str,
    survives: Survives,
    ours: Side,
    peer: Side,
    target: float | None,
    *,
    figure: str | None = None,
) -> Case:
    return Case(
        name=f"snapshots/{name}",
        what=what,
        unit=unit,
        survives=survives,
        ours=ours,
        peers=(peer,),
        figure=_named(figure or name),
        more_is_better=False,
        target={} if target is None else {"restic": target},
    )


def _named(name: str) -> Callable[[Mapping[str, Any]], float]:
    return lambda answer: float(answer[name])

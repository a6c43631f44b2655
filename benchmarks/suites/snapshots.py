"""Backups of a whole workspace, nothing left out."""

import shutil
from collections.abc import Callable, Mapping
from typing import Any

from benchmarks.cases import Case, Program, Side, Survives
from benchmarks.environment import SCRATCH

_OURS = Program("snapshots", "benchmarks.ours.snapshots")
_RESTIC = Program("snapshots", "benchmarks.peers.restic_snapshots", requirement="restic")
_TAR = Program("snapshots", "benchmarks.peers.tar_snapshots", requirement="tar")


def cases(quick: bool) -> list[Case]:
    """The rows: all look at the same days, which are lived once."""
    row = _Row(divided_by=40 if quick else 1)
    return [
        row("first", "first snapshot", "s", "a power cut", 0.5),
        row("unchanged", "nothing changed", "s", "a power cut", 0.2),
        row("changed", "100 edited, 50 new, a log grown", "s", "a power cut", 0.35),
        row("restore", "everything back", "s", "nothing asked", 0.9),
        row("one", "one file back", "s", "nothing asked", 0.5),
        row("size", "size of the three snapshots", "MB", "a power cut", 0.9),
        row("memory", "peak memory of a process", "MB", "nothing asked", None),
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
        peer = (
            Side("restic", _RESTIC, "days", "fsync, encrypted", self._parameters)
            if shutil.which("restic")
            else Side("tar | zstd", _TAR, "days", "sync, whole each time", self._parameters)
        )
        return Case(
            name=f"snapshots/{name}",
            what=what,
            unit=unit,
            survives=survives,
            ours=Side("holdfast", _OURS, "days", "fsync, sampled restore", self._parameters),
            peers=(peer,),
            figure=_named(name),
            more_is_better=False,
            target={} if target is None else {"restic": target},
        )


def _named(name: str) -> Callable[[Mapping[str, Any]], float]:
    return lambda answer: float(answer[name])

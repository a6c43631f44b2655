"""Backing up to several destinations: each by itself, so that one which fails hides no other."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import msgspec

from holdfast.errors import HoldfastError
from holdfast.vault.create import Order, take_snapshot
from holdfast.vault.reports import ArchiveReport, CopyReport, SnapshotReport
from holdfast.vault.sites import Site

Report = SnapshotReport | ArchiveReport | CopyReport


@dataclass(frozen=True)
class Outcome:
    """What came of the backup to one destination: a report, or the error that ended it."""

    name: str
    kind: str
    folder: Path
    report: Report | None = None
    error: HoldfastError | None = None

    @property
    def healthy(self) -> bool:
        """Whether it was backed up there, and the proof found no damage."""
        return self.report is not None and self.report.healthy

    def as_dict(self) -> dict[str, Any]:
        """The outcome as plain data, ready for JSON."""
        about = {"destination": self.name, "kind": self.kind, "folder": str(self.folder)}
        if self.error is not None:
            return {"healthy": False, **about, "error": self.error.as_dict()}
        if self.kind == "snapshot":
            about["vault"] = str(self.folder)
        return {"healthy": self.healthy, **about, **msgspec.to_builtins(self.report)}


def back_up(sites: Sequence[Site], order: Order) -> list[Outcome]:
    """Back up as ordered to every one of `sites`. What fails is in the outcome, never raised."""
    outcomes = []
    for site in sites:
        kind = site.destination.kind
        try:
            report = _back_up(site, order)
        except HoldfastError as error:
            outcomes.append(Outcome(site.name, kind, site.folder, error=error))
        else:
            outcomes.append(Outcome(site.name, kind, site.folder, report))
    return outcomes


def _back_up(site: Site, order: Order) -> Report:
    if site.destination.kind == "snapshot":
        return take_snapshot(site.make(), order)
    if site.destination.kind == "archive":
        from holdfast.vault.archives.writing import create_archive

        return create_archive(site.prepare_folder(), order, site.access, site.private)
    from holdfast.vault.copies import create_copy

    return create_copy(site.prepare_folder(), order, site.private)

"""A restore of a whole snapshot: the workspace's paths to one folder, the home's to another."""

from collections.abc import Iterator, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

import msgspec

from holdfast.durable.quarantine import Quarantine
from holdfast.errors import NotFoundError
from holdfast.vault.chunks import ChunkReader
from holdfast.vault.coverage import HOME, is_transcript
from holdfast.vault.entries import Entry, Problem
from holdfast.vault.index import Index
from holdfast.vault.plan import Step
from holdfast.vault.reports import Consent, PlannedPath, Progress, RestoreReport
from holdfast.vault.repository import Repository
from holdfast.vault.restore import Restorer, normal, select
from holdfast.vault.snapshots import Snapshot

_AT_HOME = "~"


@dataclass(frozen=True)
class Wish:
    """What `Vault.restore` was told."""

    paths: Sequence[str]
    to: Path
    home: Path | None
    quarantine: Quarantine | None
    dry_run: bool
    progress: Progress | None
    consent: Consent | None


class _Part(NamedTuple):
    """One root's share of the restore; `prefix` goes before its paths when they are shown."""

    restorer: Restorer
    steps: list[Step]
    prefix: str


def restore(repository: Repository, identity: str, wish: Wish) -> RestoreReport:
    """Bring back what `wish` names; see `Vault.restore`."""
    if not wish.dry_run:
        repository.sealing.require_key()
    snapshot = Snapshot(repository, identity)
    index = Index()
    with ExitStack() as stack:
        chosen = list(_choose(snapshot, wish))
        index.load(repository, only=_chunks(chosen), without_key=True)
        reader = stack.enter_context(ChunkReader(repository, index))
        parts = []
        for entries, target, prefix in chosen:
            restorer = Restorer(
                reader,
                target.absolute(),
                settled_before=snapshot.header.started_ns,
                quarantine=wish.quarantine,
                reason=f"replaced by the restore of snapshot {identity[:12]}",
                progress=wish.progress,
                touched=is_transcript if prefix else lambda _: False,
            )
            parts.append(_Part(restorer, restorer.plan(entries), prefix))
        if wish.dry_run:
            return _joined(identity, parts, dry_run=True)
        if wish.consent is not None:
            wish.consent(_joined(identity, parts, dry_run=True))
        for part in parts:
            part.restorer.carry_out(part.steps)
        return _joined(identity, parts, dry_run=False)


def _choose(snapshot: Snapshot, wish: Wish) -> Iterator[tuple[list[Entry], Path, str]]:
    """The entries of each root that are wanted, where they go, and how their paths are shown.

    Raises `NotFoundError` for a path that the snapshot does not have.
    """
    at_home = [path for path in wish.paths if path == _AT_HOME or path.startswith(_AT_HOME + "/")]
    elsewhere = [path for path in wish.paths if path not in at_home]
    homes = {n for n, root in enumerate(snapshot.header.roots) if root.name == HOME}
    if at_home and (wish.home is None or not homes):
        raise NotFoundError("the snapshot holds no files of a home", path=at_home[0])
    within_home = [path[1:] or "." for path in at_home]
    workspace: list[Entry] = []
    home: list[Entry] = []
    modes: dict[int, int] = {}
    for batch in snapshot.batches(_plain([*within_home, *elsewhere])):
        for entry in batch:
            entry.mode = modes.setdefault(entry.mode, entry.mode)  # one number for all, for memory
            (home if entry.root in homes else workspace).append(entry)
    if wish.home is not None and at_home:
        yield select(home, within_home), wish.home, "~/"
    if elsewhere or not at_home:
        yield select(workspace, elsewhere), wish.to, ""


def _chunks(chosen: Sequence[tuple[list[Entry], Path, str]]) -> set[str]:
    return {chunk for entries, *_ in chosen for entry in entries for chunk in entry.chunks}


def _plain(paths: Sequence[str]) -> list[str]:
    """`paths` as entries have them; nothing if one of them means everything."""
    plain = [normal(path) for path in paths]
    return [] if "." in plain or "" in plain else plain


def _report(part: _Part, identity: str, *, dry_run: bool) -> RestoreReport:
    report = part.restorer.report(identity, part.steps, dry_run=dry_run)
    if not part.prefix:
        return report
    return msgspec.structs.replace(
        report,
        plan=[
            PlannedPath(part.prefix + each.path, each.action, each.newer) for each in report.plan
        ],
        problems=[Problem(part.prefix + each.path, each.reason) for each in report.problems],
    )


def _joined(identity: str, parts: list[_Part], *, dry_run: bool) -> RestoreReport:
    reports = [_report(part, identity, dry_run=dry_run) for part in parts]
    last = reports[-1]
    return msgspec.structs.replace(
        last,
        plan=[each for report in reports for each in report.plan],
        created=sum(report.created for report in reports),
        replaced=sum(report.replaced for report in reports),
        unchanged=sum(report.unchanged for report in reports),
        size=sum(report.size for report in reports),
        quarantined=[each for report in reports for each in report.quarantined],
        problems=[each for report in reports for each in report.problems],
    )

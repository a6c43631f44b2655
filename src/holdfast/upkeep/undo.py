"""Undo: what one command took away comes back; what is there instead is kept as a new point."""

from collections.abc import Callable, Iterator, Sequence
from datetime import datetime

import msgspec

from holdfast.durable import points
from holdfast.durable.points import KeptSnapshot, Point, QueueExport
from holdfast.errors import HoldfastError, NotFoundError
from holdfast.facade import Workspace
from holdfast.upkeep.undo_parts import Choice, Step, Undoer
from holdfast.upkeep.undo_snapshots import SnapshotUndoer
from holdfast.vault.coverage import UNDO

Consent = Callable[["UndoReport"], None]
"""Called with the plan before anything is changed; whatever it raises ends the undo there."""


class PointInfo(msgspec.Struct, frozen=True, rename="camel"):
    """A point as it is listed; `undone_by` is the point of the undo that undid it, if any."""

    id: str
    command: str
    started_at: datetime
    ended_at: datetime | None
    source: str
    parts: int
    undoes: str | None = None
    undone_by: str | None = None


class UndoReport(msgspec.Struct, frozen=True, rename="camel"):
    """What undoing `point` does, or did; `made` is the point that undoes it again.

    `later` are commands after it that touched the same files; `left` are files of the point that
    stay as they are, and why; `problems` are what could not be brought back.
    """

    point: str
    command: str
    dry_run: bool
    steps: list[Step]
    left: list[Step]
    later: list[str]
    problems: list[str]
    made: str | None = None

    @property
    def healthy(self) -> bool:
        return not self.problems


def list_points(workspace: Workspace) -> list[PointInfo]:
    """All points, newest first."""
    known = workspace.points.list()
    undone = _undone(known)
    return [_info(point, undone.get(point.id)) for point in reversed(known)]


def undo(
    workspace: Workspace,
    point_id: str | None = None,
    *,
    choice: Choice = Choice(),  # noqa: B008  frozen
    dry_run: bool = False,
    consent: Consent | None = None,
) -> UndoReport:
    """Undo the command of one point; by default of the last that had an effect and is not undone.

    Later work stays where it does not concern the same files. Whatever this replaces or takes away
    is a point of its own, so it can be undone. After an interruption the same call goes on. Raises
    `NotFoundError` when there is no such point; what cannot be brought back is in `problems`.
    """
    known = workspace.points.list()
    if point_id is None:
        plan, undoers = _last(workspace, known, choice)
    else:
        plan, undoers = _plan(workspace, workspace.points.get(point_id), known, choice)
    if dry_run:
        return plan
    if consent is not None:
        consent(plan)
    label = f"undo of {plan.point}: {plan.command}"
    with points.recording(workspace.points, label, undoes=plan.point) as made:
        problems = [problem for undoer in undoers for problem in _carry_out(undoer)]
        again = made.begun
        if plan.steps and not problems:
            made.begin()  # where nothing undoes it again, it must be known as undone all the same
    return msgspec.structs.replace(
        plan, dry_run=False, problems=problems, made=made.id if again else None
    )


def expire_points(workspace: Workspace) -> list[Point]:
    """Forget the points older than the settings keep them, and the snapshots of only those."""
    seconds = workspace.settings.undo.keep_days * 86_400
    gone = workspace.points.expire(older_than=seconds)
    named = {_snapshot(point) for point in workspace.points.list()}
    doomed = {_snapshot(point) for point in gone} - named
    try:
        vault = workspace.vault
    except NotFoundError:
        return gone
    ours = {info.id for info in vault.snapshots() if UNDO in info.tags and info.damage is None}
    if forgotten := sorted(doomed & ours):
        with points.unrecorded():
            vault.forget(forgotten)
    return gone


def _snapshot(point: Point) -> str:
    return next((part.snapshot for part in point.parts if isinstance(part, KeptSnapshot)), "")


Undoers = Sequence[Undoer | SnapshotUndoer]


def _last(
    workspace: Workspace, known: Sequence[Point], choice: Choice
) -> tuple[UndoReport, Undoers]:
    undone = _undone(known)
    for point in reversed(known):
        if point.header.undoes is not None or point.id in undone:
            continue
        plan, undoers = _plan(workspace, point, known, choice)
        if plan.steps:
            return plan, undoers
    raise NotFoundError(
        "there is nothing to undo",
        path=workspace.points.root,
        hint="look at: holdfast undo --list; older states are in: holdfast backup list",
    )


def _plan(
    workspace: Workspace, point: Point, known: Sequence[Point], choice: Choice
) -> tuple[UndoReport, Undoers]:
    undoers = list(_undoers(workspace, point, known, choice))
    report = UndoReport(
        point.id,
        point.header.command,
        dry_run=True,
        steps=[step for undoer in undoers for step in undoer.steps()],
        left=[step for undoer in undoers for step in undoer.left()],
        later=_later(workspace, point, known),
        problems=[problem for undoer in undoers for problem in undoer.obstacles()],
    )
    return report, undoers


def _undoers(
    workspace: Workspace, point: Point, known: Sequence[Point], choice: Choice
) -> Iterator[Undoer | SnapshotUndoer]:
    """One for each part, the last part first."""
    exports = {part.entry for part in point.parts if isinstance(part, QueueExport)}
    for part in reversed(point.parts):
        if isinstance(part, KeptSnapshot):
            yield SnapshotUndoer(workspace, point, part, known, choice)
        elif getattr(part, "entry", None) not in exports or isinstance(part, QueueExport):
            yield Undoer(workspace, point, part, choice)


def _carry_out(undoer: Undoer | SnapshotUndoer) -> list[str]:
    """Do it; what fails is told and does not keep the other parts from being undone."""
    try:
        undoer.carry_out()
    except HoldfastError as error:
        return [str(error)]
    return undoer.obstacles()


def _later(workspace: Workspace, point: Point, known: Sequence[Point]) -> list[str]:
    """The commands after `point` that touched files of it, and are not undone."""
    undone = _undone(known)
    own = _paths(workspace, point)
    after = [each for each in known if each.header.started_at > point.header.started_at]
    return [
        f"{each.id}: {each.header.command}"
        for each in after
        if each.id not in undone
        and each.header.undoes is None
        and not own.isdisjoint(_paths(workspace, each))
    ]


def _paths(workspace: Workspace, point: Point) -> set[str]:
    parts = [part for part in point.parts if not isinstance(part, KeptSnapshot)]
    return {path for part in parts for path in Undoer(workspace, point, part).paths()}


def _undone(known: Sequence[Point]) -> dict[str, str]:
    """Which points are undone, and by which: by an undo that ended and was not undone itself."""
    undone: dict[str, str] = {}
    for point in reversed(known):
        if point.header.undoes and point.ended_at is not None and point.id not in undone:
            undone[point.header.undoes] = point.id
    return undone


def _info(point: Point, undone_by: str | None) -> PointInfo:
    header = point.header
    return PointInfo(
        point.id,
        header.command,
        header.started_at,
        point.ended_at,
        header.source,
        len(point.parts),
        header.undoes,
        undone_by,
    )

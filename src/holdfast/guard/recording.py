"""Making the undo point of a tool call.

A tool that changes one file gets that file's bytes kept. For a shell, nobody knows what it will do:
its point names a snapshot of the workspace, the last one if nothing changed since.
"""

import stat
import sys
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import msgspec

from holdfast.durable.files import make_folder
from holdfast.durable.names import is_within, long_path
from holdfast.durable.points import KeptSnapshot, PointLog
from holdfast.errors import HoldfastError, RefusedError
from holdfast.guard.calls import ToolCall, parse

if TYPE_CHECKING:
    from holdfast.durable.points import Point
    from holdfast.facade import Workspace

_LARGEST_KEPT = 64 << 20  # bytes of one file kept by itself


class Reply(NamedTuple):
    """What the hook prints, and the snapshot that holds the workspace as it was then."""

    output: bytes = b""
    snapshot: str | None = None


def answer(root: Path, question: bytes, clean: str | None) -> Reply:
    """Make or end the point for what the hook was told: ``before`` or ``after``, then the call.

    `clean` is a snapshot since which nothing changed, if that is known. Never raises: what fails is
    said in the reply and in the log.
    """
    when, _, data = question.partition(b"\n")
    try:
        from holdfast.facade import open_workspace

        with open_workspace(root) as workspace:
            try:
                return _answer(workspace, when.decode("ascii"), parse(data), clean)
            except Exception as error:
                _log(workspace, error)
                raise
    except Exception as error:  # whatever it is, the tool must be able to run
        what = "no undo point was made" if when == b"before" else "the undo point was not ended"
        text = f"Holdfast guard: {what}: {error}"
        return Reply(msgspec.json.encode({"systemMessage": text}))


def first_snapshot(workspace: "Workspace") -> str:
    """Take the snapshot that later points start from, so that no tool waits for it; its id."""
    return _snapshot(workspace, None)


def _answer(workspace: "Workspace", when: str, call: ToolCall, clean: str | None) -> Reply:
    points = PointLog(workspace.layout.points, durability="process")
    if when == "after":
        if call.key is not None and not call.goes_on:
            points.end(call.key)
        return Reply(snapshot=clean)
    file = call.file
    if file is not None and _can_be_kept(file, workspace):
        point = points.begin(call.label, source="guard", key=call.key)
        point.keep_document(file)
        return Reply(snapshot=clean)
    snapshot = _snapshot(workspace, clean)
    before = points.newest("guard")
    part = KeptSnapshot(snapshot, str(workspace.layout.root))
    points.begin(call.label, source="guard", key=call.key).note(part)
    if before is not None and _had_no_effect(before, part):
        points.remove(before.id)
    if snapshot != clean:
        _forget_oldest(workspace, points)
    return Reply(snapshot=snapshot)


def _can_be_kept(file: Path, workspace: "Workspace") -> bool:
    """Whether the bytes of `file` are to be kept by themselves. Raises `RefusedError`."""
    try:
        status = long_path(file).stat()
    except (FileNotFoundError, NotADirectoryError):
        return True  # that it was absent is kept
    if stat.S_ISREG(status.st_mode) and status.st_size <= _LARGEST_KEPT:
        return True
    if is_within(file, workspace.layout.root):
        return False
    raise RefusedError(
        f"it is no file, or larger than {_LARGEST_KEPT >> 20} MB, and outside of the workspace",
        path=file,
    )


def _snapshot(workspace: "Workspace", clean: str | None) -> str:
    from holdfast.guard import fingerprint
    from holdfast.vault.coverage import LIVELY, UNDO

    if clean is not None and _is_there(workspace, clean):
        return clean
    layout = workspace.layout
    for folder in (layout.points, layout.schedule):
        make_folder(folder, private=True)  # now, so that making it later is no change
    note = layout.schedule / "guarded.json"
    excludes = [f"/.claude/{name}" for name in LIVELY]
    seen = fingerprint.look(layout.root, layout.home, workspace.settings.backups, excludes)
    if seen is not None:
        known = fingerprint.recall(note, seen)
        if known is not None and _is_there(workspace, known):
            return known
    report = workspace.snapshot(tags=[UNDO], excludes=excludes, unless_unchanged=True)
    if seen is not None:
        fingerprint.remember(note, report.snapshot.id, seen)
    if report.snapshot.problems:
        problem = report.snapshot.problems[0]
        more = f" and {len(report.snapshot.problems) - 1} more" * (
            len(report.snapshot.problems) > 1
        )
        workspace.logger("guard").warning(f"not guarded: {problem.path}: {problem.reason}{more}")
    return report.snapshot.id


def _is_there(workspace: "Workspace", snapshot: str) -> bool:
    try:
        return workspace.vault.resolve(snapshot) == snapshot
    except HoldfastError:
        return False  # forgotten meanwhile, or the vault is not as it was


def _had_no_effect(before: "Point", part: KeptSnapshot) -> bool:
    """Whether the tool before ended and changed nothing: then its point is of no use."""
    return before.ended_at is not None and before.parts == [part]


def _forget_oldest(workspace: "Workspace", points: PointLog) -> None:
    """Keep no more snapshots for points than the settings say, with some slack to do it rarely."""
    from holdfast.vault.coverage import UNDO

    keep = max(1, workspace.settings.undo.keep_snapshots)
    vault = workspace.vault
    ours = [info for info in vault.snapshots() if UNDO in info.tags and info.damage is None]
    if len(ours) <= keep + keep // 10:
        return
    doomed = {info.id for info in ours[:-keep]}
    for point in points.list():
        if any(isinstance(part, KeptSnapshot) and part.snapshot in doomed for part in point.parts):
            points.remove(point.id)
    vault.forget(sorted(doomed))


def _log(workspace: "Workspace", error: Exception) -> None:
    try:
        workspace.logger("guard").error("No undo point was made", error=str(error))
    except (HoldfastError, OSError) as second:
        print(f"holdfast guard: {second}", file=sys.stderr)  # noqa: T201  nowhere else to say it

"""Undoing a part that is a snapshot: what a tool's command changed since, and nothing else.

What a command did is what differs between its own snapshot and that of the next point, or the
workspace as it is now. Of that, what is gone comes back and what was changed goes back. What
changed again after the command ended, and what Holdfast and the programs themselves keep writing
(stores, logs), stays unless it is asked for.
"""

import os
import stat
import sys
from collections.abc import Iterable, Sequence
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING

from holdfast.durable.names import long_path
from holdfast.durable.points import KeptSnapshot, Point
from holdfast.errors import HoldfastError, NotFoundError
from holdfast.facade import Workspace
from holdfast.upkeep.undo_parts import Choice, Step
from holdfast.vault import Difference
from holdfast.workspace.layout import STATE_FOLDER

if TYPE_CHECKING:
    from holdfast.durable.quarantine import Collection

_TICK = 2.0  # seconds; file systems count in steps of up to that


class SnapshotUndoer:
    """The undoing of the snapshot `part` of `point`."""

    def __init__(
        self,
        workspace: Workspace,
        point: Point,
        part: KeptSnapshot,
        known: Sequence[Point],
        choice: Choice,
    ) -> None:
        self._workspace = workspace
        self._point = point
        self._snapshot = part.snapshot
        self._next = _following(point, part, known)
        self._choice = choice
        self._root = workspace.layout.root
        self._home = workspace.layout.home
        self._obstacles: list[str] = []
        self._sorted: tuple[list[Step], list[Step]] | None = None

    def steps(self) -> list[Step]:
        """What would be done now."""
        return self._sort()[0]

    def left(self) -> list[Step]:
        """Files that differ and stay as they are."""
        return self._sort()[1]

    def obstacles(self) -> list[str]:
        """Why it cannot be done."""
        self._sort()
        return self._obstacles

    def carry_out(self) -> None:
        """Do it. Raises `HoldfastError`."""
        steps = self.steps()
        self._take_away([Path(step.path) for step in steps if step.action == "take away"])
        back = [self._named(step.path) for step in steps if step.action != "take away"]
        if not back:
            return
        report = self._workspace.vault.restore(
            self._snapshot,
            back,
            to=self._root,
            home=self._home,
            quarantine=self._workspace.quarantine,
        )
        self._obstacles += [f"{each.path}: {each.reason}" for each in report.problems]

    def _sort(self) -> tuple[list[Step], list[Step]]:
        if self._sorted is None:
            steps: list[Step] = []
            left: list[Step] = []
            for difference in self._differences:
                self._judge(difference, steps, left)
            self._sorted = _topmost(steps), left
        return self._sorted

    @cached_property
    def _differences(self) -> list[Difference]:
        """What the command did."""
        if self._next is not None and self._next.snapshot == self._snapshot:
            return []
        try:
            vault = self._workspace.vault
            after = None if self._next is None else self._next.snapshot
            return vault.diff(self._snapshot, after)
        except HoldfastError as error:
            self._obstacles.append(str(error))
            return []

    def _judge(self, difference: Difference, steps: list[Step], left: list[Step]) -> None:
        path = self._place(difference.path)
        if not self._is_wanted(path):
            return
        there = os.path.lexists(long_path(path))
        if difference.change == "added":
            if there:
                new = Step("take away", str(path)) if self._choice.new else None
                (steps if new else left).append(new or Step("keep", str(path), "made since"))
            return
        if not there:
            if not _is_in_live_store(path, self._root):
                steps.append(Step("bring back", str(path)))
            return
        if difference.change == "removed":
            return  # made again since
        if _is_living(path, self._root) and not self._choice.paths:
            return
        if self._changed_since(path) and not self._choice.changed_since:
            left.append(Step("keep", str(path), "changed since"))
            return
        steps.append(Step("put back", str(path), "what is there now is kept"))

    def _changed_since(self, path: Path) -> bool:
        """Whether the file changed after the command ended; a folder's own times say nothing."""
        ended = self._point.ended_at
        if ended is None:
            return False
        status = os.lstat(long_path(path))
        if stat.S_ISDIR(status.st_mode):
            return False
        # The time of a change of content or name; on Windows that is the time of making.
        changed = status.st_mtime if sys.platform == "win32" else status.st_ctime
        return changed > ended.timestamp() + _TICK

    def _is_wanted(self, path: Path) -> bool:
        wanted = [self._root / each for each in self._choice.paths]
        return not wanted or any(path.is_relative_to(os.path.normpath(each)) for each in wanted)

    def _place(self, shown: str) -> Path:
        return self._home / shown[2:] if shown.startswith("~/") else self._root / shown

    def _named(self, path: str) -> str:
        """The path as the vault names it."""
        if Path(path).is_relative_to(self._root):
            return Path(path).relative_to(self._root).as_posix()
        return f"~/{Path(path).relative_to(self._home).as_posix()}"

    def _take_away(self, paths: Sequence[Path]) -> None:
        reason = f"taken away by the undo of {self._point.id}"
        collections: dict[Path, Collection] = {}
        for path in paths:
            top = self._root if path.is_relative_to(self._root) else self._home
            if top not in collections:
                collections[top] = self._workspace.quarantine.collect(top, reason=reason)
            try:
                collections[top].take(path)
            except NotFoundError:
                continue  # gone with a folder above it, or by itself


def _following(point: Point, part: KeptSnapshot, known: Sequence[Point]) -> KeptSnapshot | None:
    """The snapshot of the first point after this one that has one."""
    for each in known:
        if (each.header.started_at, each.id) <= (point.header.started_at, point.id):
            continue
        for other in each.parts:
            if isinstance(other, KeptSnapshot) and other.root == part.root:
                return other
    return None


def _topmost(steps: Iterable[Step]) -> list[Step]:
    """Without what lies in a folder that comes back, or goes, as a whole."""
    kept: list[Step] = []
    whole: set[tuple[str, str]] = set()
    for step in sorted(steps, key=lambda step: step.path.count(os.sep)):
        above = ((step.action, str(folder)) for folder in Path(step.path).parents)
        if step.action != "put back" and any(key in whole for key in above):
            continue
        whole.add((step.action, step.path))
        kept.append(step)
    return sorted(kept, key=lambda step: step.path)


def _is_living(path: Path, root: Path) -> bool:
    """Whether programs keep writing it while they run: stores and logs."""
    living = (root / STATE_FOLDER, root / "logs")
    return any(path.is_relative_to(each) for each in living)


def _is_in_live_store(path: Path, root: Path) -> bool:
    """What comes and goes in the state folder by itself, such as a database's log."""
    return path.is_relative_to(root / STATE_FOLDER) and path.name.endswith(
        ("-wal", "-shm", "-journal", ".lock")
    )

"""Where pages get their workspace: opened for each request, used on a thread, closed at once."""

from collections.abc import Callable
from pathlib import Path
from typing import TypeVar

import anyio.to_thread

from holdfast.durable.points import PointLog, recording
from holdfast.facade import Workspace, workspace_at
from holdfast.workspace.layout import Layout, find_layout

Result = TypeVar("Result")


class Desk:
    """One workspace, as it is on disk whenever somebody asks; nothing of it stays open or locked.

    The event loop never waits for a disk: all work is on threads.
    """

    def __init__(self, root: Path, settings: tuple[str, ...] = ()) -> None:
        self.root = root
        self.settings = settings

    async def look(self, work: Callable[[Workspace], Result]) -> Result:
        """Call `work` with the workspace. Raises what it raises."""
        return await anyio.to_thread.run_sync(self.look_here, work)

    async def do(self, label: str, work: Callable[[Workspace], Result]) -> Result:
        """As `look`; what the work destroys is one undo point called `label`."""
        return await anyio.to_thread.run_sync(self._do, label, work)

    async def look_at(self, work: Callable[[Layout], Result]) -> Result:
        """Call `work` with the places of the workspace, whose settings may be unreadable."""
        return await anyio.to_thread.run_sync(lambda: work(find_layout(self.root)))

    async def do_at(self, label: str, work: Callable[[Layout], Result]) -> Result:
        """As `look_at`; what the work destroys is one undo point called `label`."""
        return await anyio.to_thread.run_sync(self._do_at, label, work)

    def look_here(self, work: Callable[[Workspace], Result]) -> Result:
        """As `look`, on a thread that is one already."""
        with workspace_at(self.root, self.settings) as workspace:
            return work(workspace)

    def _do(self, label: str, work: Callable[[Workspace], Result]) -> Result:
        with workspace_at(self.root, self.settings) as workspace, workspace.point(label):
            return work(workspace)

    def _do_at(self, label: str, work: Callable[[Layout], Result]) -> Result:
        layout = find_layout(self.root)
        with recording(PointLog(layout.points), label):
            return work(layout)

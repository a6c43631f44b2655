"""Where pages get their workspace: opened for each request, used on a thread, closed at once."""

from collections.abc import Callable
from pathlib import Path
from typing import TypeVar

import anyio.to_thread

from holdfast.facade import Workspace, workspace_at

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

    def look_here(self, work: Callable[[Workspace], Result]) -> Result:
        """As `look`, on a thread that is one already."""
        with workspace_at(self.root, self.settings) as workspace:
            return work(workspace)

    def _do(self, label: str, work: Callable[[Workspace], Result]) -> Result:
        with workspace_at(self.root, self.settings) as workspace, workspace.point(label):
            return work(workspace)

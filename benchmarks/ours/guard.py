"""The guard's hook, as Claude Code runs it."""

import json
import subprocess
import sys
import time
from itertools import count
from pathlib import Path

from holdfast.durable.asking import is_watched
from holdfast.facade import open_workspace
from holdfast.guard.recording import first_snapshot
from holdfast.workspace.creation import create

_HOOK = [sys.executable, "-P", "-m", "holdfast.guard.hook"]


class Guard:
    def __init__(self, root: Path) -> None:
        self._root = root
        self._calls = count()
        self._watcher: subprocess.Popen[bytes] | None = None

    def prepare(self, *, watched: bool) -> None:
        create(self._root, home=self._root.parent)
        with open_workspace(self._root) as workspace:
            first_snapshot(workspace)
        if watched:
            line = [sys.executable, "-m", "holdfast", "schedule", "watch", "-w", str(self._root)]
            self._watcher = subprocess.Popen(line, stderr=subprocess.DEVNULL)
            while not is_watched(str(self._root / ".holdfast" / "schedule")):
                time.sleep(0.05)

    def before(self) -> list[tuple[list[str], bytes]]:
        use = f"toolu_{next(self._calls)}"
        call = {"tool_name": "Bash", "tool_input": {"command": "ls"}, "tool_use_id": use}
        return [([*_HOOK, str(self._root), "before"], json.dumps(call).encode())]

    def close(self) -> None:
        if self._watcher is not None:
            self._watcher.terminate()
            self._watcher.wait()


def connect(root: Path) -> Guard:
    """The guard of the workspace at `root`."""
    return Guard(root)

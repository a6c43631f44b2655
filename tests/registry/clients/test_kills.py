"""A sync that is killed at any instant leaves the client's file whole."""

import subprocess
import sys
from pathlib import Path

import pytest

from holdfast.claude.places import claude_places
from holdfast.facade import Workspace
from tests.conftest import child_environment
from tests.registry.clients.conftest import CLAUDE_JSON

ROUNDS = 10 if sys.platform == "win32" else 170  # for each of three files


@pytest.mark.slow
@pytest.mark.parametrize("which", ["code", "project", "desktop"])
def test_five_hundred_killed_syncs_leave_the_file_whole(workspace: Workspace, which: str) -> None:
    layout = workspace.layout
    paths = {
        "code": layout.home / ".claude.json",
        "project": layout.root / ".mcp.json",
        "desktop": claude_places(layout.home).desktop_configs()[0],
    }
    paths[which].parent.mkdir(parents=True, exist_ok=True)
    paths[which].write_bytes(CLAUDE_JSON)
    script = str(Path(__file__).with_name("kills.py"))
    done = subprocess.run(
        [sys.executable, script, str(layout.root), which, str(ROUNDS)],
        env=child_environment(),
        capture_output=True,
        text=True,
        timeout=280,
        check=False,
    )
    assert done.returncode == 0, done.stderr[-3000:]
    assert CLAUDE_JSON.split(b'"mine"')[1][:30] in paths[which].read_bytes()

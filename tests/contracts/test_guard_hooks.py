"""The guard's hooks in the real Claude Code client, which a model on loopback lets run tools."""

import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from holdfast.facade import Workspace, open_workspace
from holdfast.upkeep.undo import list_points, undo
from holdfast.workspace.creation import create
from tests.conftest import SOURCE, Runner
from tests.contracts.model import model_that_calls

pytestmark = pytest.mark.slow


@pytest.fixture
def root(tmp_path: Path, holdfast: Runner) -> Path:
    """A guarded workspace with a file that git never knew."""
    root = create(tmp_path / "home" / "development", home=tmp_path / "home").layout.root
    (root / "shared" / "plan.md").write_text("# Plan\n", encoding="utf-8")
    done = holdfast("guard", "install", "-w", root)
    assert done.returncode == 0, done.stderr
    return root


def let_it_run(program: Path, root: Path, tool: str, tool_input: dict[str, Any]) -> str:
    """One turn of the client, in which it runs the tool; what it said."""
    home = root.parent
    with model_that_calls(tool, tool_input) as address:
        done = subprocess.run(
            [program, "-p", "clean up", "--allowedTools", tool],
            cwd=root,
            env={
                **os.environ,
                "HOME": str(home),
                "USERPROFILE": str(home),
                "PYTHONPATH": str(SOURCE),
                "ANTHROPIC_BASE_URL": address,
                "ANTHROPIC_API_KEY": "none",
                "DISABLE_AUTOUPDATER": "1",
                "DISABLE_TELEMETRY": "1",
                "CLAUDE_CODE_DISABLE_NONESSENTIAL_TRAFFIC": "1",
            },
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            encoding="utf-8",
            timeout=200,
            check=False,
        )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def guarded(workspace: Workspace) -> list[str]:
    return [each.command for each in list_points(workspace) if each.source == "guard"]


@pytest.mark.skipif(sys.platform == "win32", reason="the command is for a POSIX shell")
def test_what_the_clients_shell_destroyed_comes_back(root: Path, claude_program: Path) -> None:
    command = {"command": "rm -rf shared", "description": "Clean up"}
    assert "done" in let_it_run(claude_program, root, "Bash", command)
    assert not (root / "shared").exists()
    with open_workspace(root) as workspace:
        assert guarded(workspace) == ["Bash: rm -rf shared"]
        assert list_points(workspace)[0].ended_at is not None
        plan = undo(workspace)
        assert str(root / "shared") in [step.path for step in plan.steps]
    assert (root / "shared" / "plan.md").read_text(encoding="utf-8") == "# Plan\n"


def test_what_the_client_wrote_goes_back(root: Path, claude_program: Path) -> None:
    plan = root / "shared" / "new.md"
    let_it_run(claude_program, root, "Write", {"file_path": str(plan), "content": "new"})
    assert plan.read_text(encoding="utf-8") == "new"
    with open_workspace(root) as workspace:
        assert guarded(workspace) == [f"Write: {plan}"]
        undo(workspace)
    assert not plan.exists()

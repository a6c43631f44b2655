"""A workspace under guard, and the hooks run as Claude Code runs them."""

import json
import os
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from holdfast.facade import Workspace, open_workspace
from holdfast.workspace.creation import create
from tests.conftest import SOURCE, Runner
from tests.windows import posix_shell

Hook = Callable[..., subprocess.CompletedProcess[str]]


@pytest.fixture
def home(tmp_path: Path) -> Path:
    """A home with Claude Code's settings in it."""
    folder = tmp_path / "home"
    (folder / ".claude").mkdir(parents=True)
    (folder / ".claude" / "settings.json").write_text(
        '{\n  "model": "opus",\n  "permissions": {"allow": ["Bash(ls:*)"]}\n}', encoding="utf-8"
    )
    (folder / ".bashrc").write_text("alias ll='ls -l'\n", encoding="utf-8")
    return folder


@pytest.fixture
def workspace(home: Path) -> Iterator[Workspace]:
    """A workspace with files that git never knew."""
    root = create(home / "development", home=home).layout.root
    (root / "agents" / "scout").mkdir()
    (root / "agents" / "scout" / "main.py").write_text("print('scout')\n", encoding="utf-8")
    (root / "agents" / "scout" / "notes.txt").write_text("never committed\n", encoding="utf-8")
    (root / "shared" / "plan.md").write_text("# Plan\n", encoding="utf-8")
    with open_workspace(root) as opened:
        yield opened


@pytest.fixture
def hook(workspace: Workspace, holdfast: Runner) -> Hook:
    """Install the guard, then run its hook for a tool call: ``hook("before", "Bash", {...})``."""
    root = workspace.layout.root
    done = holdfast("guard", "install", "-w", root)
    assert done.returncode == 0, done.stderr
    settings = json.loads((root.parent / ".claude" / "settings.json").read_text(encoding="utf-8"))
    events = {"before": "PreToolUse", "after": "PostToolUse"}

    def run(when: str, tool: str, tool_input: Any, use: str = "toolu_1", cwd: Path = root) -> Any:
        [group] = settings["hooks"][events[when]]
        [one] = group["hooks"]
        call = {
            "session_id": "abc123",
            "transcript_path": str(root.parent / ".claude" / "projects" / "x.jsonl"),
            "cwd": str(cwd),
            "permission_mode": "default",
            "hook_event_name": events[when],
            "tool_name": tool,
            "tool_input": tool_input,
            "tool_use_id": use,
        }
        path = os.pathsep.join(filter(None, [str(SOURCE), os.environ.get("PYTHONPATH")]))
        return subprocess.run(
            one["command"],
            shell=True,  # as Claude Code does
            input=json.dumps(call),
            cwd=cwd,
            env={**os.environ, "PYTHONPATH": path},
            capture_output=True,
            text=True,
            encoding="utf-8",
            timeout=120,
            check=False,
        )

    return run


def shell(command: str, cwd: Path) -> None:
    """Run `command` in a real shell, as the Bash tool does."""
    program = posix_shell()
    assert program is not None
    subprocess.run([program, "-c", command], cwd=cwd, check=True, capture_output=True, timeout=60)

"""The real ``holdfast history`` in a process of its own."""

import json
from pathlib import Path
from typing import Any

import pytest

from tests.conftest import Runner, require_program
from tests.history.conftest import call_git


@pytest.fixture
def workspace(tmp_path: Path) -> Path:
    require_program("git")
    root = tmp_path / "Corbin" / "development"
    (root / ".holdfast").mkdir(parents=True)
    marker = {"id": "w", "name": "development", "home": "..", "formatVersion": 1}
    (root / ".holdfast" / "workspace.json").write_text(json.dumps(marker), encoding="utf-8")
    (root / "agents").mkdir()
    (root / "agents" / "director-agent.py").write_bytes(b"one\n")
    return root


def test_a_day_with_the_history(holdfast: Runner, workspace: Path) -> None:
    def call(*arguments: str, status: int = 0, cwd: Path = workspace) -> Any:
        done = holdfast("history", *arguments, "--json", cwd=cwd)
        assert done.returncode == status, done.stderr
        return json.loads(done.stdout or done.stderr)

    assert call("status", status=1)["root"] is None
    assert call("save", status=2)["error"]["type"] == "NotFoundError"
    assert call("init")["made"] is True
    assert call("init")["made"] is False
    saved = call("save", "-m", "One")
    assert (saved["healthy"], saved["message"], saved["pushed"]) == (True, "One", None)
    assert call("save")["commit"] is None
    assert call("status")["warnings"] == []
    agent = workspace / "agents" / "director-agent.py"
    agent.write_bytes(b"two\n")
    assert call("save", "director-agent.py", cwd=agent.parent)["modified"]["count"] == 1
    assert [row["subject"] for row in call("log")][1] == "One"
    assert len(call("log", "agents", "--limit", "1")) == 1
    assert call("show", "HEAD")["changes"][0]["kind"] == "modified"
    assert call("show", "HEAD~1:agents/director-agent.py")["text"] == "one\n"
    plan = call("restore", "agents/director-agent.py", "--rev", "HEAD~1", "--dry-run")
    assert plan["paths"] == [{"path": "agents/director-agent.py", "action": "replace"}]
    refused = call("restore", "agents/director-agent.py", "--rev", "HEAD~1", status=4)
    assert "--dry-run" in refused["error"]["hint"]
    assert agent.read_bytes() == b"two\n"
    call("restore", "agents/director-agent.py", "--rev", "HEAD~1", "--yes")
    assert agent.read_bytes() == b"one\n"
    assert call("push", status=2)["error"]["message"] == "the repository is local only"
    assert call("show", "nonsense", status=2)["error"]["type"] == "NotFoundError"


def test_people_are_told_in_words(holdfast: Runner, workspace: Path) -> None:
    home = workspace.parent
    call_git(home, "init", "-q")
    status = holdfast("history", "status", cwd=workspace)
    assert status.returncode == 1
    assert "remote      local only" in status.stdout
    assert "the whole workspace development/ is untracked" in status.stdout
    plan = holdfast("history", "save", "--dry-run", cwd=workspace)
    assert "development/agents/director-agent.py" in plan.stdout
    assert "Saved " in holdfast("history", "save", cwd=workspace).stdout
    assert holdfast("history", "save", cwd=workspace).stdout == "Nothing to save.\n"
    (workspace / "agents" / "director-agent.py").unlink()
    wanted = "development/agents/director-agent.py"
    restored = holdfast("history", "restore", wanted, "-w", workspace, cwd=home)
    assert restored.stdout.startswith(f"create    {wanted}\n")
    shown = holdfast("history", "show", f"HEAD:{wanted}", "-w", workspace, cwd=home)
    assert shown.stdout == "one\n"


def test_a_secret_exits_4_and_names_file_and_line(holdfast: Runner, workspace: Path) -> None:
    holdfast("history", "init", cwd=workspace)
    secret = "ghp_" + "a1B2c3D4e5F6g7H8i9J0k1L2m3N4o5P6q7R8"
    (workspace / "leak.py").write_text(f"\nT = '{secret}'\n", encoding="utf-8")
    done = holdfast("history", "save", cwd=workspace)
    assert done.returncode == 4
    assert "leak.py:2: GitHub token" in done.stderr
    assert secret not in done.stderr
    assert holdfast("history", "save", "--allow-secrets", cwd=workspace).returncode == 0


def test_without_git_it_exits_5(holdfast: Runner, workspace: Path, tmp_path: Path) -> None:
    done = holdfast("history", "status", cwd=workspace, env={"PATH": str(tmp_path)})
    assert done.returncode == 5
    assert "install" in done.stderr

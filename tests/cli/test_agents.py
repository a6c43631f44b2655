"""The real command in a process of its own."""

import json
from pathlib import Path
from typing import Any

import pytest

from tests.conftest import Runner


@pytest.fixture
def workspace(tmp_path: Path) -> Path:
    root = tmp_path / "development"
    (root / ".holdfast").mkdir(parents=True)
    marker = {"id": "w", "name": "development", "home": "..", "formatVersion": 1}
    (root / ".holdfast" / "workspace.json").write_text(json.dumps(marker), encoding="utf-8")
    (root / "agents").mkdir()
    (root / "agents" / "director-agent.py").write_text('"""Directs."""', encoding="utf-8")
    return root


def test_the_life_of_an_agent(holdfast: Runner, workspace: Path) -> None:
    def call(*arguments: str, status: int = 0) -> Any:
        done = holdfast("agents", *arguments, "--json", cwd=workspace)
        assert done.returncode == status, done.stderr
        return json.loads(done.stdout or done.stderr)

    assert call("list") == []
    assert [agent["id"] for agent in call("discover", "--dry-run")["added"]] == ["director-agent"]
    assert call("list") == []
    assert call("discover", "development/agents")["added"][0]["description"] == "Directs."
    assert call("add", "scout", "--path", "agents/scout", "--group", "staging")["name"] == "Scout"
    assert call("validate", status=1)[0]["message"] == "its path does not exist"
    changed = call("set", "scout", "status=idle", "group=development", "tags=[1]", "owner=me")
    assert (changed["status"], changed["group"]) == ("idle", "development")
    assert changed["further"] == {"tags": [1], "owner": "me"}
    assert call("set", "scout", "tags=null", "owner=")["further"] == {"owner": ""}
    assert call("show", "scout")["path"] == str(workspace / "agents" / "scout")
    assert [row["id"] for row in call("list", "--group", "development")] == ["scout"]
    assert call("remove", "scout", status=4)["error"]["type"] == "RefusedError"
    assert call("remove", "scout", "--dry-run")["dryRun"] is True
    assert call("remove", "scout", "--yes")["agent"]["id"] == "scout"
    assert call("validate") == []
    changes = [row["changes"] for row in call("history")]
    assert changes == ["1 agents", "+scout", "~scout", "~scout", "-scout"]
    assert call("undo")["agents"] == 2
    assert call("undo", "1")["agents"] == 1
    assert call("show", "scuot", status=2)["error"]["type"] == "NotFoundError"


def test_people_are_told_in_words(holdfast: Runner, workspace: Path) -> None:
    found = holdfast("agents", "discover", cwd=workspace)
    assert "+ director-agent (production)" in found.stdout
    shown = holdfast("agents", "show", "director-agent", cwd=workspace)
    assert "description: Directs." in shown.stdout
    added = holdfast("agents", "add", "x", "--path", "nowhere", cwd=workspace)
    assert "its path does not exist" in added.stderr
    assert "All entries" not in holdfast("agents", "validate", cwd=workspace).stdout


@pytest.mark.parametrize("wrong", [["set", "x", "nothing"], ["add", "a b", "--path", "x"], ["add"]])
def test_wrong_usage_exits_2(holdfast: Runner, workspace: Path, wrong: list[str]) -> None:
    assert holdfast("agents", *wrong, cwd=workspace).returncode == 2


def test_a_torn_registry_exits_3_and_undo_is_the_way_out(holdfast: Runner, workspace: Path) -> None:
    holdfast("agents", "discover", cwd=workspace)
    path = workspace / "configs" / "agents" / "agent-registry.json"
    good = path.read_bytes()
    path.write_bytes(good[:40])
    torn = holdfast("agents", "list", "--json", cwd=workspace)
    error = json.loads(torn.stderr)["error"]
    assert torn.returncode == 3
    assert error["line"] is not None
    assert "holdfast agents undo" in error["hint"]
    assert path.read_bytes() == good[:40]
    assert holdfast("agents", "undo", cwd=workspace).returncode == 0
    assert path.read_bytes() == good
    kept = json.loads(holdfast("quarantine", "list", "--json", cwd=workspace).stdout)
    assert [entry["origin"] for entry in kept] == [str(path)]

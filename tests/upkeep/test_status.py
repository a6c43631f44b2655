"""The status: every store, what is unprotected, and what to do next, in whatever state."""

from pathlib import Path

import pytest

from holdfast.facade import Workspace, open_workspace
from holdfast.upkeep.status import Status, StoreStatus, workspace_status
from holdfast.workspace.creation import adopt, create


@pytest.fixture
def workspace(tmp_path: Path) -> Workspace:
    return open_workspace(create(tmp_path / "development", home=tmp_path).layout.root)


def store(status: Status, name: str) -> StoreStatus:
    return next(each for each in status.stores if each.name == name)


def test_a_new_workspace_is_healthy_and_unprotected(workspace: Workspace) -> None:
    status = workspace_status(workspace)
    assert status.healthy
    names = [each.name for each in status.stores]
    stores = ["agents", "servers", "workflows", "queues", "events", "logs", "backups"]
    assert names == stores
    assert store(status, "workflows").health == "absent"
    assert any("never been backed up" in each for each in status.unprotected)
    assert "holdfast backup create" in status.next
    assert "holdfast agents discover" in status.next


def test_what_the_stores_hold_is_counted(workspace: Workspace) -> None:
    workspace.registry.add("scout", path=workspace.layout.root)
    jobs = workspace.queue("jobs")
    jobs.put_many([1, 2, 3])
    jobs.ack(jobs.take()[0].receipt)
    workspace.logger("scout").info("Hello")
    status = workspace_status(workspace)
    assert store(status, "agents").holds == "1 agent"
    assert store(status, "queues").holds == "1 queue (2 waiting)"
    assert store(status, "logs").holds == "1 file"
    assert store(status, "logs").size > 0


def test_a_snapshot_protects_until_something_changes(workspace: Workspace) -> None:
    workspace.registry.add("scout", path=workspace.layout.root)
    workspace.snapshot()
    status = workspace_status(workspace)
    agents = store(status, "agents")
    assert agents.backed_up is not None
    assert agents.proven is not None
    assert agents.proven >= agents.backed_up
    assert store(status, "backups").holds == "1 snapshot"
    assert not any("agents" in each for each in status.unprotected)

    workspace.registry.update("scout", status="inactive")
    status = workspace_status(workspace)
    assert any("agents" in each for each in status.unprotected)
    assert "holdfast backup create" in status.next


@pytest.mark.parametrize("content", [b"", b'{"agentRegistry": {', b"\0" * 30, b"[1]"])
def test_an_unreadable_store_is_reported_and_left_alone(
    workspace: Workspace, content: bytes
) -> None:
    workspace.registry.add("scout", path=workspace.layout.root)
    workspace.layout.agent_registry.write_bytes(content)
    status = workspace_status(workspace)
    assert not status.healthy
    assert store(status, "agents").health == "unreadable"
    assert "agent-registry.json" in str(store(status, "agents").problem)
    assert "holdfast agents undo" in status.next
    assert workspace.layout.agent_registry.read_bytes() == content


def test_a_database_that_is_none_is_reported(workspace: Workspace) -> None:
    workspace.layout.database.write_bytes(b"this is not a database" * 100)
    status = workspace_status(workspace)
    assert store(status, "workflows").health == "unreadable"
    assert workspace.layout.database.read_bytes().startswith(b"this is not")


def test_a_damaged_vault_is_reported(workspace: Workspace) -> None:
    workspace.snapshot()
    snapshot = next((workspace.settings.backups / "snapshots").glob("*.jsonl.zst"))
    snapshot.write_bytes(b"damaged")
    status = workspace_status(workspace)
    assert store(status, "backups").health == "unreadable"
    assert not status.healthy


def test_files_of_the_home_are_named_as_unprotected(workspace: Workspace) -> None:
    (workspace.layout.home / ".claude.json").write_text("{}", encoding="utf-8")
    assert any(".claude.json" in each for each in workspace_status(workspace).unprotected)
    workspace.snapshot()
    assert not any(".claude.json" in each for each in workspace_status(workspace).unprotected)
    (workspace.layout.home / ".claude.json").write_text('{"a": 1}', encoding="utf-8")
    assert any(".claude.json" in each for each in workspace_status(workspace).unprotected)


def test_an_adopted_folder_is_told_what_it_lacks(tmp_path: Path) -> None:
    (tmp_path / "development/agents").mkdir(parents=True)
    workspace = open_workspace(adopt(tmp_path / "development", home=tmp_path).layout.root)
    status = workspace_status(workspace)
    assert f"holdfast init {workspace.layout.root}" in status.next
    assert store(status, "agents").health == "absent"
    assert status.healthy


def test_looking_changes_nothing(workspace: Workspace) -> None:
    workspace.queue("jobs").put(1)
    before = {path: path.stat().st_mtime_ns for path in workspace.layout.configs.rglob("*")}
    workspace_status(workspace)
    after = {path: path.stat().st_mtime_ns for path in workspace.layout.configs.rglob("*")}
    assert after == before

"""The servers come back from the newest version that is not poorer, and from nothing else."""

import json
import os
from pathlib import Path
from typing import Any

import pytest

from holdfast.errors import NotFoundError
from holdfast.facade import Workspace, open_workspace
from holdfast.registry.clients.watching import look
from holdfast.services.putting_back import put_back, versions_of
from holdfast.workspace.creation import create
from tests.conftest import Runner

SECRET = "s3cret-Value-1234567"
FULL: dict[str, Any] = {
    "a": {"command": "a", "env": {"API_TOKEN": SECRET}},
    "b": {"command": "b"},
}
FIRST_RUN = b'{\n  "firstStartTime": "2026-11-25T15:13:41.111Z",\n  "migrationVersion": 15\n}'


@pytest.fixture
def workspace(tmp_path: Path) -> Workspace:
    layout = create(tmp_path / "home" / "development", home=tmp_path / "home").layout
    return open_workspace(layout.root)


@pytest.fixture
def path(workspace: Workspace) -> Path:
    return workspace.layout.home / ".claude.json"


def write(path: Path, servers: dict[str, Any], **more: Any) -> bytes:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps({**more, "mcpServers": servers}, indent=2), encoding="utf-8")
    return path.read_bytes()


def servers(path: Path) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(path.read_bytes())["mcpServers"]
    return found


def test_what_is_missing_is_added_and_the_rest_stays(workspace: Workspace, path: Path) -> None:
    write(path, FULL, projects={"/x": {"mcpServers": {"c": {"command": "c"}}}})
    look(workspace.layout)
    write(path, {"new": {"command": "n"}, "a": {"command": "changed"}}, other=[1, 2])
    look(workspace.layout)
    plan = put_back(workspace, path, dry_run=True)
    assert [each.keys for each in plan.differences] == [
        ("mcpServers", "b"),
        ("projects", "/x", "mcpServers", "c"),
    ]
    done = put_back(workspace, path)
    assert done.differences == plan.differences
    assert done.former is not None
    assert list(servers(path)) == ["new", "a", "b"]
    assert servers(path)["a"] == {"command": "changed"}
    assert json.loads(path.read_bytes())["other"] == [1, 2]
    assert look(workspace.layout) == []
    assert put_back(workspace, path).differences == []


def test_a_torn_file_is_replaced_by_the_newest_that_parses(
    workspace: Workspace, path: Path
) -> None:
    whole = write(path, FULL)
    look(workspace.layout)
    path.write_bytes(whole[:50])
    assert look(workspace.layout)
    done = put_back(workspace, path)
    assert done.whole
    assert SECRET not in repr(done)
    assert path.read_bytes() == whole
    path.unlink()
    assert put_back(workspace, path).whole
    assert path.read_bytes() == whole


def test_the_clients_first_run_file_is_no_way_back(workspace: Workspace, path: Path) -> None:
    """The client itself proposes this 84-byte file as the backup of all."""
    backups = workspace.layout.home / ".claude" / "backups"
    write(backups / ".claude.json.backup.1", FULL)
    os.utime(backups / ".claude.json.backup.1", (1e9, 1e9))
    (backups / ".claude.json.backup.2").write_bytes(FIRST_RUN)
    (backups / ".claude.json.corrupted.3").write_bytes(b'{"mcpServers": {"a"')
    path.write_bytes(b"")
    assert [each.source for each in versions_of(workspace, path)] == [
        ".claude.json.backup.2",
        ".claude.json.backup.1",
    ]
    assert put_back(workspace, path).source == ".claude.json.backup.1"
    assert servers(path) == FULL
    with pytest.raises(NotFoundError, match=r"backup\.9"):
        put_back(workspace, path, source=".claude.json.backup.9")


def test_a_snapshot_is_a_way_back(workspace: Workspace, path: Path) -> None:
    write(path, FULL)
    project = workspace.layout.root / ".mcp.json"
    write(project, FULL)
    workspace.snapshot()
    for each in (path, project):
        each.write_bytes(b"\0\0\0")
        done = put_back(workspace, each)
        assert done.source.startswith("snapshot-")
        assert servers(each) == FULL


def test_nothing_is_known(workspace: Workspace, path: Path) -> None:
    path.write_bytes(b"")
    with pytest.raises(NotFoundError, match="no former version"):
        put_back(workspace, path)
    with pytest.raises(NotFoundError, match="no client's file"):
        put_back(workspace, path.with_name("other.json"))


def test_the_commands(workspace: Workspace, path: Path, holdfast: Runner) -> None:
    root = workspace.layout.root
    write(path, FULL)
    assert holdfast("servers", "watch", "--once", cwd=root).returncode == 0
    write(path, {})
    done = holdfast("servers", "watch", "--json", cwd=root)
    assert done.returncode == 1
    assert json.loads(done.stdout)[0]["servers"] == ["a", "b"]
    assert holdfast("servers", "put-back", path, cwd=root).returncode == 4
    listed = holdfast("servers", "put-back", path, "--list", "--json", cwd=root)
    assert [each["servers"] for each in json.loads(listed.stdout)] == [2]
    done = holdfast("servers", "put-back", path, "--yes", cwd=root)
    assert done.returncode == 0, done.stderr
    assert "+ mcpServers.b" in done.stdout
    assert SECRET not in done.stdout + done.stderr
    assert servers(path) == FULL
    assert holdfast("servers", "watch", "--once", cwd=root).returncode == 0

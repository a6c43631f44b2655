"""Sync writes what is registered and touches nothing else."""

import json
import sys
from pathlib import Path
from typing import Any

import pytest

from holdfast.claude.guest_file import GuestFile, Put
from holdfast.errors import UnreadableError, UsageError
from holdfast.facade import Workspace
from holdfast.registry.clients.syncing import former_versions, sync_servers, vanished
from tests.conftest import Runner
from tests.registry.clients.conftest import CLAUDE_JSON


def sync(workspace: Workspace, *arguments: Any, **options: Any) -> Any:
    return sync_servers(workspace.servers, workspace.layout, *arguments, **options)


def test_a_sync_adds_what_is_registered(workspace: Workspace, user_config: Path) -> None:
    workspace.servers.add("util", command="python", args=["-m", "u"])
    planned = sync(workspace, dry_run=True)
    assert user_config.read_bytes() == CLAUDE_JSON
    report = sync(workspace)
    assert [each.differences for each in report.files] == [
        each.differences for each in planned.files
    ]
    [file] = report.files
    assert [(each.keys, each.kind) for each in file.differences] == [
        (("mcpServers", "util"), "added")
    ]
    data = json.loads(user_config.read_bytes())
    assert list(data) == ["machineID", "mcpServers", "oauthAccount"]
    assert list(data["mcpServers"]) == ["mine", "util"]
    assert b'"oauthAccount": {"accountUuid": "u", "x": [1.0, 2]}' in user_config.read_bytes()
    [version] = former_versions(workspace.layout, user_config).list()
    assert version.number == file.former_version
    assert version.read() == CLAUDE_JSON
    assert not sync(workspace).files[0].differences
    for name in ("claude-code-updated.json", "claude-desktop-updated.json"):
        generated = workspace.layout.server_registry.with_name(name)
        assert list(json.loads(generated.read_bytes())["mcpServers"]) == ["util"]


def test_the_round_trip_leaves_the_same_bytes(workspace: Workspace, user_config: Path) -> None:
    workspace.servers.add("util", command="python")
    sync(workspace)
    workspace.servers.remove("util")
    sync(workspace)
    assert user_config.read_bytes() == CLAUDE_JSON


def test_what_somebody_changed_since_stays(workspace: Workspace, user_config: Path) -> None:
    workspace.servers.add("util", command="python")
    sync(workspace)
    GuestFile(user_config, lock="folder").edit([Put(("mcpServers", "util", "timeout"), 5)])
    workspace.servers.update("util", command="python3")
    sync(workspace)
    present = json.loads(user_config.read_bytes())["mcpServers"]["util"]
    assert present == {
        "type": "stdio",
        "command": "python3",
        "args": [],
        "env": {},
        "timeout": 5,
    }
    workspace.servers.remove("util")
    [file] = sync(workspace).files
    assert "util" in json.loads(user_config.read_bytes())["mcpServers"]
    assert "changed since" in file.notes[0]


def test_each_client_gets_what_it_may_see(workspace: Workspace, user_config: Path) -> None:
    layout = workspace.layout
    (layout.servers / "u").mkdir(parents=True)
    (layout.servers / "u" / "server.py").touch()
    workspace.servers.add("code-only", command="x", clients=["code"])
    workspace.servers.add("both", command="python", args=["mcp-servers/u/server.py", "--x"])
    workspace.servers.add("web", url="http://127.0.0.1/mcp")
    workspace.servers.add("off", command="x", status="inactive")
    report = sync(workspace, "desktop")
    [file] = report.files
    written = json.loads(Path(file.path).read_bytes())["mcpServers"]
    program = str(layout.servers / "u" / "server.py")
    assert written == {"both": {"command": "python", "args": [program, "--x"], "env": {}}}
    assert "web" in file.notes[0]
    sync(workspace, "code")
    assert set(json.loads(user_config.read_bytes())["mcpServers"]) == {
        "mine",
        "code-only",
        "both",
        "web",
    }
    with pytest.raises(UsageError):
        sync(workspace, "emacs")


def test_the_other_scopes(workspace: Workspace, user_config: Path) -> None:
    workspace.servers.add("util", command="python")
    root = workspace.layout.root
    sync(workspace, "code", scope="project")
    assert list(json.loads((root / ".mcp.json").read_bytes())["mcpServers"]) == ["util"]
    sync(workspace, "code", scope="local")
    [project] = json.loads(user_config.read_bytes())["projects"]
    assert Path(project) == root
    assert not sync(workspace, "code", scope="local").files[0].differences


def test_nothing_is_written_when_a_file_cannot_be_read(
    workspace: Workspace, user_config: Path
) -> None:
    workspace.servers.add("util", command="python")
    desktop = workspace.layout.home / ".config" / "Claude" / "claude_desktop_config.json"
    if sys.platform == "win32":
        desktop = workspace.layout.home / "AppData/Roaming/Claude/claude_desktop_config.json"
    elif sys.platform == "darwin":
        pytest.skip("the place is another one")
    desktop.parent.mkdir(parents=True)
    desktop.write_bytes(b'{"mcpServers": {')
    with pytest.raises(UnreadableError):
        sync(workspace)
    assert user_config.read_bytes() == CLAUDE_JSON


def test_what_was_overwritten_is_noticed_and_put_back(workspace: Workspace) -> None:
    path = workspace.layout.root / ".mcp.json"
    workspace.servers.add("util", command="python")
    sync(workspace, "code", scope="project")
    path.write_text('{"mcpServers": {"other": {"command": "x"}}}', encoding="utf-8")
    assert vanished(workspace.layout) == {path: ["util"]}
    sync(workspace, "code", scope="project")
    assert list(json.loads(path.read_bytes())["mcpServers"]) == ["other", "util"]
    assert vanished(workspace.layout) == {}


def test_the_command_masks_secrets(
    workspace: Workspace, user_config: Path, holdfast: Runner
) -> None:
    secret = "s3cret-Value-1234567"
    root = workspace.layout.root
    settings = ["--env", f"API_TOKEN={secret}", "--", "x", "--token", secret]
    done = holdfast("servers", "add", "s", *settings, cwd=root)
    assert done.returncode == 0, done.stderr
    outputs = [
        done,
        holdfast("servers", "list", cwd=root),
        holdfast("servers", "show", "s", "--json", cwd=root),
        holdfast("servers", "sync", "--dry-run", cwd=root),
        holdfast("servers", "sync", "--json", cwd=root),
        holdfast("servers", "import", cwd=root),
    ]
    for each in outputs:
        assert each.returncode == 0, each.stderr
        assert secret not in each.stdout + each.stderr
    assert "literal secret" in done.stderr
    assert secret in user_config.read_text(encoding="utf-8")

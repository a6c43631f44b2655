"""A client's file that was torn, emptied or robbed of servers is noticed, once and for all."""

import json
from pathlib import Path
from typing import Any

import pytest

from holdfast.facade import Workspace
from holdfast.registry.clients.syncing import former_versions
from holdfast.registry.clients.watching import Alarm, look
from tests.registry.clients.conftest import CLAUDE_JSON


def write(path: Path, servers: dict[str, Any], **more: Any) -> None:
    path.write_text(json.dumps({**more, "mcpServers": servers}, indent=2), encoding="utf-8")


def only(workspace: Workspace) -> Alarm:
    [alarm] = look(workspace.layout)
    return alarm


def test_nothing_is_wrong_with_what_is_seen_first(workspace: Workspace, user_config: Path) -> None:
    assert look(workspace.layout) == []
    write(user_config, {"mine": {}, "more": {}})
    assert look(workspace.layout) == []
    assert len(former_versions(workspace.layout, user_config).list()) == 2


def test_lost_servers_are_told_until_they_are_back(workspace: Workspace, user_config: Path) -> None:
    write(user_config, {"a": {}, "b": {}}, projects={"/x": {"mcpServers": {"c": {}}}})
    assert look(workspace.layout) == []
    write(user_config, {"a": {}, "new": {}})
    for _ in range(2):
        alarm = only(workspace)
        assert (alarm.kind, alarm.servers) == ("lost", ["b", "c"])
    write(user_config, {"a": {}, "b": {}}, projects={"/x": {"mcpServers": {"c": {}}}})
    assert only(workspace).servers == ["new"], "what was seen meanwhile counts as well"
    assert look(workspace.layout, accept=True) == []
    assert look(workspace.layout) == []


@pytest.mark.parametrize(
    "content", [b"", CLAUDE_JSON[:90], b"\0" * 300, b'{"mcpServers": []}', CLAUDE_JSON + b"}"]
)
def test_a_torn_file_is_kept_aside(workspace: Workspace, user_config: Path, content: bytes) -> None:
    assert look(workspace.layout) == []
    user_config.write_bytes(content)
    alarm = only(workspace)
    assert alarm.kind == "torn"
    assert alarm.kept is not None
    assert Path(alarm.kept).read_bytes() == content
    assert only(workspace) == alarm
    assert user_config.read_bytes() == content
    user_config.write_bytes(CLAUDE_JSON)
    assert look(workspace.layout) == []


def test_a_file_that_is_gone_or_reset(workspace: Workspace, user_config: Path) -> None:
    big = {"history": ["x" * 100] * 100}
    write(user_config, {"a": {}}, projects=big)
    assert look(workspace.layout) == []
    write(user_config, {"a": {}})
    assert only(workspace).kind == "shrunk"
    user_config.unlink()
    assert only(workspace).kind == "gone"
    assert look(workspace.layout, accept=True) == []
    assert look(workspace.layout) == []


def test_the_project_file_too(workspace: Workspace) -> None:
    path = workspace.layout.root / ".mcp.json"
    write(path, {"a": {}})
    assert look(workspace.layout) == []
    write(path, {})
    alarm = only(workspace)
    assert (alarm.path, alarm.servers) == (str(path), ["a"])


def test_poorer_versions_do_not_crowd_out_the_whole_one(
    workspace: Workspace, user_config: Path
) -> None:
    write(user_config, {"a": {}, "b": {}})
    whole = user_config.read_bytes()
    assert look(workspace.layout) == []
    for number in range(40):
        write(user_config, {"a": {}}, started=number)
        assert only(workspace).servers == ["b"]
    assert [each.read() for each in former_versions(workspace.layout, user_config).list()] == [
        whole
    ]

"""Import takes what the clients know, in the order of their scopes, and loses nothing."""

import json
from pathlib import Path
from typing import Any

import pytest

from holdfast.errors import NotFoundError, UnreadableError
from holdfast.facade import Workspace
from holdfast.registry.clients.importing import import_servers


def take(workspace: Workspace, source: str | None = None, **options: Any) -> Any:
    return import_servers(workspace.servers, workspace.layout, source, **options)


def test_all_three_scopes(workspace: Workspace, user_config: Path) -> None:
    layout = workspace.layout
    data = json.loads(user_config.read_bytes())
    data["mcpServers"]["both"] = {"command": "user"}
    data["projects"] = {
        str(layout.root): {"mcpServers": {"both": {"command": "local"}, "l": {"command": "l"}}},
        "/somewhere/else": {"mcpServers": {"foreign": {"command": "f"}}},
        str(layout.home): {"allowedTools": []},
    }
    user_config.write_text(json.dumps(data), encoding="utf-8")
    (layout.root / ".mcp.json").write_text(
        '{"mcpServers": {"both": {"command": "project"}, "p": {"type": "sse", "url": "http://x"}}}',
        encoding="utf-8",
    )
    assert take(workspace, dry_run=True).added == ["both", "l", "p", "mine"]
    assert workspace.servers.list() == []
    report = take(workspace, "code")
    assert report.added == ["both", "l", "p", "mine"]
    assert workspace.servers.get("both").settings["command"] == "local"
    assert workspace.servers.get("p").type == "sse"
    again = take(workspace)
    assert again.unchanged == ["both", "l", "p", "mine"]
    assert len(workspace.servers.generations()) == 2, "that of init, and one import"


def test_what_is_registered_otherwise_stays_unless_replaced(
    workspace: Workspace, user_config: Path
) -> None:
    workspace.servers.add("mine", command="other", description="Kept.", clients=["code"])
    assert take(workspace).different == ["mine"]
    assert workspace.servers.get("mine").settings["command"] == "other"
    assert take(workspace, replace=True).replaced == ["mine"]
    server = workspace.servers.get("mine")
    assert (server.settings["command"], server.description) == ("echo", "Kept.")
    assert server.clients == ["code"]


def test_a_file_and_what_is_wrong_in_it(workspace: Workspace, tmp_path: Path) -> None:
    path = tmp_path / "some.json"
    path.write_text(
        json.dumps(
            {
                "mcpServers": {
                    "bad name": {"command": "x"},
                    "text": "x",
                    "args": {"command": "x", "args": "y"},
                    "good": {"command": "x", "env": {"API_KEY": "0123456789abcdef"}, "more": 1},
                }
            }
        ),
        encoding="utf-8",
    )
    report = take(workspace, str(path))
    assert report.added == ["good"]
    assert len(report.notes) == 4
    assert "literal secret" in report.notes[-1]
    assert "0123456789abcdef" not in repr(report)
    assert workspace.servers.get("good").settings["more"] == 1
    with pytest.raises(NotFoundError):
        take(workspace, str(tmp_path / "nothing.json"))


@pytest.mark.parametrize(
    "content",
    [b"", b"{", b'{"mcpServers": []}', b'{"mcpServers": {"a": {}, "a": {}}}', b"\0\0"],
)
def test_an_unreadable_file_is_an_error(
    workspace: Workspace, user_config: Path, content: bytes
) -> None:
    user_config.write_bytes(content)
    with pytest.raises(UnreadableError) as caught:
        take(workspace)
    assert caught.value.path == user_config
    assert user_config.read_bytes() == content

"""A workspace in a home of its own, with the files of both clients."""

from pathlib import Path

import pytest

from holdfast.facade import Workspace, open_workspace
from holdfast.workspace.creation import create

CLAUDE_JSON = b"""{
  "machineID": "abc",
  "mcpServers": {
    "mine": {
      "type": "stdio",
      "command": "echo",
      "args": [],
      "env": {}
    }
  },
  "oauthAccount": {"accountUuid": "u", "x": [1.0, 2]}
}"""


@pytest.fixture
def workspace(tmp_path: Path) -> Workspace:
    layout = create(tmp_path / "home" / "development", home=tmp_path / "home").layout
    return open_workspace(layout.root)


@pytest.fixture
def user_config(workspace: Workspace) -> Path:
    path = workspace.layout.home / ".claude.json"
    path.write_bytes(CLAUDE_JSON)
    return path

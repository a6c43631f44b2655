"""The example server of Node after a full recovery: its packages are installed, and it answers."""

import os
import shutil
from pathlib import Path

import pytest

from holdfast.facade import open_workspace
from holdfast.services.verification import verify_servers
from holdfast.workspace.creation import create
from tests.clients import node, npm
from tests.conftest import Runner


@pytest.mark.slow
def test_npm_install_is_part_of_a_recovery(tmp_path: Path, holdfast: Runner) -> None:
    root = create(tmp_path / "development", home=tmp_path, examples=True).layout.root
    (root / "requirements.txt").unlink()  # pip is tried in test_recover
    server = root / "mcp-servers" / "financial"
    # Says whether npm can get the packages here, and fills its cache.
    shutil.copytree(server, tmp_path / "first")
    npm("install", "--no-audit", "--no-fund", cwd=tmp_path / "first")
    path = os.pathsep.join([str(Path(node()).parent), os.environ["PATH"]])

    activated = holdfast("servers", "set", "financial", "status=active", cwd=root)
    assert activated.returncode == 0, activated.stderr
    assert holdfast("backup", "create", cwd=root).returncode == 0
    shutil.rmtree(root / "mcp-servers")
    done = holdfast("recover", "--yes", cwd=root, env={"PATH": path})
    assert done.returncode == 0, done.stdout + done.stderr
    assert (server / "node_modules/@modelcontextprotocol/server/package.json").is_file()
    workspace = open_workspace(root)
    workspace.servers.update("financial", command=node())
    [found] = verify_servers(workspace, ["financial"])
    assert found.healthy, found
    assert found.tools == 9

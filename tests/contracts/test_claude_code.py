"""What Holdfast and the real Claude Code client write, the other one reads; nothing is lost."""

import json
import os
import re
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path

import pytest

from holdfast.facade import Workspace, open_workspace
from holdfast.registry.clients.importing import import_servers
from holdfast.registry.clients.syncing import sync_servers, vanished
from holdfast.registry.clients.watching import look
from holdfast.workspace.creation import create
from tests.conftest import child_environment

pytestmark = pytest.mark.slow

Claude = Callable[..., "subprocess.Popen[str]"]

# A server that both eras of clients understand, without the second that the SDK's import takes.
SERVER = """
import json, sys
for line in sys.stdin:
    message = json.loads(line)
    answers = {
        "initialize": {"protocolVersion": "2025-06-18", "capabilities": {"tools": {}},
                       "serverInfo": {"name": "small", "version": "1"}},
        "tools/list": {"tools": []},
        "ping": {},
    }
    if "id" in message:
        answer = answers.get(message["method"])
        body = {"error": {"code": -32601, "message": "unknown"}} if answer is None else {
            "result": answer}
        print(json.dumps({"jsonrpc": "2.0", "id": message["id"], **body}), flush=True)
"""
# Many processes of ours: each puts one server into the file, by the same path as sync does.
WRITER = """
import sys
from pathlib import Path
from holdfast.claude.guest_file import GuestFile, Put
path, name, lock = Path(sys.argv[1]), sys.argv[2], sys.argv[3]
print("ready", flush=True)
sys.stdin.readline()
GuestFile(path, lock=lock).edit([Put(("mcpServers", name), {"command": "ours", "args": []})])
"""


@pytest.fixture
def workspace(tmp_path: Path) -> Workspace:
    layout = create(tmp_path / "home" / "development", home=tmp_path / "home").layout
    (layout.servers / "small.py").write_text(SERVER, encoding="utf-8")
    return open_workspace(layout.root)


@pytest.fixture
def claude(workspace: Workspace, claude_program: Path) -> Claude:
    """Start the client in a home of its own: ``claude("mcp", "list")``."""
    home = workspace.layout.home
    environment = {
        **{key: value for key, value in os.environ.items() if not key.startswith("CLAUDE")},
        "HOME": str(home),
        "USERPROFILE": str(home),
        "DISABLE_AUTOUPDATER": "1",
        "CLAUDE_CODE_DISABLE_NONESSENTIAL_TRAFFIC": "1",
        "DISABLE_TELEMETRY": "1",
        "MCP_TIMEOUT": "60000",
    }

    def start(*arguments: str, cwd: Path | None = None) -> "subprocess.Popen[str]":
        return subprocess.Popen(
            [str(claude_program), *arguments],
            cwd=cwd or workspace.layout.root,
            env=environment,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            encoding="utf-8",
        )

    return start


def output(process: "subprocess.Popen[str]") -> str:
    text, _ = process.communicate(timeout=200)
    assert process.returncode == 0, text
    return text


def start_writers(
    path: Path, names: Sequence[str], lock: str = "folder"
) -> "list[subprocess.Popen[str]]":
    """Processes of ours that are ready and wait for the word."""
    writers = [
        subprocess.Popen(
            [sys.executable, "-c", WRITER, str(path), name, lock],
            env=child_environment(),
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        for name in names
    ]
    for writer in writers:
        assert writer.stdout is not None
        writer.stdout.readline()
    return writers


def servers_in(path: Path) -> set[str]:
    return set(json.loads(path.read_bytes())["mcpServers"])


def test_what_we_sync_the_client_connects_to(workspace: Workspace, claude: Claude) -> None:
    workspace.servers.add("small", command=sys.executable, args=["mcp-servers/small.py"])
    workspace.servers.add("quits", command=sys.executable, args=["-c", "import no_such_thing_x"])
    sync_servers(workspace.servers, workspace.layout, "code")
    elsewhere = workspace.layout.home / "elsewhere"
    elsewhere.mkdir()
    listed = output(claude("mcp", "list", cwd=elsewhere))
    assert re.search(r"^small: .*Connected", listed, re.MULTILINE), listed
    assert re.search(r"^quits: .*Failed", listed, re.MULTILINE), listed
    got = output(claude("mcp", "get", "small", cwd=elsewhere))
    assert "User config" in got, got


def test_what_the_client_adds_we_import(workspace: Workspace, claude: Claude) -> None:
    root = workspace.layout.root
    for scope, name in (("user", "u"), ("local", "l"), ("project", "p")):
        variable = ["-e", "LEVEL=${LEVEL:-1}"]
        output(claude("mcp", "add", "-s", scope, name, *variable, "--", "echo", name))
    output(claude("mcp", "add", "-t", "http", "-s", "user", "web", "http://127.0.0.1:9/mcp"))
    report = import_servers(workspace.servers, workspace.layout, "code")
    assert sorted(report.added) == ["l", "p", "u", "web"]
    assert report.notes == []
    assert workspace.servers.get("l").settings == {
        "type": "stdio",
        "command": "echo",
        "args": ["l"],
        "env": {"LEVEL": "${LEVEL:-1}"},
    }
    user = workspace.layout.home / ".claude.json"
    before = user.read_bytes()
    for name in ("l", "p"):
        workspace.servers.remove(name)
    report_of_sync = sync_servers(workspace.servers, workspace.layout, "code")
    assert report_of_sync.files[0].differences == []
    assert user.read_bytes() == before, "what the client wrote is what we would write"
    assert servers_in(root / ".mcp.json") == {"p"}


def test_sixteen_writers_at_once_lose_nothing(workspace: Workspace, claude: Claude) -> None:
    output(claude("mcp", "add", "-s", "user", "first", "--", "echo"))
    path = workspace.layout.home / ".claude.json"
    facts = json.loads(path.read_bytes())
    ours = [f"ours{number}" for number in range(8)]
    theirs = [f"theirs{number}" for number in range(8)]
    writers = start_writers(path, ours)
    clients = [claude("mcp", "add", "-s", "user", name, "--", "echo") for name in theirs]
    for writer in writers:
        time.sleep(0.05)
        assert writer.stdin is not None
        writer.stdin.write("go\n")
        writer.stdin.flush()
    for client in clients:
        output(client)
    for writer in writers:
        writer.communicate(timeout=100)
        assert writer.returncode == 0
    after = json.loads(path.read_bytes())
    assert set(after["mcpServers"]) == {"first", *ours, *theirs}
    assert after["machineID"] == facts["machineID"]
    assert not path.with_name(".claude.json.lock").exists()


def test_what_the_client_overwrites_in_a_project_is_noticed_and_put_back(
    workspace: Workspace, claude: Claude
) -> None:
    """The client takes no lock for ``.mcp.json``: it may lose its own entries, and ours."""
    layout = workspace.layout
    path = layout.root / ".mcp.json"
    ours = [f"ours{number}" for number in range(8)]
    workspace.servers.add_many({name: {"command": "ours", "args": []} for name in ours})
    clients = [
        claude("mcp", "add", "-s", "project", f"theirs{number}", "--", "echo")
        for number in range(8)
    ]
    sync_servers(workspace.servers, layout, "code", scope="project")
    look(layout)
    for client in clients:
        output(client)
    # However that ended, and also if it ended well this time: a client that knew the file before.
    before = json.loads(path.read_bytes())
    kept = {name: each for name, each in before["mcpServers"].items() if name not in ours[:3]}
    path.write_text(json.dumps({"mcpServers": kept}, indent=2), encoding="utf-8")
    assert set(vanished(layout)[path]) >= set(ours[:3])
    [alarm] = look(layout)
    assert set(alarm.servers) >= set(ours[:3])
    sync_servers(workspace.servers, layout, "code", scope="project")
    assert servers_in(path) >= {*ours, *kept}
    assert vanished(layout) == {}

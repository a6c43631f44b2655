"""The server's place in the clients' files, and the real clients that start it from there."""

import json
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from holdfast.claude.places import claude_places
from holdfast.facade import Workspace
from tests.conftest import Runner, child_environment

BEFORE = (
    '{\n  "firstStartTime": "x",\n  "mcpServers": {"other": {"command": "echo"}},\n  "z": [1]\n}'
)


@pytest.fixture
def code(home: Path) -> Path:
    path = home / ".claude.json"
    path.write_text(BEFORE, encoding="utf-8")
    return path


@pytest.fixture
def desktop(home: Path) -> Path:
    path = claude_places(home, environment={}).desktop_configs()[0]
    path.parent.mkdir(parents=True)
    path.write_text('{"preferences": {"a": 1}}', encoding="utf-8")
    return path


def servers(path: Path) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(path.read_bytes()).get("mcpServers", {})
    return found


def test_it_is_put_in_taken_out_and_undone(
    holdfast: Runner, workspace: Workspace, code: Path, desktop: Path
) -> None:
    root = workspace.layout.root
    kept = code.read_bytes(), desktop.read_bytes()
    none = holdfast("mcp", "status", "-w", root)
    assert none.returncode == 1

    looked = holdfast("mcp", "install", "--dry-run", "-w", root)
    assert looked.returncode == 0, looked.stderr
    assert "+ mcpServers.holdfast" in looked.stdout
    assert "nothing was written" in looked.stdout
    assert (code.read_bytes(), desktop.read_bytes()) == kept

    done = holdfast("mcp", "install", "-w", root, "--json")
    assert done.returncode == 0, done.stderr
    assert [each["changed"] for each in json.loads(done.stdout)["files"]] == [True, True]
    entry = servers(code)["holdfast"]
    assert entry == {
        "type": "stdio",
        "command": sys.executable,
        "args": ["-P", "-m", "holdfast", "mcp", "--workspace", str(root)],
        "env": {},
    }
    assert servers(desktop)["holdfast"]["args"] == entry["args"]
    assert list(json.loads(code.read_bytes())) == ["firstStartTime", "mcpServers", "z"]
    again = holdfast("mcp", "install", "-w", root)
    assert again.stdout.count("up to date") == 2
    listed = holdfast("mcp", "status", "-w", root, "--json")
    assert listed.returncode == 0
    assert {each["client"] for each in json.loads(listed.stdout) if each["installed"]} == {
        "code",
        "desktop",
    }

    gone = holdfast("mcp", "uninstall", "--client", "desktop", "-w", root)
    assert gone.returncode == 0, gone.stderr
    assert "- mcpServers.holdfast" in gone.stdout
    assert servers(desktop) == {}
    assert "holdfast" in servers(code)
    for _ in range(2):  # the uninstall, then the install
        undone = holdfast("undo", "--yes", "-w", root)
        assert undone.returncode == 0, undone.stderr
    assert code.read_bytes() == kept[0]


def test_another_server_of_that_name_is_left_alone(
    holdfast: Runner, workspace: Workspace, code: Path, desktop: Path
) -> None:
    root = workspace.layout.root
    content = '{"mcpServers": {"holdfast": {"command": "mine", "args": []}}}'
    desktop.write_text(content, encoding="utf-8")
    refused = holdfast("mcp", "install", "-w", root)
    assert refused.returncode == 1
    assert "--name" in refused.stderr
    assert servers(code) == {"other": {"command": "echo"}}
    named = holdfast("mcp", "install", "--name", "keeper", "-w", root)
    assert named.returncode == 0, named.stderr
    assert set(servers(desktop)) == {"holdfast", "keeper"}
    taken = holdfast("mcp", "uninstall", "-w", root)
    assert "in no client's file" in taken.stdout
    assert desktop.read_text(encoding="utf-8") != content  # keeper is still there


def test_a_torn_file_stays_as_it_is(holdfast: Runner, workspace: Workspace, code: Path) -> None:
    code.write_bytes(b'{"mcpServers": {')
    torn = holdfast("mcp", "install", "--client", "code", "-w", workspace.layout.root)
    assert torn.returncode == 3
    assert code.read_bytes() == b'{"mcpServers": {'
    listed = holdfast("mcp", "status", "-w", workspace.layout.root)
    assert listed.returncode in (1, 3)


@pytest.mark.slow
def test_the_real_claude_code_connects(
    holdfast: Runner, workspace: Workspace, home: Path, claude_program: Path
) -> None:
    done = holdfast("mcp", "install", "--client", "code", "-w", workspace.layout.root)
    assert done.returncode == 0, done.stderr
    environment = {
        **{k: v for k, v in child_environment().items() if not k.startswith("CLAUDE")},
        "HOME": str(home),
        "USERPROFILE": str(home),
        "DISABLE_AUTOUPDATER": "1",
        "CLAUDE_CODE_DISABLE_NONESSENTIAL_TRAFFIC": "1",
        "DISABLE_TELEMETRY": "1",
        "MCP_TIMEOUT": "60000",
    }
    listed = subprocess.run(
        [str(claude_program), "mcp", "list"],
        cwd=home,
        env=environment,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        encoding="utf-8",
        timeout=200,
        check=False,
    )
    assert re.search(r"^holdfast: .*Connected", listed.stdout, re.MULTILINE), listed


@pytest.mark.slow
def test_the_real_inspector_lists_and_calls_the_tools(
    holdfast: Runner, workspace: Workspace, home: Path, inspector_command: list[str]
) -> None:
    done = holdfast("mcp", "install", "--client", "code", "-w", workspace.layout.root)
    assert done.returncode == 0, done.stderr
    # The Inspector gives a server no environment, and this source need not be installed.
    path = home / ".claude.json"
    content = json.loads(path.read_bytes())
    content["mcpServers"]["holdfast"]["env"]["PYTHONPATH"] = child_environment()["PYTHONPATH"]
    path.write_text(json.dumps(content), encoding="utf-8")

    def inspect(*arguments: str) -> Any:
        config = ["--cli", "--config", str(path), "--server", "holdfast"]
        done = subprocess.run(
            [*inspector_command, *config, *arguments],
            env={**child_environment(), "HOME": str(home), "USERPROFILE": str(home)},
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            encoding="utf-8",
            timeout=120,
            check=False,
        )
        assert done.returncode == 0, done.stdout + done.stderr
        return json.loads(done.stdout)

    tools = {each["name"]: each for each in inspect("--method", "tools/list")["tools"]}
    assert tools["status"]["annotations"]["readOnlyHint"] is True
    assert tools["restore"]["annotations"]["destructiveHint"] is True
    called = inspect("--method", "tools/call", "--tool-name", "agents_list")
    assert not called.get("isError")


def test_the_servers_help_imports_nothing_heavy(run_python: Any) -> None:
    code = (
        "import sys; sys.argv = ['holdfast', 'mcp', '--help']\n"
        "from holdfast.cli.main import main\n"
        "try: main()\n"
        "except SystemExit: pass\n"
        "print(sorted({'mcp', 'pydantic', 'anyio', 'asyncio'} & set(sys.modules)))"
    )
    done = run_python(code)
    assert done.returncode == 0, done.stderr
    assert done.stdout.rstrip().endswith("[]")

"""Configuration checks: each thing that would keep an agent or a server from working is named."""

import json
import sys
from pathlib import Path
from typing import Any

import pytest

from holdfast.facade import open_workspace
from holdfast.services.initialization import initialize
from holdfast.services.last_verified import last_verified
from holdfast.services.verification import verify_configuration, verify_servers
from holdfast.workspace.creation import create
from holdfast.workspace.layout import Layout
from tests.conftest import Runner


@pytest.fixture
def layout(tmp_path: Path) -> Layout:
    return create(tmp_path / "development", home=tmp_path).layout


def problems(layout: Layout) -> list[str]:
    findings = verify_configuration(open_workspace(layout.root))
    return [f"{each.subject}: {each.problem}" for each in findings if each.problem]


def with_server(layout: Layout, server: Any) -> list[str]:
    path = layout.home / ".mcp.json"
    path.write_text(json.dumps({"mcpServers": {"ledger": server}}), encoding="utf-8")
    return problems(layout)


def test_a_new_workspace_is_in_order(layout: Layout) -> None:
    assert problems(layout) == []
    assert len(verify_configuration(open_workspace(layout.root))) >= 3


def test_a_sound_server_is_in_order(layout: Layout) -> None:
    server = {"type": "stdio", "command": sys.executable, "args": ["-m", "json.tool"]}
    assert with_server(layout, server) == []
    assert with_server(layout, {"type": "http", "url": "http://127.0.0.1:8000/mcp"}) == []


@pytest.mark.parametrize(
    ("server", "problem"),
    [
        ({}, 'neither a "command" nor a "url"'),
        ("text", "an object is expected"),
        ({"command": "no-such-program-anywhere"}, "is not found"),
        ({"command": sys.executable, "args": "-m ledger"}, "args: an array of strings"),
        ({"url": "http://127.0.0.1/"}, 'has a "url" but no "type"'),
        ({"type": "sse"}, 'has the type sse but no "url"'),
        (
            {"command": sys.executable, "env": {"KEY": "${HOLDFAST_NOT_SET}"}},
            "missing environment variables: HOLDFAST_NOT_SET",
        ),
    ],
)
def test_what_is_wrong_with_a_server_is_named(layout: Layout, server: Any, problem: str) -> None:
    found = with_server(layout, server)
    assert len(found) == 1
    assert problem in found[0]
    assert "server ledger" in found[0]


def test_a_default_makes_a_variable_optional(layout: Layout) -> None:
    server = {"command": sys.executable, "env": {"KEY": "${HOLDFAST_NOT_SET:-none}"}}
    assert with_server(layout, server) == []


@pytest.mark.parametrize(
    "content",
    [b"", b"\0" * 64, b'{"mcpServers": {', b'{"a": 1, "a": 2}', b"[]", b"\xff\xfe{}"],
    ids=["empty", "NULs", "torn", "duplicate key", "array", "not UTF-8"],
)
@pytest.mark.parametrize("name", ["configs/mcp/mcp-registry.json", "../.claude.json", ".mcp.json"])
def test_an_unreadable_file_is_a_problem_and_stays_as_it_is(
    layout: Layout, name: str, content: bytes
) -> None:
    path = layout.root / name
    path.write_bytes(content)
    found = problems(layout)
    assert len(found) == 1
    assert path.name in found[0]
    assert "line " in found[0]
    assert path.read_bytes() == content


def test_the_wrapper_of_servers_is_asked_for(layout: Layout) -> None:
    (layout.root / ".mcp.json").write_text('{"ledger": {"command": "x"}}', encoding="utf-8")
    assert "the object mcpServers is missing" in problems(layout)[0]
    (layout.home / ".claude.json").write_text('{"machineID": "x"}', encoding="utf-8")
    assert len(problems(layout)) == 1, "the client's own file need not have servers"


def test_environment_values_are_strings(layout: Layout) -> None:
    layout.environment.write_text('{"PORT": 80, "HOST": "localhost"}', encoding="utf-8")
    assert "not a string: PORT" in problems(layout)[0]


def test_initialize_completes_and_registers(tmp_path: Path) -> None:
    layout = create(tmp_path / "development", home=tmp_path, examples=True).layout
    (layout.root / "verify-mcp-setup.py").unlink()
    made, added = initialize(open_workspace(layout.root))
    assert made == ["verify-mcp-setup.py"]
    assert sorted(added) == ["director-agent", "observatory-agent", "surveyor-agent"]
    assert initialize(open_workspace(layout.root)) == ([], [])
    assert problems(layout) == []
    (layout.agents / "director-agent.py").unlink()
    assert any("agent director-agent" in problem for problem in problems(layout))


def notes(layout: Layout) -> list[str]:
    findings = verify_configuration(open_workspace(layout.root))
    return [f"{each.subject}: {each.note} ({each.hint})" for each in findings if each.note]


def test_scopes_that_contradict_each_other_and_twins(layout: Layout) -> None:
    sound = {"command": sys.executable, "args": []}
    other = {"command": sys.executable, "args": ["-V"]}
    (layout.home / ".claude.json").write_text(
        json.dumps(
            {
                "mcpServers": {"a": sound, "A": sound, "b": sound},
                "projects": {str(layout.root): {"mcpServers": {"b": other}}},
            }
        ),
        encoding="utf-8",
    )
    assert problems(layout) == []
    [twins, scopes] = notes(layout)
    assert "a and A differ in case only" in twins
    assert "local, user (the local one counts)" in scopes


def test_the_command_shakes_hands_and_exits_1_on_failure(layout: Layout, holdfast: Runner) -> None:
    layout.server_registry.write_text(
        json.dumps(
            {
                "mcpRegistry": {
                    "production": {
                        "quits": {"command": sys.executable, "args": ["-c", "import nothing_x"]},
                        "off": {"command": "nowhere", "status": "inactive"},
                    }
                }
            }
        ),
        encoding="utf-8",
    )
    done = holdfast("servers", "verify", "quits", "--json", cwd=layout.root)
    assert done.returncode == 1, done.stderr
    document = json.loads(done.stdout)
    assert not document["healthy"]
    [result] = document["servers"]
    assert result["name"] == "quits"
    assert "nothing_x" in result["hint"]
    assert [each["subject"].split()[1] for each in document["findings"]] == ["quits"]
    static = holdfast("servers", "verify", "quits", "--static", cwd=layout.root)
    assert static.returncode == 0, static.stdout
    assert holdfast("servers", "verify", "nobody", cwd=layout.root).returncode == 2


def test_an_entry_made_by_hand_without_a_command(layout: Layout, holdfast: Runner) -> None:
    layout.server_registry.write_text(
        '{"mcpRegistry": {"production": {"empty": {}, "remote": {"type": "http"}}}}',
        encoding="utf-8",
    )
    found = problems(layout)
    assert 'neither a "command" nor a "url"' in found[0]
    assert 'no "url"' in found[1]
    done = holdfast("servers", "sync", "--to", "code", cwd=layout.root)
    assert done.returncode == 0, done.stderr
    assert "empty: it has no command" in done.stderr
    assert holdfast("servers", "verify", cwd=layout.root).returncode == 1
    assert holdfast("servers", "list", cwd=layout.root).returncode == 0


def test_what_was_synced_and_is_missing_is_noted(layout: Layout, holdfast: Runner) -> None:
    added = holdfast("servers", "add", "x", "--", sys.executable, cwd=layout.root)
    assert added.returncode == 0, added.stderr
    assert holdfast("servers", "sync", "--to", "code", cwd=layout.root).returncode == 0
    assert notes(layout) == []
    (layout.home / ".claude.json").write_text("{}", encoding="utf-8")
    [note] = notes(layout)
    assert "synced once, and missing now: x" in note


def test_each_name_is_checked_once(layout: Layout) -> None:
    quits: dict[str, Any] = {"command": sys.executable, "args": ["-c", "0"], "env": {}}
    workspace = open_workspace(layout.root)
    workspace.servers.add("a", **quits)
    other = {**quits, "args": ["-c", "1"]}
    block = {"a": {"type": "stdio", **quits}, "b": quits}
    (layout.home / ".claude.json").write_text(json.dumps({"mcpServers": block}), encoding="utf-8")
    (layout.root / ".mcp.json").write_text(json.dumps({"mcpServers": {"b": other}}), "utf-8")
    results = verify_servers(workspace)
    assert [each.name for each in results] == ["a", "b", "b (user)"]
    remembered = last_verified(layout)
    assert [each.health for each in remembered.values()] == results
    [again] = verify_servers(workspace, ["a"])
    assert last_verified(layout)["a"].at > remembered["a"].at
    assert last_verified(layout)["b"] == remembered["b"]
    assert last_verified(layout)["a"].health == again


def test_a_server_gets_the_secrets_of_the_shared_environment(
    layout: Layout, monkeypatch: pytest.MonkeyPatch
) -> None:
    """And what it says of them is not repeated."""
    monkeypatch.setenv("HOLDFAST_KEYRING", "file")
    workspace = open_workspace(layout.root)
    workspace.secrets.put("LEDGER", "bees-and-wasps-77")
    layout.environment.write_text('{"LEDGER": "${secret:LEDGER}", "GONE": "${secret:GONE}"}')
    code = "import os, sys; sys.exit(f'got {os.environ[\"WHO\"]}')"
    for name, variable in (("here", "LEDGER"), ("gone", "GONE")):
        workspace.servers.add(
            name, command=sys.executable, args=["-c", code], env={"WHO": f"${{{variable}}}"}
        )
    found = {each.name: each for each in verify_servers(workspace)}
    assert found["here"].stderr == "got ••••"
    assert "missing environment variables: GONE" in str(found["gone"].problem)

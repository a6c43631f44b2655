"""How every command speaks: JSON, tables and tabs, errors with a path and a hint, exit codes."""

import json
from pathlib import Path

import pytest

from holdfast.cli.terminal import readable_size
from holdfast.workspace.creation import create
from tests.conftest import Runner


@pytest.fixture
def root(tmp_path: Path) -> Path:
    return create(tmp_path / "development", home=tmp_path).layout.root


def test_help_and_version(holdfast: Runner) -> None:
    helped = holdfast("--help")
    assert helped.returncode == 0
    assert "demo" in helped.stdout
    assert "quarantine" in helped.stdout
    assert holdfast("--version").stdout.startswith("holdfast, version ")
    assert "Examples:" in holdfast("agents", "add", "--help").stdout


def test_wrong_usage_is_2(holdfast: Runner, root: Path) -> None:
    assert holdfast("no-such-command").returncode == 2
    assert holdfast("agents", "list", "--no-such-option").returncode == 2
    done = holdfast("agents", "show", "nobody", "--json", "-w", root)
    assert done.returncode == 2
    error = json.loads(done.stderr)["error"]
    assert set(error) >= {"type", "message", "path", "hint"}
    assert error["type"] == "NotFoundError"


def test_outside_of_a_workspace(holdfast: Runner, tmp_path: Path) -> None:
    done = holdfast("status", cwd=tmp_path, env={"HOLDFAST_WORKSPACE": ""})
    assert done.returncode == 2
    assert "holdfast init" in done.stderr


def test_unreadable_is_3_and_names_the_place(holdfast: Runner, root: Path) -> None:
    registry = root / "configs/agents/agent-registry.json"
    registry.write_text('{\n  "agentRegistry": {,\n', encoding="utf-8")
    done = holdfast("agents", "list", "--json", "-w", root)
    assert done.returncode == 3
    error = json.loads(done.stderr)["error"]
    assert Path(error["path"]) == registry
    assert (error["line"], error["column"]) == (2, 21)
    assert holdfast("status", "-w", root).returncode == 1


def test_refused_is_4(holdfast: Runner, root: Path) -> None:
    holdfast("agents", "add", "scout", "--path", "agents", "-w", root)
    done = holdfast("agents", "remove", "scout", "-w", root)
    assert done.returncode == 4
    assert "--yes" in done.stderr
    assert holdfast("agents", "remove", "scout", "--yes", "-w", root).returncode == 0


def test_a_pipe_gets_tabs_and_json_an_array(holdfast: Runner, root: Path) -> None:
    assert json.loads(holdfast("agents", "list", "--json", "-w", root).stdout) == []
    holdfast("agents", "add", "scout", "--path", "agents", "-w", root)
    plain = holdfast("agents", "list", "-w", root).stdout
    assert plain.split("\t")[:3] == ["scout", "production", "active"]


def test_init_adopt_and_status_speak_json(holdfast: Runner, tmp_path: Path) -> None:
    made = json.loads(holdfast("init", tmp_path / "one/dev", "--json").stdout)
    assert "agents" in made["made"]
    (tmp_path / "two/dev").mkdir(parents=True)
    adopted = json.loads(holdfast("adopt", tmp_path / "two/dev", "--json").stdout)
    assert adopted["made"] == [".holdfast"]
    status = json.loads(holdfast("status", "--json", "-w", tmp_path / "one/dev").stdout)
    assert status["healthy"] is True
    assert {store["name"] for store in status["stores"]} >= {"agents", "queues", "backups"}


def test_sizes_as_people_read_them() -> None:
    assert [readable_size(n) for n in (0, 999, 1000, 1_500_000, 2e9, 5e12)] == [
        "0 B",
        "999 B",
        "1.0 kB",
        "1.5 MB",
        "2.0 GB",
        "5.0 TB",
    ]

"""The seed's own lines, run as the seed runs them."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from holdfast.workspace.creation import create
from holdfast.workspace.layout import Layout


@pytest.fixture
def layout(tmp_path: Path) -> Layout:
    return create(tmp_path / "development", home=tmp_path, examples=True).layout


def python(*arguments: str, cwd: Path) -> subprocess.CompletedProcess[str]:
    environment = {**os.environ, "PYTHONUTF8": "1"}
    environment.pop("HOLDFAST_WORKSPACE", None)
    return subprocess.run(
        [sys.executable, *arguments],
        cwd=cwd,
        env=environment,
        capture_output=True,
        text=True,
        encoding="utf-8",
        timeout=120,
        check=False,
    )


def test_verify_mcp_setup_from_the_home(layout: Layout) -> None:
    done = python("development/verify-mcp-setup.py", cwd=layout.home)
    assert done.returncode == 0, done.stderr
    assert "0 wrong" in done.stdout
    (layout.home / ".mcp.json").write_text('{"mcpServers": {"x": {}}}', encoding="utf-8")
    done = python("development/verify-mcp-setup.py", cwd=layout.home)
    assert done.returncode == 1
    assert "WRONG  server x" in done.stdout


def test_initialize_from_the_home(layout: Layout) -> None:
    done = python("development/initialize.py", cwd=layout.home)
    assert done.returncode == 0, done.stderr
    assert "added  agent director-agent" in done.stdout
    layout.agent_registry.write_text('{"agentRegistry"', encoding="utf-8")
    done = python("development/initialize.py", cwd=layout.home)
    assert done.returncode == 3
    assert "agent-registry.json" in done.stderr


def test_the_seeds_partial_recovery(layout: Layout) -> None:
    """Copy an agent back and discover it, from the development directory, in the seed's words."""
    backup = layout.home / "backup/agents/director-agent"
    backup.mkdir(parents=True)
    (backup / "main.py").write_text('"""Directs."""\n', encoding="utf-8")
    restored = layout.agents / "production/director-agent"
    shutil.copytree(backup, restored, copy_function=shutil.copy)
    (layout.agents / "director-agent.py").unlink()
    line = (
        "from shared.libraries.agent_registry import get_registry; "
        "registry = get_registry(); "
        "registry.discover_agents('development/agents'); "
        "print(registry.get('director-agent').path)"
    )
    done = python("-c", line, cwd=layout.root)
    assert done.returncode == 0, done.stderr
    assert Path(done.stdout.strip()) == layout.agents / "production" / "director-agent"


def test_the_shared_libraries_open_the_workspace(layout: Layout) -> None:
    code = (
        "from shared.libraries.message_queue import get_queue\n"
        "from shared.libraries.workflow_engine import get_engine, step, workflow\n"
        "engine = get_engine()\n"
        "@step\n"
        "def double(number: int) -> int: return number * 2\n"
        "@workflow\n"
        "def add(numbers: list[int]) -> int: return sum(double.map(numbers))\n"
        "run = add.start([1, 2, 3], id='sum-1')\n"
        "get_queue('jobs').put({'sum': run.result()})\n"
        "print(get_queue('jobs').take()[0].body['sum'], engine.get('sum-1').status)\n"
    )
    done = python("-c", code, cwd=layout.root)
    assert done.returncode == 0, done.stderr
    assert done.stdout.split() == ["12", "succeeded"]
    assert layout.database.is_file()
    assert (layout.queues / "jobs").is_dir()

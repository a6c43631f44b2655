"""The examples of README.md and docs/ do what the text around them says."""

import json
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from holdfast.workspace.creation import create
from tests.conftest import Runner, require_program

ROOT = Path(__file__).parent.parent
EXAMPLE = re.compile(r"<!-- example: (\w+) -->\n```\w+\n(.*?)```", re.DOTALL)
POSIX_SHELL = pytest.mark.skipif(
    sys.platform == "win32", reason="the commands are for a POSIX shell"
)


def examples(page: str) -> dict[str, str]:
    """The marked examples of a page, by name."""
    return dict(EXAMPLE.findall((ROOT / page).read_text(encoding="utf-8")))


@pytest.fixture
def workspace(holdfast: Runner, tmp_path: Path) -> Path:
    """The workspace that the demo leaves, which the page speaks of."""
    done = holdfast("demo", tmp_path / "demo", "--json")
    assert done.returncode == 0, done.stdout
    return Path(json.loads(done.stdout)["workspace"])


@POSIX_SHELL
def test_the_commands_of_the_readme(tmp_path: Path) -> None:
    scripts = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    done = subprocess.run(
        [require_program("sh"), "-euc", examples("README.md")["shell"]],
        cwd=tmp_path,
        env={**os.environ, "HOME": str(tmp_path), "PATH": scripts, "HOLDFAST_WORKSPACE": ""},
        capture_output=True,
        text=True,
        encoding="utf-8",
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert "3 found: 3 new" in done.stdout
    assert "proven with" in done.stdout
    assert (tmp_path / "development/agents/director-agent.py").is_file()


def test_the_program_of_the_readme(tmp_path: Path) -> None:
    root = create(tmp_path / "development", home=tmp_path).layout.root
    (root / "bees.txt").write_text("hum hum hum", encoding="utf-8")
    (root / "wasps.txt").write_text("buzz", encoding="utf-8")
    (root / "program.py").write_text(examples("README.md")["python"], encoding="utf-8")
    for _ in range(2):  # the second time, the run is finished already
        done = subprocess.run(
            [sys.executable, "program.py"],
            cwd=root,
            env={**os.environ, "HOLDFAST_WORKSPACE": ""},
            capture_output=True,
            text=True,
            encoding="utf-8",
            check=False,
        )
        assert done.returncode == 0, done.stderr
        assert done.stdout.strip() == "{'bees.txt': 3, 'wasps.txt': 1}"
    line = json.loads((root / "logs/worker.log").read_text(encoding="utf-8").splitlines()[0])
    assert (line["message"], line["topic"]) == ("Working", "bees")


@POSIX_SHELL
def test_the_stores_are_readable_without_holdfast(workspace: Path) -> None:
    shell = require_program("sh")
    for program in ("jq", "sqlite3"):
        require_program(program)
    outputs: dict[str, str] = {}
    for name, commands in examples("docs/stores.md").items():
        done = subprocess.run(
            [shell, "-euc", commands],
            cwd=workspace,
            check=True,
            capture_output=True,
            text=True,
            encoding="utf-8",
        )
        outputs[name] = done.stdout
    assert "survey-demo|succeeded|shared/reports/survey-demo.md" in outputs["workflows"]
    assert "assign-1|" in outputs["workflows"]
    assert json.loads(outputs["queues"].splitlines()[0])["folder"] == "agents"
    assert outputs["logs"].splitlines().count("Survey published") == 1


@POSIX_SHELL
def test_the_servers_are_kept_as_the_page_says(tmp_path: Path) -> None:
    layout = create(tmp_path / "development", home=tmp_path).layout
    (tmp_path / ".claude.json").write_text(
        '{"mcpServers": {"old": {"command": "echo"}}}', encoding="utf-8"
    )
    scripts = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    done = subprocess.run(
        [require_program("sh"), "-euc", examples("docs/howto-servers.md")["servers"]],
        cwd=layout.root,
        env={**os.environ, "HOME": str(tmp_path), "PATH": scripts, "HOLDFAST_WORKSPACE": ""},
        capture_output=True,
        text=True,
        encoding="utf-8",
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert "+ mcpServers.hello" in done.stdout
    written = json.loads((tmp_path / ".claude.json").read_bytes())["mcpServers"]
    assert list(written) == ["old", "hello"]

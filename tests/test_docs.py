"""The shell commands of docs/stores.md read a real workspace without Holdfast."""

import json
import re
import subprocess
import sys
from pathlib import Path

import pytest

from tests.conftest import Runner, require_program

PAGE = Path(__file__).parent.parent / "docs" / "stores.md"
EXAMPLE = re.compile(r"<!-- example: (\w+) -->\n```sh\n(.*?)```", re.DOTALL)


@pytest.fixture
def workspace(holdfast: Runner, tmp_path: Path) -> Path:
    """The workspace that the demo leaves, which the page speaks of."""
    done = holdfast("demo", tmp_path / "demo", "--json")
    assert done.returncode == 0, done.stdout
    return Path(json.loads(done.stdout)["workspace"])


@pytest.mark.skipif(sys.platform == "win32", reason="the page's commands are for a POSIX shell")
def test_the_stores_are_readable_without_holdfast(workspace: Path) -> None:
    shell = require_program("sh")
    for program in ("jq", "sqlite3"):
        require_program(program)
    outputs: dict[str, str] = {}
    for name, commands in EXAMPLE.findall(PAGE.read_text(encoding="utf-8")):
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

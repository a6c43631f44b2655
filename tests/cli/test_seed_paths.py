"""``C:\\Users\\NAME\\development``, given as people on Windows give it, leads where it says."""

import json
import shutil
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from holdfast.facade import open_workspace
from tests.conftest import Runner

pytestmark = pytest.mark.skipif(sys.platform != "win32", reason="paths of Windows")


@pytest.fixture
def home() -> Iterator[str]:
    """``C:\\Users\\NAME``, as no test has it elsewhere."""
    try:
        home = tempfile.mkdtemp(prefix="Corbin ", dir=r"C:\Users")
    except OSError as error:
        pytest.skip(f"NOT TESTED: only administrators make a folder there: {error}")
    yield home
    shutil.rmtree(home)


def test_they_work_as_given(home: str, holdfast: Runner) -> None:
    root, agent = home + r"\development", home + r"\development\agents\director-agent.py"

    def run(*arguments: str) -> str:
        done = holdfast(*arguments, cwd=Path(home))
        assert done.returncode == 0, (arguments, done.stdout + done.stderr)
        return done.stdout

    run("init", root, "--home", home, "--examples")
    run("agents", "discover", root + r"\agents", "-w", root)
    agents = json.loads(run("agents", "list", "--json", "-w", root.replace("\\", "/")))
    assert agent in {agent["path"] for agent in agents}
    run("backup", "create", "-w", root.upper())
    run("backup", "create", "--kind", "copy", "-w", root + "\\")
    Path(agent).unlink()
    run("restore", "latest", r"agents\director-agent.py", "-w", root)
    assert Path(agent).is_file()
    Path(agent).unlink()
    run("restore", "latest", agent, "-w", root)
    assert Path(agent).is_file()
    url = "sqlite:///" + root.replace("\\", "/") + "/jobs.db"
    run("config", "set", "queues.url", url, "-w", root)
    with open_workspace(root) as workspace:
        workspace.queue("jobs").put({"path": agent})
        assert str(workspace.layout.root) == root
    assert Path(root, "jobs.db").is_file()
    run("restore", "latest", "--to", home + r"\new", "-w", root)
    assert Path(home, "new", "agents", "director-agent.py").is_file()

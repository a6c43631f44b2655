"""``C:\\Users\\NAME\\development``, given as people on Windows give it, leads where it says."""

import json
import shutil
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from holdfast.facade import open_workspace
from tests.conftest import Runner

pytestmark = pytest.mark.skipif(sys.platform != "win32", reason="paths of Windows")

HOME = r"C:\Users\Corbin of Holdfast"
ROOT = HOME + r"\development"
AGENT = ROOT + r"\agents\director-agent.py"


@pytest.fixture
def home() -> Iterator[Path]:
    home = Path(HOME)
    try:
        home.mkdir()
    except OSError as error:
        pytest.skip(f"NOT TESTED: only administrators make a folder there: {error}")
    yield home
    shutil.rmtree(home)


def test_they_work_as_given(home: Path, holdfast: Runner) -> None:
    def run(*arguments: str) -> str:
        done = holdfast(*arguments, cwd=home)
        assert done.returncode == 0, (arguments, done.stdout + done.stderr)
        return done.stdout

    run("init", ROOT, "--home", HOME, "--examples")
    run("agents", "discover", ROOT + r"\agents", "-w", ROOT)
    agents = json.loads(run("agents", "list", "--json", "-w", ROOT.replace("\\", "/")))
    assert AGENT in {agent["path"] for agent in agents}
    run("backup", "create", "-w", ROOT.upper())
    run("backup", "create", "--kind", "copy", "-w", ROOT + "\\")
    Path(AGENT).unlink()
    run("restore", "latest", r"agents\director-agent.py", "-w", ROOT)
    assert Path(AGENT).is_file()
    Path(AGENT).unlink()
    run("restore", "latest", AGENT, "-w", ROOT)
    assert Path(AGENT).is_file()
    url = "sqlite:///" + ROOT.replace("\\", "/") + "/jobs.db"
    run("config", "set", "queues.url", url, "-w", ROOT)
    with open_workspace(ROOT) as workspace:
        workspace.queue("jobs").put({"path": AGENT})
        assert str(workspace.layout.root) == ROOT
    assert Path(ROOT, "jobs.db").is_file()
    run("restore", "latest", "--to", HOME + r"\new", "-w", ROOT)
    assert Path(HOME, "new", "agents", "director-agent.py").is_file()

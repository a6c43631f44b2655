"""How serving begins and ends."""

import json
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from holdfast.facade import open_workspace
from holdfast.workspace.creation import create
from tests.conftest import child_environment
from tests.web.browser import Served
from tests.web.caller import Caller
from tests.web.filled import put_survey

pytestmark = pytest.mark.skipif(
    sys.platform == "win32", reason="a console's Ctrl+C cannot be sent to one process there"
)


@pytest.mark.parametrize("patient", [True, False])
def test_what_was_started_is_waited_for_until_ctrl_c_is_pressed_again(
    tmp_path: Path, patient: bool
) -> None:
    root = create(tmp_path / "development", home=tmp_path).layout.root
    start_waiting_run(root)
    command = [sys.executable, "-P", "-m", "holdfast", "ui", "--no-browser", "-w", str(root)]
    with subprocess.Popen(
        command,
        env=child_environment({"PYTHONUNBUFFERED": "1"}),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    ) as process:
        assert process.stdout is not None
        assert process.stderr is not None
        link = process.stdout.readline().strip()
        caller = Caller(Served(root, link))
        caller.enter(link)
        answer = caller.post("/workflows/ants-1/resume", f"csrf={caller.csrf()}")
        assert answer.headers["Location"] == "/workflows/ants-1"

        process.send_signal(signal.SIGINT)
        assert "Ctrl+C ends it" in process.stderr.readline()
        assert "waiting for 'holdfast workflows resume ants-1'" in process.stderr.readline()
        if patient:
            (root / "gate").touch()
        else:
            process.send_signal(signal.SIGINT)
        assert process.wait(60) == 0
    with open_workspace(root) as workspace:
        run = workspace.workflows.get("ants-1")
        assert run.status == ("succeeded" if patient else "running")
        assert run.interrupted is not patient


def start_waiting_run(root: Path) -> None:
    """A run that was killed while it waited at the gate."""
    put_survey(root)
    line = ["workflows", "run", "survey.py", "--id", "ants-1"]
    process = subprocess.Popen(
        [sys.executable, "-P", "-m", "holdfast", *line, "--input", json.dumps(["ants", "gate"])],
        cwd=root,
        env=child_environment(),
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    try:
        with open_workspace(root) as workspace:
            while "ants-1" not in [run.id for run in workspace.workflows.list()]:
                assert process.poll() is None
            while len(list(workspace.workflows.steps("ants-1"))) < 4:
                assert process.poll() is None
    finally:
        process.kill()
        process.wait()

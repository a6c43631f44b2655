"""A workspace whose services are real programs, all ended with the test."""

import json
import textwrap
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import psutil  # type: ignore[import-untyped,unused-ignore]
import pytest

from holdfast.facade import Workspace, open_workspace
from holdfast.services import control, processes
from holdfast.services.records import Records
from holdfast.workspace.creation import create
from tests.conftest import SOURCE

# Writes its start to starts.txt and lives until it is asked to end.
LASTING = """
    import os, pathlib, time
    with open("starts.txt", "a") as file:
        file.write(f"{pathlib.Path(__file__).stem} {os.getpid()}\\n")
    print("listening", flush=True)
    while not os.path.exists(os.environ["HOLDFAST_STOP_FILE"]):
        time.sleep(0.02)
    with open("ends.txt", "a") as file:
        file.write(pathlib.Path(__file__).stem + "\\n")
"""
STUBBORN = """
    import signal, subprocess, sys, time
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    if sys.platform == "win32":
        signal.signal(signal.SIGBREAK, signal.SIG_IGN)
    child = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(600)"])
    print("child", child.pid, flush=True)
    time.sleep(600)
"""


@pytest.fixture
def workspace(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Workspace]:
    monkeypatch.setenv("PYTHONPATH", str(SOURCE))
    root = create(tmp_path / "development", home=tmp_path).layout.root
    with open_workspace(root) as workspace:
        yield workspace
        for name in ("HOLDFAST_FAULTS", "HOLDFAST_FAULTS_TRACE"):
            monkeypatch.delenv(name, raising=False)
        end_everything(workspace)


def end_everything(workspace: Workspace) -> None:
    """Whatever the test did: no supervisor and no service of it is left."""
    kill_supervisor(workspace)
    records = Records(workspace.layout)
    for name in records.names():
        with suppress(Exception):  # a record that the test tore
            record = records.read(name)
            processes.kill(None, record.token)


def kill_supervisor(workspace: Workspace) -> None:
    """Kill -9 every supervisor of the workspace."""
    for process in supervisors(workspace):
        with suppress(psutil.Error):
            process.kill()
            process.wait(10)


def supervisors(workspace: Workspace) -> list[psutil.Process]:
    found = []
    for process in psutil.process_iter():
        with suppress(psutil.Error):
            line = process.cmdline()
            if "holdfast.services.supervisor" in line and str(workspace.layout.root) in line:
                found.append(process)
    return found


Declare = Callable[..., None]


@pytest.fixture
def declare(workspace: Workspace) -> Declare:
    """Make an agent of `code` that is a service: ``declare("a", LASTING, dependsOn=["b"])``."""

    def make(name: str, code: str = LASTING, **service: Any) -> None:
        path = workspace.layout.agents / f"{name}.py"
        path.write_text(textwrap.dedent(code), encoding="utf-8")
        workspace.registry.add(name, path=path, service=service)

    return make


def starts(workspace: Workspace) -> list[str]:
    """The names of what was started, in order, one for each process."""
    return [line.split()[0] for line in _lines(workspace, "starts.txt")]


def ends(workspace: Workspace) -> list[str]:
    return _lines(workspace, "ends.txt")


def _lines(workspace: Workspace, name: str) -> list[str]:
    path = workspace.layout.root / name
    return path.read_text(encoding="utf-8").split("\n")[:-1] if path.exists() else []


def messages(workspace: Workspace, component: str) -> list[str]:
    path = workspace.layout.logs / f"{component}.log"
    lines = path.read_text(encoding="utf-8").splitlines() if path.exists() else []
    return [json.loads(line)["message"] for line in lines]


def wait_until(condition: Callable[[], object], what: str) -> None:
    """Wait for `condition`, a minute at most."""
    deadline = time.monotonic() + 60
    while not condition():
        assert time.monotonic() < deadline, f"waited in vain until {what}"
        time.sleep(0.02)


def state_of(workspace: Workspace, name: str) -> control.ServiceStatus:
    return control.statuses(workspace, [name])[0]


def is_alive(pid: int) -> bool:
    if not psutil.pid_exists(pid):
        return False
    with suppress(psutil.NoSuchProcess):
        return bool(psutil.Process(pid).status() != psutil.STATUS_ZOMBIE)
    return False

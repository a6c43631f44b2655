"""The processes that act in the demo: real children, started, watched and killed for real."""

import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from holdfast.errors import CheckError
from holdfast.workspace.layout import Layout

_PATIENCE = 60.0  # seconds that any single wait may take


@contextmanager
def agent(layout: Layout, script: str, *arguments: str) -> Iterator["subprocess.Popen[str]"]:
    """Run the workspace's ``agents/<script>`` in a process of its own; ended with the body."""
    process = subprocess.Popen(
        [sys.executable, str(layout.agents / script), *arguments],
        env={**os.environ, "PYTHONUTF8": "1"},
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        encoding="utf-8",
    )
    try:
        yield process
    finally:
        process.kill()
        process.communicate()


def finish(process: "subprocess.Popen[str]") -> str:
    """Wait until the process ends well; returns what it printed. Raises `CheckError`."""
    try:
        output, problem = process.communicate(timeout=_PATIENCE)
    except subprocess.TimeoutExpired as error:
        raise CheckError(f"{_name(process)} did not finish in {_PATIENCE:.0f} s") from error
    if process.returncode != 0:
        raise CheckError(f"{_name(process)} ended with {process.returncode}: {problem[-2000:]}")
    return output.strip()


def wait_until(ready: Callable[[], bool], process: "subprocess.Popen[str]", what: str) -> None:
    """Wait for `ready` while `process` works towards it. Raises `CheckError` when it ends first."""
    deadline = time.monotonic() + _PATIENCE
    while not ready():
        if process.poll() is not None:
            finish(process)
            raise CheckError(f"{_name(process)} ended before {what}")
        if time.monotonic() > deadline:
            raise CheckError(f"{_name(process)} took more than {_PATIENCE:.0f} s to {what}")
        time.sleep(0.01)


def kill(process: "subprocess.Popen[str]") -> int:
    """Kill -9 (TerminateProcess on Windows); returns the exit status that the system reports."""
    process.kill()
    return process.wait()


def _name(process: "subprocess.Popen[str]") -> str:
    return Path(str(process.args[1])).name if isinstance(process.args, list) else "the process"

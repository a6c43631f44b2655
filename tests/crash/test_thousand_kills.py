"""1,000 rounds of kill -9 at random instants, on one workspace.

Each round a process uses the queue, the workflows and the agent registry and is killed somewhere
between its first and its last instruction. The ledger says what had been acknowledged; afterwards
all of that is there, nothing is unreadable, no message was acknowledged twice and no finished step
ran again.
"""

import os
import random
import signal
import subprocess
import sys
import time
import traceback
from collections import Counter
from pathlib import Path

import pytest

from holdfast.durable.files import sweep_temporary
from holdfast.facade import Workspace, open_workspace
from holdfast.workspace.creation import create
from tests.crash import worker
from tests.crash.ledger import read_notes

if sys.platform != "win32":
    ROUNDS = 1000
    LONGEST_LIFE = 0.06  # seconds

    def run_and_kill(root: Path, ledger: Path, life: float) -> None:
        """A forked child has everything imported, so that the kill falls into real work."""
        child = os.fork()
        if child == 0:
            try:
                worker.work(root, ledger)
            except BaseException:
                (ledger.parent / "failure").write_text(traceback.format_exc(), encoding="utf-8")
            finally:
                os._exit(1)  # reached only if the work itself fails
        time.sleep(life)
        os.kill(child, signal.SIGKILL)
        _, status = os.waitpid(child, 0)
        assert os.WIFSIGNALED(status), (ledger.parent / "failure").read_text(encoding="utf-8")

else:
    ROUNDS = 40  # a new interpreter each time
    LONGEST_LIFE = 1.5

    def run_and_kill(root: Path, ledger: Path, life: float) -> None:
        """A new process, killed with TerminateProcess."""
        command = [sys.executable, "-m", "tests.crash.worker", str(root), str(ledger)]
        with subprocess.Popen(command, stderr=subprocess.PIPE) as child:
            time.sleep(life)
            assert child.poll() is None, child.stderr.read() if child.stderr else ""
            child.kill()


@pytest.mark.slow
@pytest.mark.timeout(600)
def test_nothing_acknowledged_is_lost(tmp_path: Path) -> None:
    _workspace(tmp_path / "warm", tmp_path, use=True)  # a forked child has no time for imports
    root = _workspace(tmp_path / "development", tmp_path)
    ledger = tmp_path / "ledger"
    chance = random.Random(20261123)
    for _ in range(ROUNDS):
        run_and_kill(root, ledger, chance.uniform(0, LONGEST_LIFE))

    notes = list(read_notes(ledger))
    assert sum(kind == "ready" for kind, _ in notes) > ROUNDS / 20, "hardly any round did work"
    with open_workspace(root) as workspace:
        _check_messages(workspace, notes)
        _check_registry(workspace, notes)
        _check_runs(workspace, notes)
    _check_no_litter(root)


def _workspace(root: Path, home: Path, *, use: bool = False) -> Path:
    create(root, home=home)
    with open_workspace(root) as workspace:
        workspace.registry.add("counter", path=root / "counter.py", count=0)
        if use:
            worker.use_every_store(workspace, root / "no-ledger")
    return root


def _check_messages(workspace: Workspace, notes: list[tuple[str, str]]) -> None:
    put = {subject for kind, subject in notes if kind == "put"}
    acking = {subject for kind, subject in notes if kind == "acking"}
    acked = Counter(subject for kind, subject in notes if kind == "acked")
    assert put
    assert not [message for message, times in acked.items() if times > 1], "acknowledged twice"
    time.sleep(worker.LEASE)
    jobs = workspace.queue("jobs")
    left = {message.id for message in jobs.dead(100_000)}
    while batch := jobs.take(1000):
        left |= {message.id for message in batch}
        jobs.ack(*(message.receipt for message in batch))
    assert not left & set(acked), "an acknowledged message came back"
    assert put - acking <= left, "an acknowledged put was lost"


def _check_registry(workspace: Workspace, notes: list[tuple[str, str]]) -> None:
    counted = [int(subject) for kind, subject in notes if kind == "counted"]
    assert counted == sorted(counted)
    assert len(set(counted)) == len(counted), "one count was given out twice"
    final = workspace.registry.get("counter").further["count"]
    assert final >= max(counted), "an acknowledged update was lost"


def _check_runs(workspace: Workspace, notes: list[tuple[str, str]]) -> None:
    finished: set[str] = set()
    for kind, subject in notes:
        if kind == "executed":
            assert subject not in finished, f"the finished step {subject} ran again"
        elif kind == "finished":
            finished.add(subject)
    assert finished
    marched = {subject for kind, subject in notes if kind == "marched"}
    started = {subject for kind, subject in notes if kind == "started"}
    for name in started:
        run = worker.march.start(name, id=name)
        assert run.result() == sum(number**2 for number in range(worker.STEPS_A_RUN))
    assert marched <= started


def _check_no_litter(root: Path) -> None:
    """What killed writers left is known as theirs, and goes with one sweep."""
    for folder in (root / "configs/agents", root / ".holdfast/generations/agent-registry"):
        sweep_temporary(folder, older_than=0)
        assert not [path.name for path in folder.iterdir() if path.name.endswith("-tmp")]

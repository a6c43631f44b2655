"""Running what is due: once, one at a time, failures loud, crashes made up for."""

import json
import os
import subprocess
import sys
import time
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from holdfast.errors import NotFoundError, UnreadableError
from holdfast.schedule.overview import overview
from holdfast.schedule.pythons import for_children
from holdfast.schedule.registration.entry import entry_of
from holdfast.schedule.running import run_due
from tests.conftest import SOURCE, Runner, child_environment, require_program, was_killed
from tests.schedule.conftest import Chosen

EVERY_MINUTE = "* * * * *"
NOTE = ["events", "append", "ticks", "ran", "{}"]


class Clock:
    """A clock that is set by hand."""

    def __init__(self) -> None:
        self.now = datetime.now(UTC)

    def __call__(self) -> datetime:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


def test_what_is_due_runs_once(scheduled: Chosen, clock: Clock) -> None:
    workspace = scheduled(tick={"when": EVERY_MINUTE, "run": [NOTE, NOTE]})
    assert run_due(workspace, clock=clock).runs == []
    clock.now += timedelta(hours=5)
    [run] = run_due(workspace, clock=clock).runs
    assert (run.name, run.outcome) == ("tick", "ok")
    assert run_due(workspace, clock=clock).runs == []
    assert workspace.events.position() == 2


@pytest.mark.skipif(sys.platform != "win32", reason="only Windows has a Python without a console")
def test_the_task_schedulers_python_has_no_console(
    scheduled: Chosen, monkeypatch: pytest.MonkeyPatch
) -> None:
    workspace = scheduled(tick={"when": EVERY_MINUTE, "run": [NOTE]})
    program = entry_of(workspace.layout).arguments
    assert Path(program[0]).name == "pythonw.exe"
    done = subprocess.run([*program, "tick"], env=child_environment(), timeout=120, check=False)
    assert done.returncode == 0
    assert workspace.events.position() == 1
    here = sys.executable
    monkeypatch.setattr(sys, "executable", program[0])
    assert for_children() == here


def test_a_failure_is_loud_and_keeps_no_other_from_running(
    scheduled: Chosen, clock: Clock, holdfast: Runner
) -> None:
    workspace = scheduled(
        broken={"when": EVERY_MINUTE, "run": [["agents", "show", "nobody"], NOTE]},
        tick={"when": EVERY_MINUTE, "run": [NOTE]},
    )
    run_due(workspace, clock=clock)
    clock.now += timedelta(minutes=2)
    report = run_due(workspace, clock=clock)
    assert [(run.name, run.outcome) for run in report.runs] == [
        ("broken", "failed"),
        ("tick", "ok"),
    ]
    assert not report.healthy
    assert workspace.events.position() == 1  # the broken job's second line was not run
    root = workspace.layout.root
    status = holdfast("status", "-w", root)
    assert status.returncode == 1
    assert "PROBLEM: the job broken failed" in status.stdout
    assert "nobody" in status.stdout
    listed = holdfast("schedule", "list", "--json", "-w", root)
    assert listed.returncode == 1
    row = next(row for row in json.loads(listed.stdout) if row["name"] == "broken")
    assert row["outcome"] == "failed"
    assert row["next"] is not None
    logged = holdfast("logs", "--component", "schedule", "--level", "ERROR", "-w", root)
    assert "Job failed" in logged.stdout


def test_a_named_job_runs_whether_due_or_not(scheduled: Chosen) -> None:
    workspace = scheduled(tick={"when": "0 0 1 1 *", "run": [NOTE]})
    assert [run.name for run in run_due(workspace, ["tick"]).runs] == ["tick"]
    with pytest.raises(NotFoundError, match="no job"):
        run_due(workspace, ["nonsense"])


def test_through_the_door(scheduled: Chosen, holdfast: Runner) -> None:
    root = scheduled(tick={"when": EVERY_MINUTE, "run": [NOTE]}).layout.root
    first = holdfast("schedule", "run-due", "-w", root)
    assert (first.returncode, first.stdout.strip()) == (0, "nothing is due")
    named = holdfast("schedule", "run-due", "tick", "-w", root)
    assert named.returncode == 0, named.stderr
    assert named.stdout.startswith("tick: ok")


def test_jobs_that_nobody_runs_are_told(scheduled: Chosen, clock: Clock) -> None:
    workspace = scheduled(tick={"when": "0 * * * *", "run": [NOTE]})
    run_due(workspace, clock=clock)
    assert overview(workspace, now=clock.now).healthy
    late = overview(workspace, now=clock.now + timedelta(hours=5))
    assert "did not run" not in "".join(late.problems)  # the last time was less than 2 h ago
    daily = scheduled(daily={"when": "0 0 * * *", "run": [NOTE]})
    run_due(daily, clock=clock)
    noon = (clock.now.astimezone() + timedelta(days=2)).replace(hour=12)
    assert "did not run" in "".join(overview(daily, now=noon).problems)


def test_a_state_that_cannot_be_read_is_told_and_kept(scheduled: Chosen, clock: Clock) -> None:
    workspace = scheduled(tick={"when": EVERY_MINUTE, "run": [NOTE]})
    run_due(workspace, clock=clock)
    path = workspace.layout.schedule / "state.json"
    path.write_bytes(b'{"jobs": {')
    with pytest.raises(UnreadableError):
        run_due(workspace, clock=clock)
    assert path.read_bytes() == b'{"jobs": {'
    assert not overview(workspace).healthy


def _start(root: Path) -> "subprocess.Popen[bytes]":
    code = "import sys; from holdfast.cli.main import main; sys.argv[0] = 'holdfast'; main()"
    return subprocess.Popen(
        [sys.executable, "-c", code, "schedule", "run-due", "slow", "-w", str(root)],
        env={**__import__("os").environ, "PYTHONPATH": str(SOURCE)},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    )


def _wait_until_it_works(root: Path) -> None:
    path = root / ".holdfast" / "schedule" / "state.json"
    for _ in range(2000):
        if path.exists() and b'"process"' in path.read_bytes():
            return
        time.sleep(0.02)
    raise AssertionError("the job was not started")


SLOW = ["events", "read", "--follow"]  # runs until it is ended


def test_never_twice_at_once(scheduled: Chosen, holdfast: Runner) -> None:
    workspace = scheduled(slow={"when": EVERY_MINUTE, "run": [SLOW]})
    root = workspace.layout.root
    process = _start(root)
    try:
        _wait_until_it_works(root)
        second = holdfast("schedule", "run-due", "slow", "-w", root)
        assert second.returncode == 0
        assert "nothing done: locked by process" in second.stdout
        process.kill()  # what it started goes on
        process.communicate(timeout=60)
        third = holdfast("schedule", "run-due", "slow", "-w", root)
        assert third.stdout.strip() == "nothing is due"
    finally:
        process.kill()
        process.communicate(timeout=60)
        _end_child(root)
    again = overview(workspace)
    assert [job.outcome for job in again.jobs if job.name == "slow"] == ["running"]


def _end_child(root: Path) -> None:
    import os
    import signal

    state = json.loads((root / ".holdfast/schedule/state.json").read_text(encoding="utf-8"))
    os.kill(state["jobs"]["slow"]["process"]["pid"], signal.SIGTERM)


CRASH = """
import sys
from holdfast.facade import open_workspace
from holdfast.schedule.pythons import for_children
from holdfast.schedule.registration.entry import entry_of
from holdfast.schedule.running import run_due
with open_workspace(sys.argv[1]) as workspace:
    run_due(workspace, ["tick"])
"""


@pytest.mark.parametrize("point", ["schedule.started", "schedule.ran"])
def test_what_was_interrupted_runs_again(scheduled: Chosen, run_python: Runner, point: str) -> None:
    workspace = scheduled(tick={"when": "0 0 1 1 *", "run": [NOTE]})
    root = workspace.layout.root
    assert was_killed(run_python(CRASH, root, faults=f"{point}=crash"))
    [run] = run_due(workspace).runs
    assert (run.name, run.outcome) == ("tick", "ok")
    assert run_due(workspace).runs == []


def test_a_line_with_nothing_to_work_on_is_no_failure(
    scheduled: Chosen, holdfast: Runner, monkeypatch: pytest.MonkeyPatch
) -> None:
    require_program("git")
    for who in ("AUTHOR", "COMMITTER"):
        monkeypatch.setenv(f"GIT_{who}_NAME", "Ann")
        monkeypatch.setenv(f"GIT_{who}_EMAIL", "ann@example.org")
    workspace = scheduled()
    root = workspace.layout.root
    for name, hint in (("history", "holdfast history init"), ("drill", "holdfast backup create")):
        [run] = run_due(workspace, [name]).runs
        assert (run.outcome, run.problem) == ("ok", None)
        assert run.note is not None
        assert hint in run.note
    [run] = run_due(workspace, ["retention"]).runs
    assert run.outcome == "ok", run.problem
    assert overview(workspace).healthy
    assert "nothing to do: no git repository" in holdfast("schedule", "list", cwd=root).stdout
    workspace.history.init()
    [run] = run_due(workspace, ["configuration"]).runs
    assert (run.outcome, run.note) == ("ok", None), run.problem


def test_every_change_of_a_configuration_is_saved(scheduled: Chosen) -> None:
    require_program("git")
    workspace = scheduled(configuration={})
    root, home = workspace.layout.root, workspace.layout.home
    workspace.history.init()
    run_due(workspace)
    later = time.time() + 3
    for number, path in enumerate((root / "CLAUDE.md", root / ".claude" / "settings.json")):
        path.parent.mkdir(exist_ok=True)
        path.write_bytes(b"{}\n")
        os.utime(path, (later + 3 * number, later + 3 * number))
        [run] = run_due(workspace).runs
        assert (run.name, run.outcome) == ("configuration", "ok"), run.problem
        assert workspace.history.read(path) == b"{}\n"
        assert run_due(workspace).runs == []
    (home / ".bashrc").write_text("", encoding="utf-8")
    os.utime(home / ".bashrc", (later + 9, later + 9))
    [run] = run_due(workspace).runs
    assert run.outcome == "ok", run.problem

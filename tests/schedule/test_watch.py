"""The watcher: its answers are never behind the disk, it is one, it survives and degrades."""

import json
import os
import shutil
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from holdfast.durable.asking import ask, is_watched
from holdfast.errors import BusyError
from holdfast.facade import Workspace, open_workspace
from holdfast.guard.recording import answer
from holdfast.schedule.watch import Watcher
from holdfast.upkeep.undo import list_points, undo
from tests.conftest import SOURCE, Runner
from tests.schedule.conftest import Chosen
from tests.windows import WINE

BLIND = pytest.mark.skipif(WINE, reason="Wine: a watcher hears nothing of folders that were there")
WATCH = "import sys; from holdfast.cli.main import main; sys.argv[0] = 'holdfast'; main()"


class Watching:
    """A real ``holdfast schedule watch`` in a process of its own."""

    def __init__(self, root: Path, *before: str, ready: bool = True) -> None:
        self.root = root
        self.answered = False
        self.process = subprocess.Popen(
            [*before, sys.executable, "-c", WATCH, "schedule", "watch", "-w", str(root)],
            env={**os.environ, "PYTHONPATH": str(SOURCE), "PYTHONUTF8": "1"},
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
            text=True,
            encoding="utf-8",
        )
        if ready:
            while not is_watched(str(root / ".holdfast" / "schedule")):
                assert self.process.poll() is None
                time.sleep(0.05)

    def call(self, command: str, when: str = "before") -> str:
        """Ask as the hook does; what Claude Code would show."""
        call = {"tool_name": "Bash", "tool_input": {"command": command}, "tool_use_id": command}
        question = when.encode() + b"\n" + json.dumps(call).encode()
        folder = str(self.root / ".holdfast" / "schedule")
        said = ask(folder, question, accepted_within=60, answered_within=60)
        self.answered = said is not None
        return (answer(self.root, question, None).output if said is None else said).decode()

    def end(self) -> str:
        """Kill it; what it said on standard error."""
        self.process.kill()
        _, said = self.process.communicate(timeout=60)
        return said


@pytest.fixture
def workspace(scheduled: Chosen) -> Workspace:
    """A workspace none of whose jobs runs by itself."""
    workspace = scheduled()
    (workspace.layout.root / "shared" / "plan.md").write_text("# Plan\n", encoding="utf-8")
    return workspace


@pytest.fixture
def watching(workspace: Workspace) -> Iterator[Watching]:
    started = Watching(workspace.layout.root)
    yield started
    started.end()


def snapshots(workspace: Workspace) -> list[str]:
    return [info.id for info in workspace.vault.snapshots()]


@BLIND
def test_what_changed_just_before_the_question_is_in_the_point(
    workspace: Workspace, watching: Watching
) -> None:
    plan = workspace.layout.root / "shared" / "plan.md"
    for number in range(15):
        plan.write_text(f"{number}\n", encoding="utf-8")
        assert watching.call(f"rm {number}") == ""
        plan.unlink()
        watching.call(f"rm {number}", "after")
        undo(workspace)
        assert plan.read_text(encoding="utf-8") == f"{number}\n"


def test_nothing_changed_needs_no_snapshot(workspace: Workspace, watching: Watching) -> None:
    for number in range(3):
        watching.call(f"settle {number}")  # what the watcher's start itself left behind
    before = snapshots(workspace)
    for number in range(10):
        assert watching.call(f"ls {number}") == ""
        watching.call(f"ls {number}", "after")
    assert snapshots(workspace) == before
    assert "ls 9" in list_points(workspace)[0].command


@BLIND
def test_the_hook_itself_asks_the_watcher(
    workspace: Workspace, watching: Watching, holdfast: Runner
) -> None:
    root = workspace.layout.root
    call = json.dumps({"tool_name": "Bash", "tool_input": {"command": "ls"}, "tool_use_id": "t1"})
    code = (
        "import sys; sys.argv = ['hook', *sys.argv[1:]]; from holdfast.guard.hook import main; "
        "main(sys.argv[1:]); sys.exit('holdfast.facade' in sys.modules)"
    )
    for when in ("before", "after"):
        done = subprocess.run(
            [sys.executable, "-c", code, str(root), when],
            input=call.encode(),
            env={**os.environ, "PYTHONPATH": str(SOURCE)},
            capture_output=True,
            timeout=120,
            check=False,
        )
        assert (done.returncode, done.stdout, done.stderr) == (0, b"", b"")
    for _ in range(600):  # nobody waits for what is told after the tool
        point = next(each for each in list_points(workspace) if each.command == "Bash: ls")
        if point.ended_at is not None:
            break
        time.sleep(0.1)
    assert point.ended_at is not None
    status = json.loads(holdfast("guard", "status", "--json", "-w", root).stdout)
    assert status["watched"] is True


def test_there_is_one_watcher(workspace: Workspace, watching: Watching, holdfast: Runner) -> None:
    with pytest.raises(BusyError, match="watch the workspace"):
        Watcher(workspace, answer, say=print).run(threading.Event())
    done = holdfast("schedule", "watch", "-w", workspace.layout.root)
    assert done.returncode == 1
    assert "locked by process" in done.stderr


def test_killed_at_any_instant_the_next_one_works(workspace: Workspace) -> None:
    root = workspace.layout.root
    for number in range(3):
        watching = Watching(root)
        watching.call(f"ls {number}")
        thread = threading.Thread(target=_ask_once, args=(root,))
        thread.start()
        watching.end()
        thread.join()
    assert not is_watched(str(root / ".holdfast" / "schedule"))
    watching = Watching(root)
    (root / "shared" / "plan.md").unlink()
    watching.end()
    undo(workspace)
    assert (root / "shared" / "plan.md").exists()


def _ask_once(root: Path) -> None:
    call = b'before\n{"tool_name": "Bash"}'
    ask(str(root / ".holdfast/schedule"), call, accepted_within=0.2, answered_within=20)


@pytest.mark.skipif(sys.platform == "win32", reason="there it is not moved while it is watched")
def test_a_workspace_that_is_moved_ends_its_watcher(workspace: Workspace) -> None:
    root = workspace.layout.root
    watching = Watching(root)
    root.rename(root.with_name("elsewhere"))
    _, said = watching.process.communicate(timeout=60)
    assert watching.process.returncode == 2
    assert f"{root}: the workspace is no longer here" in said


def test_without_a_watcher_nobody_answers(tmp_path: Path) -> None:
    assert ask(str(tmp_path), b"?", accepted_within=5, answered_within=5) is None
    (tmp_path / "watcher.lock").touch()
    assert ask(str(tmp_path), b"?", accepted_within=5, answered_within=5) is None
    assert list(tmp_path.iterdir()) == [tmp_path / "watcher.lock"]


@BLIND
def test_changed_configuration_is_saved(root: Path, holdfast: Runner) -> None:
    note: dict[str, Any] = {"run": [["events", "append", "saved", "configuration", "{}"]]}
    off = {"enabled": False}
    jobs = dict.fromkeys(("snapshots", "history", "archive", "system", "drill", "retention"), off)
    settings = {"schedule": {**jobs, "configuration": note}}
    (root / "configs" / "holdfast.json").write_text(json.dumps(settings), encoding="utf-8")
    assert holdfast("schedule", "run-due", "-w", root).returncode == 0
    watching = Watching(root)
    try:
        (root / "configs" / "environment.json").write_text('{"A": "b"}', encoding="utf-8")
        with open_workspace(root) as workspace:
            for _ in range(600):
                if workspace.events.position():
                    return
                time.sleep(0.1)
        raise AssertionError("the configuration was not saved")
    finally:
        watching.end()


def test_alarms_hear_of_other_programs_files(workspace: Workspace) -> None:
    home = workspace.layout.home
    heard: list[str] = []
    said: list[str] = []
    stop = threading.Event()

    def alarm(_: Workspace, changed: Any) -> list[str]:
        heard.extend(path.name for path in changed)
        if changed:
            stop.set()
        return ["servers vanished"] if changed else []

    watcher = Watcher(workspace, answer, alarms=[alarm], say=said.append)
    (home / ".claude.json").write_text("{}", encoding="utf-8")
    timer = threading.Timer(60, stop.set)
    timer.start()
    watcher.run(stop)
    timer.cancel()
    assert heard == [".claude.json"]
    assert said == ["servers vanished"]


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux has inotify")
@pytest.mark.parametrize("room", [0, 6])
def test_too_few_watches_are_told_and_lived_with(workspace: Workspace, room: int) -> None:
    root = workspace.layout.root
    folders = 2 + sum(path.is_dir() for path in root.rglob("*"))  # and one below .holdfast
    few = f'echo {folders + room} > /proc/sys/user/max_inotify_watches && exec "$@"'
    before = [shutil.which("unshare") or "false", "-Ur", "sh", "-c", few, "sh"]
    if subprocess.run([*before, "true"], capture_output=True, check=False).returncode != 0:
        pytest.skip("NOT TESTED: no user namespace to lower the limit in")
    if not room:
        before[4] = before[4].replace(str(folders), "3")
    watching = Watching(root, *before, ready=bool(room))
    try:
        plan = root / "made" / "9" / "plan.md"
        for number in range(10):
            (root / "made" / str(number)).mkdir(parents=True)
        assert watching.process.stderr is not None
        assert "watching" in watching.process.stderr.readline()
        told = watching.process.stderr.readline()
        for text in ("one", "two"):  # in a folder that is not watched
            plan.write_text(text, encoding="utf-8")
            assert watching.call(f"rm {text}") == ""
            assert not watching.answered
            plan.unlink()
            watching.call(f"rm {text}", "after")
            undo(workspace)
            assert plan.read_text(encoding="utf-8") == text
    finally:
        watching.end()
    assert "the system gives no more watches" in told
    assert "max_user_watches" in told

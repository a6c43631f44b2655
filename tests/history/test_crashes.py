"""kill -9 at every fault point of a save and of a restore, and at random instants of a save."""

import os
import subprocess
import sys
import time
from pathlib import Path

import pytest

from holdfast.durable.quarantine import Quarantine
from holdfast.history import History
from tests.conftest import SOURCE, Runner, was_killed
from tests.history.conftest import Call
from tests.kills import RandomKills

SAVE = """
    import sys
    from pathlib import Path
    from holdfast.durable.quarantine import Quarantine
    from holdfast.history import History
    root = Path(sys.argv[1])
    History(root, quarantine=Quarantine(root.parent.parent / "quarantine")).save()
"""
RESTORE = SAVE.replace(".save()", '.restore(Path("agents"), rev="HEAD")')

SAVE_POINTS = ["scanned", "stored", "committed", "prepared", "indexed", "published"]
RESTORE_POINTS = ["checked-out", "set-aside", "placed"]
AGENT = "development/agents/director-agent.py"


def files_of(home: Path) -> dict[str, bytes]:
    found = {}
    for folder, folders, files in os.walk(home):
        # Not even listed: a git that outlived its parent may still be at work there.
        folders[:] = [name for name in folders if name != ".git"]
        for name in files:
            path = Path(folder) / name
            found[str(path.relative_to(home))] = path.read_bytes()
    return found


@pytest.fixture
def staged(history: History, root: Path, git: Call) -> None:
    """Work to be saved, and a staged version of a file that differs from it."""
    history.save()
    (root / "agents" / "director-agent.py").write_bytes(b"staged\n")
    git("add", AGENT)
    (root / "agents" / "director-agent.py").write_bytes(b"on disk\n")
    (root / "new.txt").write_bytes(b"new\n")
    (root / ".gitignore").write_bytes(b"logs/\n")


def test_the_points_are_these(
    run_python: Runner, history: History, root: Path, staged: None, tmp_path: Path
) -> None:
    run_python(SAVE, root, trace=tmp_path / "trace")
    (root / "agents" / "director-agent.py").write_bytes(b"again\n")
    run_python(RESTORE, root, trace=tmp_path / "trace")
    passed = (tmp_path / "trace").read_text(encoding="utf-8").split()
    expected = {f"history.save.{point}" for point in SAVE_POINTS}
    expected |= {f"history.restore.{point}" for point in RESTORE_POINTS}
    assert {point for point in passed if point.startswith("history.")} == expected


@pytest.mark.parametrize("point", SAVE_POINTS)
def test_a_save_killed_at_each_point_loses_nothing_and_goes_on(
    run_python: Runner, history: History, root: Path, git: Call, staged: None, point: str
) -> None:
    before, index = files_of(root.parent), (root.parent / ".git" / "index").read_bytes()
    head = git("rev-parse", "HEAD")
    killed = run_python(SAVE, root, faults=f"history.save.{point}=crash")
    assert was_killed(killed), killed.stderr
    assert files_of(root.parent) == before
    git("fsck", "--strict")
    assert git("cat-file", "blob", f":{AGENT}") == "staged\n"
    if point in SAVE_POINTS[:4]:
        assert (root.parent / ".git" / "index").read_bytes() == index
        assert git("rev-parse", "HEAD") == head
    check_goes_on(history, root, git, before)


def test_work_that_goes_on_after_a_kill_is_not_taken_for_staged(
    run_python: Runner, history: History, root: Path, git: Call, staged: None
) -> None:
    killed = run_python(SAVE, root, faults="history.save.indexed=crash")
    assert was_killed(killed), killed.stderr
    assert "development/new.txt" in git("diff", "--cached", "--name-only")
    (root / "new.txt").write_bytes(b"newer\n")
    history.save()
    assert git("diff", "--cached", "--name-only").split() == [AGENT]
    assert git("cat-file", "blob", ":development/new.txt") == "newer\n"


@pytest.mark.slow
def test_a_save_killed_at_random_instants_goes_on(
    history: History, root: Path, git: Call, staged: None
) -> None:
    environment = {**os.environ, "PYTHONPATH": str(SOURCE)}
    code = "\n".join(line.strip() for line in SAVE.strip().splitlines())
    command = [sys.executable, "-c", code, str(root)]
    (root / "first.txt").write_bytes(b"first\n")
    began = time.monotonic()
    subprocess.run(command, env=environment, check=True)
    kills = RandomKills(environment, time.monotonic() - began)
    for number in kills.rounds(12):
        (root / f"{number}.txt").write_bytes(b"%d\n" % number)
        before = files_of(root.parent)
        kills.run(command)
        await_children(root.parent / ".git" / "index.lock")
        assert files_of(root.parent) == before
        git("fsck", "--strict")
    check_goes_on(history, root, git, files_of(root.parent))


def await_children(lock: Path) -> None:
    """A git that outlives its killed parent ends by itself."""
    deadline = time.monotonic() + 30
    while lock.exists() and time.monotonic() < deadline:
        time.sleep(0.01)


def check_goes_on(history: History, root: Path, git: Call, before: dict[str, bytes]) -> None:
    assert history.save().healthy
    assert git("cat-file", "blob", f"HEAD:{AGENT}") == "on disk\n"
    assert git("cat-file", "blob", "HEAD:development/new.txt") == "new\n"
    # What the person staged is still there, and nothing else looks staged.
    assert git("cat-file", "blob", f":{AGENT}") == "staged\n"
    assert git("diff", "--cached", "--name-only").split() == [AGENT]
    assert files_of(root.parent) == before
    git("fsck", "--strict")
    assert {path.name for path in (root.parent / ".git" / "holdfast").iterdir()} == {"history.lock"}
    assert not (root.parent / ".git" / "index.lock").exists()
    assert history.save().commit is None


@pytest.mark.parametrize("point", RESTORE_POINTS)
def test_a_restore_killed_at_each_point_goes_on(
    run_python: Runner, history: History, root: Path, git: Call, tmp_path: Path, point: str
) -> None:
    saved = {f"agents/{number}.py": b"saved %d\n" % number for number in range(3)}
    for name, content in saved.items():
        (root / name).write_bytes(content)
    history.save()
    changed = {name: b"changed " + name.encode() for name in saved}
    for name, content in changed.items():
        (root / name).write_bytes(content)
    index = git("ls-files", "--stage")
    visit = 1 if point == "checked-out" else 2
    killed = run_python(RESTORE, root, faults=f"history.restore.{point}=crash@{visit}")
    assert was_killed(killed), killed.stderr
    assert git("ls-files", "--stage") == index
    assert history.restore(Path("agents")).healthy
    for name, content in saved.items():
        assert (root / name).read_bytes() == content
    quarantine = Quarantine(tmp_path / "quarantine")
    kept = {entry.origin: entry.id for entry in quarantine.list_entries()}
    for name, content in changed.items():
        item = tmp_path / "quarantine" / kept[str(root / name)] / "item"
        assert item.read_bytes() == content

"""Kill -9 and a full disk, at every fault point and at random, during recover and restore."""

import json
import shutil
import subprocess
import sys
import time
from importlib.util import find_spec
from pathlib import Path

import pytest

from holdfast.durable.files import TEMPORARY_SUFFIX, is_temporary
from holdfast.durable.reserve import spend
from holdfast.workspace.destinations import add_destination
from holdfast.workspace.settings import DestinationEntry
from tests.conftest import require
from tests.kills import RandomKills
from tests.recovery.conftest import (
    Saved,
    change,
    command,
    contents,
    environment,
    events_in,
    jobs_in,
    kept,
    runs_in,
    visited,
)
from tests.services.conftest import is_alive, wait_until

pytestmark = pytest.mark.slow

OURS = ("recovery.", "vault.", "quarantine.", "sqlite.")  # crashed at the first and last visit


def check_recovered(saved: Saved, harmed: dict[str, bytes]) -> None:
    """Everything is as it was in the snapshot, and what was replaced is in quarantine."""
    found = contents(saved.root)
    found.pop("notes/extra.txt")
    assert found == saved.files
    assert runs_in(saved.root / ".holdfast/state.db") == ["before"]
    assert jobs_in(saved.root) == ["before"]
    assert events_in(saved.root) == ["Began"]
    replaced = {path for path, data in harmed.items() if saved.files.get(path) != data}
    lost = {harmed[path] for path in replaced - {"notes/extra.txt"}} - kept(saved.root)
    assert not lost


class Harmed:
    """A harmed workspace that each round begins with."""

    def __init__(self, saved: Saved, place: Path) -> None:
        change(saved)
        self.saved = saved
        self.files = contents(saved.root)
        self._copy = place / "harmed"
        shutil.copytree(saved.root, self._copy)

    def again(self) -> None:
        shutil.rmtree(self.saved.root)
        shutil.copytree(self._copy, self.saved.root)


@pytest.mark.parametrize("work", [["recover"], ["restore", "latest"]], ids=lambda work: work[0])
def test_killed_at_every_fault_point(saved: Saved, tmp_path: Path, work: list[str]) -> None:
    harmed = Harmed(saved, tmp_path)
    work = [*work, "--yes", "-w", str(saved.root)]
    points = visited(*work, trace=tmp_path / "trace")
    expected = {"recovery.set_aside", "recovery.restored"} if "recover" in work else set()
    assert {"vault.restore.file", "quarantine.taken", *expected} <= set(points)
    check_recovered(saved, harmed.files)
    for point, count in sorted(points.items()):
        for visit in sorted({1, count if point.startswith(OURS) else 1}):
            harmed.again()
            faults = environment(f"{point}=crash@{visit}")
            ended = subprocess.run(command(*work), env=faults, check=False, capture_output=True)
            assert ended.returncode not in (0, 1), (point, visit, ended.stderr)
            subprocess.run(command(*work), env=environment(), check=True, capture_output=True)
            check_recovered(saved, harmed.files)


def test_recover_on_a_full_disk_goes_on_when_there_is_room(saved: Saved, tmp_path: Path) -> None:
    harmed = Harmed(saved, tmp_path)
    work = ["recover", "--yes", "-w", saved.root]
    for point in ("vault.restore.file@1", "vault.restore.file@5"):
        name, _, visit = point.partition("@")
        harmed.again()
        spend(saved.root / "reserve")  # a full disk has taken that already
        faults = environment(f"{name}=error:ENOSPC@{visit}")
        ended = subprocess.run(
            command(*work), env=faults, check=False, capture_output=True, text=True
        )
        assert ended.returncode == 1, (point, ended.stderr)
        assert "No space left" in ended.stderr
        subprocess.run(command(*work), env=environment(), check=True, capture_output=True)
        check_recovered(saved, harmed.files)


@pytest.mark.skipif(sys.platform == "win32", reason="file size limits are POSIX")
def test_recover_under_a_real_limit_of_the_system(saved: Saved, tmp_path: Path) -> None:
    """A limit on the size of files makes every larger write fail, also without privileges."""
    (saved.root / "large.bin").write_bytes(bytes(range(256)) * 4000)
    with saved.opened() as workspace:
        workspace.snapshot()
    saved.files.update(contents(saved.root))
    harmed = Harmed(saved, tmp_path)
    (saved.root / "large.bin").unlink()
    code = (
        "import resource, runpy, signal, sys\n"
        "signal.signal(signal.SIGXFSZ, signal.SIG_IGN)\n"
        "resource.setrlimit(resource.RLIMIT_FSIZE, (600_000, 600_000))\n"
        "sys.argv[0] = 'holdfast'\n"
        "runpy.run_module('holdfast', run_name='__main__')\n"
    )
    work = ["recover", "--yes", "-w", str(saved.root)]
    limited = [sys.executable, "-c", code, *work]
    ended = subprocess.run(limited, env=environment(), check=False, capture_output=True, text=True)
    assert ended.returncode == 1, ended.stderr
    assert "large.bin" in ended.stdout
    assert "File too large" in ended.stdout
    assert not (saved.root / "large.bin").exists()
    subprocess.run(command(*work), env=environment(), check=True, capture_output=True)
    check_recovered(saved, harmed.files)


@pytest.mark.parametrize("work", [["recover"], ["restore", "latest"]], ids=lambda work: work[0])
def test_killed_at_random(saved: Saved, tmp_path: Path, work: list[str]) -> None:
    harmed = Harmed(saved, tmp_path)
    work = command(*work, "--yes", "-w", saved.root)
    harmed.again()
    began = time.monotonic()
    subprocess.run(work, env=environment(), check=True, capture_output=True)
    kills = RandomKills(environment(), time.monotonic() - began)
    for _ in kills.rounds(6):
        harmed.again()
        for _ in range(2):
            kills.run(work)
        subprocess.run(work, env=environment(), check=True, capture_output=True)
        check_recovered(saved, harmed.files)


def test_what_a_killed_recovery_left_is_cleaned_up(saved: Saved, tmp_path: Path) -> None:
    """Half a file, a vault unpacked from an archive, and an environment without pip."""
    require(find_spec("venv") is not None, "the module venv of Python")
    with saved.opened() as workspace:
        entry = DestinationEntry(str(tmp_path / "away"), name="away", kind="archive")
        add_destination(workspace.layout, entry)
    (saved.root / "requirements.txt").write_text("", encoding="utf-8")
    with saved.opened() as workspace:
        assert all(outcome.healthy for outcome in workspace.back_up(["away"]))
    (archive,) = (tmp_path / "away").glob("development-*")
    new = tmp_path / "new"
    work = command("recover", archive, "--to", new)
    faults = environment("vault.restore.file=crash@5")
    ended = subprocess.run(work, env=faults, check=False, capture_output=True)
    assert ended.returncode not in (0, 1), ended.stderr
    assert any((new / ".holdfast/recovery/scratch").iterdir())
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", new / ".venv"], check=True)
    (new / "agents").mkdir(exist_ok=True)
    (new / "agents" / f".half{TEMPORARY_SUFFIX}").write_bytes(b"half")
    done = subprocess.run(work, env=environment(), check=False, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr
    assert not (new / ".holdfast/recovery/scratch").exists()
    assert [path for path in new.rglob("*") if is_temporary(path.name)] == []


def test_a_program_that_a_killed_recovery_left_is_ended(saved: Saved, tmp_path: Path) -> None:
    marks = tmp_path / "marks"
    (saved.root / "verify-mcp-setup.py").write_text(
        f"import os, time\nwith open({str(marks)!r}, 'a') as file:\n"
        "    file.write(f'{os.getpid()}\\n')\n"
        f"time.sleep(0 if os.path.exists({str(marks) + '-go'!r}) else 600)\n",
        encoding="utf-8",
    )
    with saved.opened() as workspace:
        workspace.snapshot()
    work = command("recover", "--yes", "-w", saved.root)
    with subprocess.Popen(work, env=environment(), stdout=subprocess.DEVNULL) as process:
        wait_until(lambda: marks.exists() and marks.read_text("utf-8"), "the program runs")
        process.kill()
    orphan = int(marks.read_text("utf-8").split()[0])
    assert is_alive(orphan)
    (tmp_path / "marks-go").touch()
    subprocess.run(work, env=environment(), check=True, capture_output=True)
    assert not is_alive(orphan)


def test_a_torn_run_state_is_begun_anew(saved: Saved, tmp_path: Path) -> None:
    harmed = Harmed(saved, tmp_path)
    work = command("recover", "--yes", "-w", saved.root)
    state = saved.root / ".holdfast/recovery/state.db"
    state.parent.mkdir()
    state.write_bytes(b"torn" * 100)
    subprocess.run(work, env=environment(), check=True, capture_output=True)
    check_recovered(saved, harmed.files)
    assert b"torn" * 100 in kept(saved.root)


@pytest.mark.parametrize("harmed_again", [False, True])
def test_what_goes_on_after_the_files(saved: Saved, harmed_again: bool) -> None:
    """Files that are back are not brought back again, unless some are missing since."""
    verify = saved.root / "verify-mcp-setup.py"
    verify.write_text("print('fine')\n", encoding="utf-8")
    with saved.opened() as workspace:
        workspace.snapshot()
    work = command("recover", "--yes", "--json", "-w", saved.root)
    faults = environment("recovery.program=crash@1")
    subprocess.run(work, env=faults, check=False, capture_output=True)
    verify.write_text("print('mended by hand')\n", encoding="utf-8")
    if harmed_again:
        (saved.root / "agents/bee.py").unlink()
    done = subprocess.run(work, env=environment(), check=True, capture_output=True)
    report = json.loads(done.stdout)
    assert report["resumed"] is not harmed_again
    said = {step["name"]: step["summary"] for step in report["steps"]}["configurations"]
    assert said == f"verify-mcp-setup.py: {'fine' if harmed_again else 'mended by hand'}"
    assert (saved.root / "agents/bee.py").is_file()

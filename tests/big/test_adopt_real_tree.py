"""A tree like a real workspace, with some 80,000 files: adopt it, back it up, back it up again."""

import json
import os
import re
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from benchmarks.tree import Shape, make_tree

from tests.conftest import SOURCE, Runner, require_program

# As many files as in a real one, and tiny: what is tried here is their number.
SHAPE = Shape(packages=30_000, modules=19_500, libraries=11_000, text=150, logs=80_000, database=1)
TRUSTED_AGE = 3_000_000_000  # nanoseconds; more than a snapshot asks of a file's times
FEWER = SHAPE.divided(20)


@pytest.mark.slow
@pytest.mark.timeout(600)
def test_an_unchanged_tree_is_backed_up_without_opening_a_file(
    tmp_path: Path, holdfast: Runner
) -> None:
    trace = sys.platform == "linux"
    tree, home = tmp_path / "development", tmp_path / "home"
    home.mkdir()
    files = make_tree(tree, SHAPE if trace else FEWER)
    assert files > (80_000 if trace else 4_000)

    before = listing(tree)
    done = holdfast("adopt", tree, "--home", home, "--json")
    assert done.returncode == 0, done.stderr
    assert listing(tree) == before

    grow_old(before)
    done = holdfast("backup", "create", "--everything", "--json", "-w", tree)
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout)["snapshot"]["totals"]["files"] >= files

    opened = opened_under_strace if trace else opened_by_audit
    second, seen = snapshot(tree, tmp_path / "second.trace", opened)
    assert seen & before.keys() == set()
    assert second["snapshot"]["totals"]["unchanged"] >= files
    assert second["healthy"]
    assert second["proof"] is not None

    edited = sorted(before)[files // 2]
    with (tree / edited).open("a", encoding="utf-8") as file:
        file.write("edited")
    _, seen = snapshot(tree, tmp_path / "third.trace", opened)
    assert seen & before.keys() == {edited}


Opened = Callable[[list[str], Path, dict[str, str]], tuple[str, set[str]]]


def snapshot(tree: Path, trace: Path, opened: Opened) -> tuple[dict[str, Any], set[str]]:
    """Take one; its report, and the files below `tree` that were opened for it."""
    path = os.pathsep.join(filter(None, [str(SOURCE), os.environ.get("PYTHONPATH")]))
    environment = {**os.environ, "HOLDFAST_WORKSPACE": str(tree), "PYTHONPATH": path}
    arguments = ["backup", "create", "--everything", "--json"]
    printed, names = opened(arguments, trace, environment)
    prefix = str(tree) + os.sep
    below = {
        name.removeprefix(prefix).replace(os.sep, "/") for name in names if name.startswith(prefix)
    }
    return json.loads(printed), below


def opened_under_strace(
    arguments: list[str], trace: Path, environment: dict[str, str]
) -> tuple[str, set[str]]:
    """Run the command; what it printed, and every path that the system opened for it.

    `-y` resolves the folder of an openat, so that paths relative to a descriptor are seen too.
    """
    calls = "trace=open,openat,openat2"
    strace = [require_program("strace"), "-f", "-qq", "-y", "-s", "4096", "-e", calls]
    # Only the calls that are traced stop the process: 80,000 lstat calls pass at full speed.
    command = [
        *strace,
        "-o",
        str(trace),
        "--seccomp-bpf",
        sys.executable,
        "-m",
        "holdfast",
        *arguments,
    ]
    done = subprocess.run(command, env=environment, capture_output=True, check=False)
    assert done.returncode == 0, done.stderr.decode()
    names = set()
    call = re.compile(r'open(?:at2?)?\((?:(?:AT_FDCWD|\d+)(?:<([^>]*)>)?, )?"((?:[^"\\]|\\.)*)"')
    for line in trace.read_text("utf-8").splitlines():
        found = call.search(line)
        if found and "O_DIRECTORY" not in line:
            names.add(os.path.join(found[1] or "", found[2]))  # noqa: PTH118 — as the system does
    return done.stdout.decode(), names


AUDITED = """
import os, runpy, sys
trace, sys.argv = sys.argv[1], ["holdfast", *sys.argv[2:]]
seen = open(trace, "a", encoding="utf-8", buffering=1)
def note(event, arguments):
    if event == "open" and isinstance(arguments[0], str):
        seen.write(os.path.abspath(arguments[0].removeprefix("\\\\\\\\?\\\\")) + "\\n")
sys.addaudithook(note)
runpy.run_module("holdfast", run_name="__main__")
"""


def opened_by_audit(
    arguments: list[str], trace: Path, environment: dict[str, str]
) -> tuple[str, set[str]]:
    """The same where there is no strace: what Python itself was asked to open."""
    command = [sys.executable, "-c", AUDITED, str(trace), *arguments]
    done = subprocess.run(command, env=environment, capture_output=True, check=False)
    assert done.returncode == 0, done.stderr.decode()
    return done.stdout.decode(), set(trace.read_text("utf-8").splitlines())


def grow_old(files: dict[str, tuple[int, int]]) -> None:
    """Wait until no file is so young that a snapshot must not trust its time."""
    newest = max(changed for _, changed in files.values())
    while time.time_ns() - newest < TRUSTED_AGE:
        time.sleep(0.1)


def listing(tree: Path) -> dict[str, tuple[int, int]]:
    """Size and time of every file below `tree`, but Holdfast's own."""
    found = {}
    for folder, folders, names in os.walk(tree):
        if Path(folder) == tree and ".holdfast" in folders:
            folders.remove(".holdfast")
        for name in names:
            path = Path(folder, name)
            status = path.lstat()
            found[path.relative_to(tree).as_posix()] = (status.st_size, status.st_mtime_ns)
    return found

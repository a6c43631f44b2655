"""What is timed of a backup program, from outside: wall time and peak memory of its processes.

An adapter has ``connect(tree, store) -> Backups``. All sides back up the one tree in turn.
"""

import filecmp
import os
import shutil
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from types import ModuleType
from typing import Any, Protocol, cast

from benchmarks.tree import Shape, edit_tree, ensure_tree

_OURS = ".holdfast"  # the workspace's own state is not compared


class Backups(Protocol):
    """The commands of a backup program: each a list of processes' arguments."""

    environment: dict[str, str]

    def prepare(self) -> list[list[str]]:
        """Make the store; not timed."""

    def create(self) -> list[list[str]]:
        """Back the whole tree up, nothing left out."""

    def restore(self, target: Path) -> list[list[str]]:
        """Bring all back below `target`, which is there and empty."""

    def restore_one(self, path: Path, target: Path) -> list[list[str]]:
        """Bring one file back below `target`; `path` is relative to the tree."""

    def restored_tree(self, target: Path) -> Path:
        """Where the tree's content is after `restore`."""


class Driver:
    """The days of a backup: first, nothing changed, a day's work, and back again."""

    def __init__(self, adapter: ModuleType) -> None:
        self._adapter = adapter

    def days(self, folder: str, number: int, tree: str, divided_by: int) -> dict[str, Any]:
        """All of it once into a store of its own; figures by name."""
        root, place = Path(tree), Path(folder) / str(number)
        ensure_tree(root, Shape().divided(divided_by))
        place.mkdir()
        backups = cast("Backups", self._adapter.connect(root, place / "store"))
        clock = _Clock(backups.environment)
        clock.run("prepare", backups.prepare())
        clock.run("first", backups.create())
        clock.run("unchanged", backups.create())
        edit_tree(root, number=time.time_ns())
        clock.run("changed", backups.create())
        size = _size(place / "store")
        clock.run("restore", backups.restore(_empty(place / "all")))
        _compare(root, backups.restored_tree(place / "all"))
        one = next((root / "agents").glob("*/*/*.py")).relative_to(root)
        clock.run("one", backups.restore_one(one, _empty(place / "one")))
        if not filecmp.cmp(root / one, backups.restored_tree(place / "one") / one, shallow=False):
            raise AssertionError(f"{one} came back different")
        shutil.rmtree(place)
        return {**clock.seconds, "size": size / 1e6, "memory": clock.peak / 1e6}

    def close(self) -> None:
        """Nothing is open."""


class _Clock:
    """Runs processes; `seconds` by name, `peak` the most bytes any of them had in memory."""

    def __init__(self, environment: dict[str, str]) -> None:
        self._environment = {**os.environ, **environment}
        self.seconds: dict[str, float] = {}
        self.peak = 0

    def run(self, name: str, commands: Sequence[Sequence[str]]) -> None:
        started = time.perf_counter()
        for command in commands:
            process = subprocess.Popen(
                command, env=self._environment, stdout=subprocess.DEVNULL, stdin=subprocess.DEVNULL
            )
            status, peak = _wait(process)
            self.peak = max(self.peak, peak)
            if status != 0:
                raise AssertionError(f"{command} ended with {status}")
        self.seconds[name] = time.perf_counter() - started


def _wait(process: "subprocess.Popen[bytes]") -> tuple[int, int]:
    """The exit status and the peak memory in bytes, 0 where the system does not tell."""
    if sys.platform == "win32":
        return process.wait(), 0
    _, status, usage = os.wait4(process.pid, 0)
    process.returncode = os.waitstatus_to_exitcode(status)
    unit = 1 if sys.platform == "darwin" else 1024
    return process.returncode, usage.ru_maxrss * unit


def _compare(tree: Path, restored: Path) -> None:
    """Raise when a file is missing or has another content."""
    for folder, folders, names in os.walk(tree):
        if _OURS in folders:
            folders.remove(_OURS)
        there = restored / Path(folder).relative_to(tree)
        _, different, missing = filecmp.cmpfiles(folder, there, names, shallow=False)
        if different or missing:
            raise AssertionError(f"{there}: different {different[:3]}, missing {missing[:3]}")


def _empty(folder: Path) -> Path:
    folder.mkdir()
    return folder


def _size(store: Path) -> int:
    return sum(
        Path(folder, name).lstat().st_size for folder, _, names in os.walk(store) for name in names
    )

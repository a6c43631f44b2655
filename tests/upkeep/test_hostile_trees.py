"""Cleaning a tree that means ill: nothing outside goes, nothing tracked, whatever it looks like."""

import json
import os
import random
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import pytest

from holdfast.durable.trees import walk
from holdfast.errors import UsageError
from holdfast.facade import Workspace, open_workspace
from holdfast.upkeep.cleaning import Plan
from holdfast.workspace.creation import adopt, create
from tests.conftest import child_environment, require_program

CACHE = "__pycache__"


@pytest.fixture
def workspace(tmp_path: Path) -> Iterator[Workspace]:
    create(tmp_path / "development", home=tmp_path)
    with open_workspace(tmp_path / "development") as opened:
        yield opened


def put(path: Path) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(b"x")
    return path


def content(folder: Path) -> list[str]:
    return [entry.path for entry in walk(folder)]


def test_what_holds_a_home_or_backups_stays_whatever_it_is_called(
    workspace: Workspace, monkeypatch: pytest.MonkeyPatch
) -> None:
    root = workspace.layout.root
    vault, home = root / "agents" / CACHE / "vault", root / "configs" / CACHE
    text = json.dumps({"backups": str(vault)})
    workspace.layout.settings.write_text(text, encoding="utf-8")
    for name in ("HOME", "USERPROFILE"):
        monkeypatch.setenv(name, str(home))
    for folder in (vault, home, root / "shared" / CACHE):
        put(folder / "x.pyc")
    with open_workspace(root) as again:
        report = Plan(again).apply()
    assert [Path(item.path).parent.name for item in report.items] == ["shared"]
    assert {each.reason for each in report.spared} == {
        "the backups of backups are in it",
        "the home is in it",
    }
    assert (vault / "x.pyc").is_file()
    assert (home / "x.pyc").is_file()


def test_neither_the_home_nor_the_root_can_be_a_workspace(tmp_path: Path) -> None:
    for folder in (tmp_path, Path(tmp_path.anchor)):
        with pytest.raises(UsageError, match="not the home itself"):
            adopt(folder, home=tmp_path)


def test_a_mounted_disk_is_neither_taken_nor_looked_into(tmp_path: Path) -> None:
    if sys.platform != "linux" or os.geteuid() != 0:
        pytest.skip("NOT TESTED: mounting needs root on Linux")
    require_program("unshare")
    root = tmp_path / "development"
    create(root, home=tmp_path)
    itself, around, above = (root / "agents" / name for name in ("a", "b", "c"))
    points = (itself / CACHE, around / CACHE / "below", above)
    for point in points:
        point.mkdir(parents=True)
    code = (
        "import sys; from pathlib import Path; from holdfast.facade import open_workspace\n"
        "from holdfast.upkeep.cleaning import Plan\n"
        "for place in sys.argv[2:]: (Path(place) / '__pycache__').mkdir()\n"
        "report = Plan(open_workspace(Path(sys.argv[1]))).apply()\n"
        "assert not report.items, report\n"
        "print([each.reason for each in report.spared])\n"
        "assert all((Path(place) / '__pycache__').is_dir() for place in sys.argv[2:])\n"
    )
    mounts = "".join(f'mount -t tmpfs none "${n}" && ' for n in range(2, 5))
    script = f'{mounts} exec "$0" -c "$CODE" "$@"'
    done = subprocess.run(
        ["unshare", "-m", "sh", "-c", script, sys.executable, str(root), *map(str, points)],
        env=child_environment({"CODE": code}),
        capture_output=True,
        text=True,
        encoding="utf-8",
        timeout=60,
        check=False,
    )
    if "permission denied" in done.stderr or "not permitted" in done.stderr:
        pytest.skip("NOT TESTED: this container may not mount")
    assert done.returncode == 0, done.stderr
    assert "another file system is mounted below it" in done.stdout
    assert "another file system is mounted there" in done.stdout


@pytest.mark.skipif(sys.platform != "win32", reason="junctions are of Windows")
def test_junctions_are_neither_followed_nor_taken(workspace: Workspace, tmp_path: Path) -> None:
    outside = put(tmp_path / "outside" / CACHE / "x.pyc")
    for link, target in (("out", outside.parents[1]), (CACHE, outside.parent)):
        place = str(workspace.layout.agents / link)
        made = subprocess.run(["cmd", "/c", "mklink", "/J", place, str(target)], check=False)
        if made.returncode != 0:
            pytest.skip("NOT TESTED: no junction can be made here")
    assert Plan(workspace).apply().items == []
    assert outside.is_file()


class Mischief(threading.Thread):
    """Makes, moves, removes and replaces folders by links to the outside, until it is stopped."""

    def __init__(self, root: Path, outside: Path, seed: int) -> None:
        super().__init__(daemon=True)
        self._root, self._outside = root, outside
        self._chance = random.Random(seed)
        self.stop = threading.Event()

    def run(self) -> None:
        while not self.stop.wait(0.002):
            folder = self._root / self._chance.choice("abcd")
            with suppress(OSError):
                self._chance.choice([self._make, self._link, self._move, self._unlink])(folder)

    def _make(self, folder: Path) -> None:
        put(folder / CACHE / "x.pyc")

    def _link(self, folder: Path) -> None:
        folder.rename(self._root / f"away-{self._chance.randrange(20)}")
        if sys.platform != "win32":
            folder.symlink_to(self._outside, target_is_directory=True)

    def _move(self, folder: Path) -> None:
        folder.rename(self._root / self._chance.choice("abcd"))

    def _unlink(self, folder: Path) -> None:
        folder.unlink()


@pytest.mark.parametrize("seed", range(2))
def test_a_tree_that_changes_meanwhile(workspace: Workspace, tmp_path: Path, seed: int) -> None:
    outside = tmp_path / "outside"
    for name in ("x.pyc", f"{CACHE}/y.pyc", "node_modules/z.js", f"a/{CACHE}/w.pyc"):
        put(outside / name)
    before = content(outside)
    mischief = Mischief(workspace.layout.agents, outside, seed)
    mischief.start()
    try:
        for _ in range(4):
            Plan(workspace, ["python-cache"]).apply()
    finally:
        mischief.stop.set()
        mischief.join()
    assert set(content(outside)) >= set(before)  # more, where mischief went through its links
    report = Plan(workspace, ["python-cache"]).report()  # and it can still be read
    assert all(Path(item.path).is_relative_to(workspace.layout.root) for item in report.items)


def test_what_git_tracks_stays_in_a_tree_that_changes_meanwhile(workspace: Workspace) -> None:
    git = require_program("git")
    root = workspace.layout.root
    kept = [put(root / "shared" / name / CACHE / "kept.pyc") for name in "abcd"]
    for line in (["init", "-q"], ["add", "-f", "shared"]):
        subprocess.run([git, *line], cwd=root, check=True, timeout=60)
    mischief = Mischief(workspace.layout.agents, workspace.layout.configs, 9)
    mischief.start()
    try:
        for _ in range(2):
            Plan(workspace, ["python-cache"]).apply()
    finally:
        mischief.stop.set()
        mischief.join()
    assert all(path.is_file() for path in kept)

"""Kill -9 and a full disk during archives, copies and syncs: what was there before stays."""

import os
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from holdfast.errors import StorageError
from holdfast.vault import Vault
from holdfast.vault.archives.writing import create_archive
from holdfast.vault.copies import create_copy
from holdfast.vault.create import Order
from holdfast.vault.identities import KeySource
from holdfast.vault.naming import kept_backups
from holdfast.vault.repository import Access
from holdfast.vault.unpacked import unpacked
from tests.kills import RandomKills
from tests.vault.access import create
from tests.vault.test_crash import child, environment, visited
from tests.vault.trees import facts, write

ARCHIVE = """
import sys
from pathlib import Path
from holdfast.vault.archives.writing import create_archive
from holdfast.vault.create import Order
from holdfast.vault.repository import Access
from tests.vault.access import recipients
tree, folder, private = map(Path, sys.argv[1:])
access = Access(recipients=recipients())
assert create_archive(folder, Order(tree, workspace_name="bees"), access, private).healthy
"""
COPY = """
import sys
from pathlib import Path
from holdfast.vault.copies import create_copy
from holdfast.vault.create import Order
tree, folder, private = map(Path, sys.argv[1:])
assert create_copy(folder, Order(tree, workspace_name="bees"), private).healthy
"""
SYNC = """
import sys
from pathlib import Path
import holdfast.vault.packs as packs
from holdfast.vault import Vault
packs.PACK_SIZE, packs.PACKS_PER_FRAGMENT = 1 << 17, 2
source, target, _ = map(Path, sys.argv[1:])
assert Vault.open(target).copy_from(Vault.open(source)).healthy
"""


def small_tree(root: Path) -> Path:
    (root / "agents").mkdir(parents=True)
    write(root / "agents" / "one.py", b"print(1)\n")
    write(root / "random", os.urandom(300_000))
    write(root / "empty", b"")
    os.link(root / "random", root / "twin")
    return root


def check_all(folder: Path, kind: str, private: Path, before: dict[str, object]) -> None:
    """Every archive or copy that has its name comes back whole."""
    for number, (path, _) in enumerate(kept_backups(folder, kind)):
        out = private.parent / f"out-{time.monotonic_ns()}-{number}"
        with unpacked(path, KeySource(), private) as (vault, identity, problems):
            assert problems == []
            assert Vault(vault).restore(identity, to=out).healthy
        assert facts(out) == before


def leftovers(folder: Path) -> list[Path]:
    return [path for path in folder.iterdir() if path.name.endswith(".holdfast-tmp")]


def make_old(folder: Path) -> None:
    """As if a day had passed since the crash."""
    for path in folder.iterdir():
        if path.name.endswith(".holdfast-tmp") or folder.name == "scratch":
            os.utime(path, (1, 1))


@pytest.mark.slow
@pytest.mark.usefixtures("each_kind")
@pytest.mark.parametrize("kind", ["archive", "copy"])
def test_killed_anywhere_the_earlier_ones_stay_and_the_next_run_cleans_up(
    tmp_path: Path, kind: str
) -> None:
    script = ARCHIVE if kind == "archive" else COPY
    tree = small_tree(tmp_path / "tree")
    before = facts(tree)
    folder, private = tmp_path / "folder", tmp_path / "private"
    folder.mkdir()
    points = visited(script, tree, folder, private, trace=tmp_path / "trace")
    assert any(point.startswith(f"vault.{kind}.") for point in points)
    for point, count in points.items():
        for visit in sorted({1, count}):
            faults = environment(f"{point}=crash@{visit}")
            ended = subprocess.run(child(script, tree, folder, private), env=faults, check=False)
            assert ended.returncode != 0, point
            check_all(folder, kind, private, before)
    assert kept_backups(folder, kind)
    make_old(folder)
    make_old(private / "scratch")
    subprocess.run(child(script, tree, folder, private), env=environment(), check=True)
    check_all(folder, kind, private, before)
    assert leftovers(folder) == []
    assert list((private / "scratch").iterdir()) == []


@pytest.mark.slow
@pytest.mark.parametrize("kind", ["archive", "copy"])
def test_killed_at_random(tmp_path: Path, kind: str) -> None:
    script = ARCHIVE if kind == "archive" else COPY
    tree = small_tree(tmp_path / "tree")
    for number in range(60):
        write(tree / f"file-{number}", os.urandom(50_000))
    before = facts(tree)
    folder, private = tmp_path / "folder", tmp_path / "private"
    folder.mkdir()
    began = time.monotonic()
    subprocess.run(child(script, tree, folder, private), env=environment(), check=True)
    kills = RandomKills(environment(), time.monotonic() - began)
    for _ in kills.rounds(8):
        kills.run(child(script, tree, folder, private))
    subprocess.run(child(script, tree, folder, private), env=environment(), check=True)
    check_all(folder, kind, private, before)


@pytest.mark.slow
@pytest.mark.usefixtures("each_kind")
def test_a_sync_killed_anywhere_is_completed_by_the_next(tmp_path: Path) -> None:
    tree = small_tree(tmp_path / "tree")
    source = Vault.create(tmp_path / "source")
    for number in range(2):
        write(tree / "changing", os.urandom(200_000 + number))
        source.snapshot(tree)
    before = facts(tree)
    target = create(tmp_path / "target")
    traced = tmp_path / "traced"
    shutil.copytree(target.path, traced)
    points = visited(SYNC, source.path, traced, tmp_path, trace=tmp_path / "trace")
    assert {"vault.sync.stored", "vault.snapshot.written"} <= set(points)
    for point, count in points.items():
        place = tmp_path / point
        shutil.copytree(target.path, place)
        faults = environment(f"{point}=crash@{count}")
        arguments = (source.path, place, tmp_path)
        ended = subprocess.run(child(SYNC, *arguments), env=faults, check=False)
        assert ended.returncode != 0, point
        assert Vault.open(place).verify(full=True).healthy
        subprocess.run(child(SYNC, *arguments), env=environment(), check=True)
        vault = Vault.open(place)
        assert len(vault.snapshots()) == 2
        assert vault.verify(full=True).healthy
        out = tmp_path / f"out-{point}"
        assert vault.restore("latest", to=out).healthy
        assert facts(out) == before
        shutil.rmtree(place)


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A disk of two megabytes, where this test may mount one."""
    place = tmp_path / "disk"
    place.mkdir()
    if sys.platform != "linux" or os.geteuid() != 0:
        pytest.skip("only root can mount a small disk")
    mounted = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "size=2m", "tmpfs", str(place)], check=False
    )
    if mounted.returncode != 0:
        pytest.skip("no small disk can be mounted here")
    try:
        yield place
    finally:
        subprocess.run(["umount", "-l", str(place)], check=True)


@pytest.mark.parametrize("kind", ["archive", "copy", "snapshot", "sync"])
@pytest.mark.usefixtures("each_kind")
def test_a_disk_that_really_fills_up(tmp_path: Path, small_disk: Path, kind: str) -> None:
    tree = small_tree(tmp_path / "tree")
    folder, private = small_disk / "backups", tmp_path / "private"
    folder.mkdir()
    order = Order(tree, workspace_name="bees")
    source = Vault.create(tmp_path / "source")
    source.snapshot(tree)
    vault = create(small_disk / "vault")

    def back_up() -> None:
        if kind == "archive":
            create_archive(folder, order, Access(), private)
        elif kind == "copy":
            create_copy(folder, order, private)
        elif kind == "snapshot":
            vault.snapshot(tree)
        else:
            source.snapshot(tree, tags=["again"])
            vault.copy_from(source)

    back_up()
    before = facts(tree)
    (tree / "large").write_bytes(os.urandom(3 << 20))
    with pytest.raises(StorageError, match="No space"):
        back_up()
    if kind in ("archive", "copy"):
        assert len(kept_backups(folder, kind)) == 1
        assert leftovers(folder) == []
        check_all(folder, kind, private, before)
    else:
        assert vault.verify(full=True).healthy
        assert vault.restore("latest", to=tmp_path / "out").healthy
    (tree / "large").unlink()
    if kind == "sync":
        source.forget([source.resolve("latest")])
    back_up()

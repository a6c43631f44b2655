"""A disk that is full, really and at every fault point: earlier snapshots restore, the next run
cleans up."""

import os
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

import holdfast.vault.packs
from holdfast.durable.faults import armed
from holdfast.durable.quarantine import Quarantine
from holdfast.errors import HoldfastError, StorageError
from holdfast.vault import Vault
from tests.vault.test_crash import damage
from tests.vault.trees import facts, make_tree

DISK = 24 << 20


@pytest.fixture
def tree(tmp_path: Path) -> Path:
    return make_tree(tmp_path / "tree")


def take(vault: Vault, tree: Path) -> None:
    (tree / "large.bin").write_bytes(os.urandom(3 << 20))
    assert vault.snapshot(tree).healthy


def forget(vault: Vault) -> None:
    """Keep the newest only."""
    doomed = [info.id for info in vault.snapshots()[:-1]]
    if doomed:
        vault.forget(doomed)


@pytest.fixture
def vault(tmp_path: Path, tree: Path, monkeypatch: pytest.MonkeyPatch) -> Vault:
    monkeypatch.setattr(holdfast.vault.packs, "PACK_SIZE", 1 << 20)
    vault = Vault.create(tmp_path / "vault")
    take(vault, tree)
    take(vault, tree)
    return vault


@pytest.mark.slow
@pytest.mark.parametrize("work", ["snapshot", "forget", "prune", "repair", "restore", "drill"])
def test_full_at_every_fault_point(vault: Vault, tree: Path, tmp_path: Path, work: str) -> None:
    kept = vault.snapshots()[-1].id
    before = facts(tree)
    if work == "prune":
        forget(vault)
    if work == "repair":
        damage(vault.path)

    def run() -> None:
        if work == "snapshot":
            take(vault, tree)
        elif work == "forget":
            forget(vault)
        elif work == "prune":
            vault.prune(grace=0)
        elif work == "repair":
            vault.repair()
        elif work == "drill":
            assert vault.drill(kept).healthy
        else:
            quarantine = Quarantine(tmp_path / "quarantine")
            vault.restore(kept, to=tmp_path / "in place", quarantine=quarantine)

    copy = tmp_path / "copy"
    shutil.copytree(vault.path, copy)
    with armed("", trace=tmp_path / "trace"):
        run()
    points = dict.fromkeys((tmp_path / "trace").read_text("utf-8").split())
    assert points
    for point in points:
        shutil.rmtree(vault.path)
        shutil.copytree(copy, vault.path)
        shutil.rmtree(tmp_path / "in place", ignore_errors=True)
        try:
            with armed(f"{point}=error:ENOSPC"):
                run()
        except HoldfastError as error:
            assert isinstance(error, StorageError), (point, error)  # noqa: PT017
        run()
        out = tmp_path / f"out-{time.monotonic_ns()}"
        assert vault.restore(kept, to=out).healthy, point
        assert facts(out) == before, point
        assert vault.verify(full=True).healthy, point


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A real file system of `DISK` bytes."""
    place = tmp_path / "small"
    place.mkdir()
    if sys.platform != "linux" or os.geteuid() != 0:
        pytest.skip("NOT TESTED: only root on Linux may mount a small disk")
    mount = ["mount", "-t", "tmpfs", "-o", f"size={DISK}", "tmpfs", str(place)]
    if subprocess.run(mount, check=False, capture_output=True).returncode != 0:
        pytest.skip("NOT TESTED: this system lets nobody mount a small disk")
    yield place
    subprocess.run(["umount", str(place)], check=True)


def fill(place: Path, leave: int) -> Path:
    """Take all of the disk but `leave` bytes."""
    free = shutil.disk_usage(place).free
    ballast = place / f"ballast-{time.monotonic_ns()}"
    with ballast.open("wb") as file:
        file.write(b"\1" * (free - leave))
    return ballast


def test_a_disk_that_is_really_full(small_disk: Path, tree: Path, tmp_path: Path) -> None:
    vault = Vault.create(small_disk / "vault")
    (tree / "large.bin").write_bytes(os.urandom(3 << 20))
    assert vault.snapshot(tree).healthy
    first, before = vault.snapshots()[0].id, facts(tree)
    (tree / "large.bin").write_bytes(os.urandom(6 << 20))
    for leave in (0, 8192, 400_000, 3 << 20):
        ballast = fill(small_disk, leave)
        with pytest.raises(StorageError):
            vault.snapshot(tree)
        with pytest.raises(StorageError):
            vault.drill()
        ballast.unlink()
        assert [info.id for info in vault.snapshots() if not info.partial] == [first]
        assert vault.verify(full=True).healthy
        assert vault.restore(first, to=tmp_path / f"out-{leave}").healthy
        assert facts(tmp_path / f"out-{leave}") == before
    assert vault.snapshot(tree).healthy
    # With nothing left at all, forgetting and pruning still make room.
    ballast = fill(small_disk, 0)
    vault.forget([first])
    for _ in range(2):
        try:
            vault.prune(grace=0)
        except StorageError:
            ballast.unlink()
            ballast = fill(small_disk, 64 << 10)
    ballast.unlink()
    vault.prune(grace=0)
    assert vault.verify(full=True).healthy
    assert vault.restore("latest", to=tmp_path / "last").healthy
    assert facts(tmp_path / "last") == facts(tree)


def test_a_restore_to_a_full_disk_says_so_and_is_completed_later(
    small_disk: Path, vault: Vault, tree: Path
) -> None:
    target = small_disk / "restored"
    ballast = fill(small_disk, 1 << 20)
    with pytest.raises(StorageError):
        vault.restore("latest", to=target)
    ballast.unlink()
    assert vault.restore("latest", to=target).healthy
    found = {key: fact for key, fact in facts(target).items() if not key.endswith("holdfast-tmp")}
    assert found == facts(tree)

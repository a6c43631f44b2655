"""On a full disk small files are still written, at the cost of the reserve."""

import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from holdfast.durable import files, reserve
from holdfast.durable.faults import armed
from holdfast.errors import StorageError

FULL = "files.temporary.written=error:ENOSPC"


@pytest.fixture
def root(tmp_path: Path) -> Path:
    (tmp_path / ".holdfast").mkdir()
    assert reserve.lay_by(tmp_path)
    return tmp_path


def test_a_small_write_spends_it_once(root: Path) -> None:
    target = root / "configs.json"
    with armed(f"{FULL}@1"):
        files.write_atomic(target, b"new")
    assert target.read_bytes() == b"new"
    assert not reserve.is_there(root)
    with armed(f"{FULL}@1"), pytest.raises(StorageError, match="full"):
        files.write_atomic(target, b"newer")
    assert target.read_bytes() == b"new"
    assert reserve.lay_by(root)


def test_a_large_write_and_one_elsewhere_do_not(root: Path) -> None:
    with armed(FULL), pytest.raises(StorageError):
        files.write_atomic(root / "large", bytes(reserve.SMALL + 1))
    outside = root / "elsewhere" / "deeper"
    outside.mkdir(parents=True)
    (root / "elsewhere" / ".holdfast").mkdir()
    with armed("files.temporary.written=error:EACCES"), pytest.raises(StorageError):
        files.write_atomic(root / "refused", b"x")
    assert reserve.is_there(root)


@pytest.fixture
def full_disk(tmp_path: Path) -> Iterator[Path]:
    """A real file system of 6 MB, filled to its end, with a reserve on it."""
    place = tmp_path / "disk"
    place.mkdir()
    command = ["mount", "-t", "tmpfs", "-o", "size=6m", "tmpfs", str(place)]
    try:
        done = subprocess.run(command, capture_output=True, check=False)
    except FileNotFoundError:
        pytest.skip("there is no mount program")
    if done.returncode != 0:
        pytest.skip(f"mounting is not allowed: {done.stderr.decode().strip()}")
    (place / ".holdfast").mkdir()
    assert reserve.lay_by(place)
    with (place / "filler").open("wb", buffering=0) as filler:
        try:
            while filler.write(bytes(65_536)):
                continue
        except OSError:
            pass
    yield place
    subprocess.run(["umount", "-l", str(place)], check=True)


def test_a_really_full_disk(full_disk: Path) -> None:
    files.write_atomic(full_disk / "registry.json", bytes(100_000))
    assert (full_disk / "registry.json").stat().st_size == 100_000
    assert not reserve.is_there(full_disk)
    (full_disk / "filler").unlink()
    assert reserve.lay_by(full_disk)

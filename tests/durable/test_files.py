"""Atomic replacement: whole or absent, at every crash point, with the mode that was asked for."""

import os
import stat
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from holdfast.durable import files, renames
from holdfast.durable.faults import armed
from holdfast.errors import ConflictError, NotFoundError, StorageError
from tests.conftest import Runner, was_killed

posix_only = pytest.mark.skipif(sys.platform == "win32", reason="POSIX modes and links")

WRITE = """
import sys
from pathlib import Path
from holdfast.durable.files import write_atomic
write_atomic(Path(sys.argv[1]), b"new" * 100_000, durability=sys.argv[2])
"""


@pytest.mark.parametrize("durability", ["process", "power"])
@pytest.mark.parametrize("point", ["files.temporary.written", "files.replaced"])
@pytest.mark.parametrize("before", [None, b"old"])
def test_a_crash_leaves_the_old_or_the_new_whole(
    tmp_path: Path, run_python: Runner, point: str, before: bytes | None, durability: str
) -> None:
    target = tmp_path / "file.json"
    if before is not None:
        target.write_bytes(before)
    assert was_killed(run_python(WRITE, target, durability, faults=f"{point}=crash"))
    if point == "files.replaced":
        assert target.read_bytes() == b"new" * 100_000
    else:
        assert (target.read_bytes() if target.exists() else None) == before
    left = [entry for entry in tmp_path.iterdir() if entry != target]
    assert all(files.is_temporary(entry.name) for entry in left)
    assert files.sweep_temporary(tmp_path, older_than=0) == left
    assert [entry for entry in tmp_path.iterdir() if entry != target] == []


def test_a_fresh_temporary_is_not_swept(tmp_path: Path) -> None:
    files.temporary_beside(tmp_path / "x").write_bytes(b"in the making")
    assert files.sweep_temporary(tmp_path) == []
    assert files.sweep_temporary(tmp_path / "missing") == []


@pytest.mark.parametrize("error", ["ENOSPC", "EROFS", "EIO"])
def test_a_refusing_disk_leaves_the_old_content(tmp_path: Path, error: str) -> None:
    target = tmp_path / "file"
    target.write_bytes(b"old")
    with armed(f"files.temporary.written=error:{error}"), pytest.raises(StorageError) as caught:
        files.write_atomic(target, b"new")
    assert caught.value.path == target
    assert target.read_bytes() == b"old"
    assert os.listdir(tmp_path) == ["file"]


@pytest.fixture
def mounted(tmp_path: Path) -> Iterator[Path]:
    """A real file system of 64 kB; skipped where mounting is not allowed, in CI too."""
    place = tmp_path / "disk"
    place.mkdir()
    command = ["mount", "-t", "tmpfs", "-o", "size=64k", "tmpfs", str(place)]
    try:
        done = subprocess.run(command, capture_output=True, check=False)
    except FileNotFoundError:
        pytest.skip("there is no mount program")
    if done.returncode != 0:
        pytest.skip(f"mounting is not allowed: {done.stderr.decode().strip()}")
    yield place
    subprocess.run(["umount", "-l", str(place)], check=True)


def test_a_full_disk(mounted: Path) -> None:
    target = mounted / "file"
    files.write_atomic(target, b"old")
    with pytest.raises(StorageError, match="free some space"):
        files.write_atomic(target, bytes(1_000_000))
    assert target.read_bytes() == b"old"
    assert os.listdir(mounted) == ["file"]


def test_a_read_only_disk(mounted: Path) -> None:
    target = mounted / "file"
    files.write_atomic(target, b"old")
    subprocess.run(["mount", "-o", "remount,ro", str(mounted)], check=True)
    with pytest.raises(StorageError, match="read-only"):
        files.write_atomic(target, b"new")
    with pytest.raises(StorageError, match="read-only"):
        files.remove(target)
    with pytest.raises(StorageError, match="read-only"):
        files.make_folder(mounted / "folder")
    assert files.read_bytes(target) == b"old"


@posix_only
@pytest.mark.skipif(sys.platform != "win32" and os.geteuid() == 0, reason="root may write anywhere")
def test_a_folder_without_write_permission(tmp_path: Path) -> None:
    tmp_path.chmod(0o555)
    try:
        with pytest.raises(StorageError, match="no permission"):
            files.write_atomic(tmp_path / "file", b"new")
    finally:
        tmp_path.chmod(0o755)


def test_another_disk(tmp_path: Path, mounted: Path) -> None:
    tree = tmp_path / "tree"
    (tree / "below").mkdir(parents=True)
    (tree / "below" / "file").write_bytes(b"content")
    (tree / "link").symlink_to("nowhere")
    files.move(tree, mounted / "tree")
    assert not os.path.lexists(tree)
    assert (mounted / "tree" / "below" / "file").read_bytes() == b"content"
    assert os.readlink(mounted / "tree" / "link") == "nowhere"
    assert os.listdir(mounted) == ["tree"]


MOVE = """
import sys
from pathlib import Path
from holdfast.durable.files import move
move(Path(sys.argv[1]), Path(sys.argv[2]))
"""


@pytest.mark.parametrize("point", ["files.move.copied", "files.move.named"])
def test_a_crash_while_moving_to_another_disk_loses_nothing(
    tmp_path: Path, mounted: Path, run_python: Runner, point: str
) -> None:
    source, target = tmp_path / "file", mounted / "file"
    source.write_bytes(b"content")
    assert was_killed(run_python(MOVE, source, target, faults=f"{point}=crash"))
    assert source.read_bytes() == b"content"
    assert target.exists() is (point == "files.move.named")
    if target.exists():
        assert target.read_bytes() == b"content"


def test_reading_tells_absent_from_unreadable(tmp_path: Path) -> None:
    with pytest.raises(NotFoundError):
        files.read_bytes(tmp_path / "none")
    with pytest.raises(StorageError):
        files.read_bytes(tmp_path)


def test_exclusive_keeps_what_is_there(tmp_path: Path) -> None:
    target = tmp_path / "file"
    files.write_atomic(target, b"first", exclusive=True)
    with pytest.raises(ConflictError):
        files.write_atomic(target, b"second", exclusive=True)
    assert target.read_bytes() == b"first"
    assert os.listdir(tmp_path) == ["file"]


@posix_only
def test_exclusive_without_the_system_call(tmp_path: Path) -> None:
    for name in ("one", "two", "folder", "taken"):
        (tmp_path / name).mkdir() if name == "folder" else (tmp_path / name).write_bytes(b"x")
    with pytest.raises(FileExistsError):
        renames._rename_by_steps(tmp_path / "one", tmp_path / "two")
    renames._rename_by_steps(tmp_path / "one", tmp_path / "new")
    renames._rename_by_steps(tmp_path / "folder", tmp_path / "moved")
    assert sorted(os.listdir(tmp_path)) == ["moved", "new", "taken", "two"]


CLAIM = """
import sys
from pathlib import Path
from holdfast.durable.files import write_atomic
from holdfast.errors import ConflictError
won = 0
for number in range(100):
    try:
        write_atomic(Path(sys.argv[1], str(number)), sys.argv[2].encode(),
                     durability="process", exclusive=True)
        won += 1
    except ConflictError:
        pass
print(won)
"""


def test_of_many_processes_exactly_one_gets_each_name(tmp_path: Path) -> None:
    folder = tmp_path / "names"
    folder.mkdir()
    workers = [
        subprocess.Popen(
            [sys.executable, "-c", CLAIM, str(folder), str(n)], stdout=subprocess.PIPE, text=True
        )
        for n in range(4)
    ]
    assert sum(int(worker.communicate(timeout=120)[0]) for worker in workers) == 100
    assert len(os.listdir(folder)) == 100


@posix_only
def test_modes(tmp_path: Path) -> None:
    target = tmp_path / "file"
    previous = os.umask(0o027)
    try:
        files.write_atomic(target, b"1")
        assert stat.S_IMODE(target.stat().st_mode) == 0o640
        target.chmod(0o604)
        files.write_atomic(target, b"2")
        assert stat.S_IMODE(target.stat().st_mode) == 0o604
        files.write_atomic(target, b"3", mode=0o466)
        assert stat.S_IMODE(target.stat().st_mode) == 0o466
        files.write_atomic(target, b"4")
        assert stat.S_IMODE(target.stat().st_mode) == 0o466
    finally:
        os.umask(previous)


@posix_only
@pytest.mark.skipif(sys.platform != "win32" and os.geteuid() != 0, reason="only root gives away")
def test_the_owner_stays(tmp_path: Path) -> None:
    target = tmp_path / "file"
    target.write_bytes(b"old")
    if sys.platform == "win32":
        return
    os.chown(target, 12345, 54321)
    files.write_atomic(target, b"new")
    assert (target.stat().st_uid, target.stat().st_gid) == (12345, 54321)


@posix_only
def test_links_are_kept(tmp_path: Path) -> None:
    real, link, loop = tmp_path / "real", tmp_path / "link", tmp_path / "loop"
    link.symlink_to("real")
    loop.symlink_to("loop")
    files.write_atomic(link, b"through")
    assert link.is_symlink()
    assert real.read_bytes() == b"through"
    with pytest.raises(ConflictError):
        files.write_atomic(link, b"x", exclusive=True)
    with pytest.raises(StorageError):
        files.write_atomic(loop, b"x")
    assert loop.is_symlink()


def test_the_longest_names_can_be_written(tmp_path: Path) -> None:
    for name in ("a" * 255, "é" * 127):
        files.write_atomic(tmp_path / name, b"x")
    assert len(os.listdir(tmp_path)) == 2


def test_moving_replaces_nothing(tmp_path: Path) -> None:
    for name in ("one", "two"):
        (tmp_path / name).write_bytes(name.encode())
    (tmp_path / "folder").mkdir()
    (tmp_path / "empty").mkdir()
    with pytest.raises(ConflictError):
        files.move(tmp_path / "one", tmp_path / "two")
    with pytest.raises(ConflictError):
        files.move(tmp_path / "folder", tmp_path / "empty")
    with pytest.raises(StorageError):
        files.move(tmp_path / "none", tmp_path / "new")
    files.move(tmp_path / "folder", tmp_path / "moved")
    assert sorted(os.listdir(tmp_path)) == ["empty", "moved", "one", "two"]
    assert (tmp_path / "two").read_bytes() == b"two"


def test_removing_trees(tmp_path: Path) -> None:
    tree = tmp_path / "tree"
    (tree / "a" / "b").mkdir(parents=True)
    (tree / "a" / "b" / "file").write_bytes(b"x")
    (tree / "a" / "b" / "file").chmod(0o444)
    (tree / "a" / "b").chmod(0o555)
    outside = tmp_path / "outside"
    outside.mkdir()
    if sys.platform != "win32":
        (tree / "link").symlink_to(outside)
    files.remove_tree(tree)
    files.remove_tree(tree)
    files.remove(tree)
    assert os.listdir(tmp_path) == ["outside"]


@posix_only
def test_removing_closed_folders_as_a_user(run_python: Runner) -> None:
    code = """
    import os, shutil, sys  # what is imported later, another user may not read
    from pathlib import Path
    from holdfast.durable.files import remove_tree
    top = Path(sys.argv[1])
    if os.geteuid() == 0:
        os.chown(top, 12345, 12345)
        os.setuid(12345)
    tree = top / "tree"
    (tree / "closed" / "below").mkdir(parents=True)
    (tree / "closed" / "below" / "file").write_bytes(b"x")
    (tree / "closed" / "below").chmod(0o500)
    (tree / "closed").chmod(0)
    remove_tree(tree)
    """
    with tempfile.TemporaryDirectory() as top:  # tmp_path may lie below a folder of root's
        done = run_python(code, top)
        assert done.returncode == 0, done.stderr
        assert os.listdir(top) == []


def test_folders(tmp_path: Path) -> None:
    files.make_folder(tmp_path / "a" / "b", durability="power")
    files.make_folder(tmp_path / "a" / "b")
    files.make_folder(tmp_path / "p" / "private", private=True)
    if sys.platform != "win32":
        assert stat.S_IMODE((tmp_path / "p" / "private").stat().st_mode) == 0o700
    (tmp_path / "file").write_bytes(b"x")
    for path in (tmp_path / "file", tmp_path / "file" / "below"):
        with pytest.raises(StorageError):
            files.make_folder(path)


@given(st.text(st.characters(exclude_categories=["Cs"]), min_size=1, max_size=300))
def test_temporary_names_are_known_and_short(name: str) -> None:
    if "/" in name or "\\" in name or ":" in name or "\0" in name or name in (".", ".."):
        return
    made = files.temporary_beside(Path("folder") / name)
    assert files.is_temporary(made.name)
    assert len(made.name.encode()) <= 255


def test_an_unexpected_error_leaves_no_temporary(tmp_path: Path) -> None:
    with pytest.raises(TypeError):
        files.write_atomic(tmp_path / "file", "text")  # type: ignore[arg-type]
    assert os.listdir(tmp_path) == []


def test_a_read_only_file_is_synced_and_stays_read_only(tmp_path: Path) -> None:
    path = tmp_path / "HEAD"
    path.write_bytes(b"bees")
    path.chmod(stat.S_IREAD)
    try:
        files.sync_closed(path)
        assert not path.stat().st_mode & stat.S_IWRITE
    finally:
        path.chmod(stat.S_IREAD | stat.S_IWRITE)

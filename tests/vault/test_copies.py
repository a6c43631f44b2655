"""Copies: plain folders that share what they can with each other, never with live files."""

import os
import shutil
import sqlite3
import stat
import sys
from contextlib import closing
from pathlib import Path

import pytest

from holdfast.durable.cloning import clone
from holdfast.durable.faults import armed
from holdfast.durable.quarantine import Quarantine
from holdfast.errors import StorageError, UsageError
from holdfast.vault import Vault
from holdfast.vault.copies import create_copy
from holdfast.vault.create import Order
from holdfast.vault.identities import KeySource
from holdfast.vault.naming import kept_backups
from holdfast.vault.reports import CopyReport
from holdfast.vault.unpacked import unpacked
from tests.vault.trees import facts, make_tree


@pytest.fixture
def tree(tmp_path: Path) -> Path:
    return make_tree(tmp_path / "tree")


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    folder = tmp_path / "copies"
    folder.mkdir()
    return folder


def copy(tmp_path: Path, tree: Path) -> CopyReport:
    order = Order(tree, everything=True, workspace_name="bees")
    return create_copy(tmp_path / "copies", order, tmp_path / "private")


def test_a_copy_is_the_tree_with_modes_and_times(tmp_path: Path, tree: Path, folder: Path) -> None:
    report = copy(tmp_path, tree)
    assert report.healthy
    ((path, _),) = kept_backups(folder, "copy")
    assert str(path) == report.path
    assert path.name.startswith("bees-20")
    assert facts(path) == facts(tree)
    assert list((tmp_path / "private" / "scratch").iterdir()) == []
    if sys.platform != "win32":
        assert stat.S_IMODE(path.stat().st_mode) == 0o700


def test_a_second_copy_shares_with_the_first_and_never_with_live_files(
    tmp_path: Path, tree: Path, folder: Path
) -> None:
    copy(tmp_path, tree)
    (tree / "twin").write_bytes(b"changed")
    report = copy(tmp_path, tree)
    assert report.healthy
    (first, _), (second, _) = kept_backups(folder, "copy")
    assert facts(second) == facts(tree)
    assert report.linked >= 5
    assert report.copied <= len(b"changed")
    assert (first / "large.bin").samefile(second / "large.bin")
    assert (first / "twin").read_bytes() != b"changed"
    for path in [*first.rglob("*"), *second.rglob("*")]:
        live = tree / path.relative_to(first if path.is_relative_to(first) else second)
        if path.is_file() and not path.is_symlink():
            assert not path.samefile(live), path


def test_a_file_of_the_last_copy_that_was_changed_or_rotted_is_not_shared(
    tmp_path: Path, tree: Path, folder: Path
) -> None:
    first = Path(copy(tmp_path, tree).path)
    place = first / "large.bin"
    before = place.stat()
    with place.open("r+b") as file:
        file.seek(5 << 20)
        file.write(b"rotten")
    os.utime(place, ns=(before.st_atime_ns, before.st_mtime_ns))
    report = copy(tmp_path, tree)
    assert report.healthy
    assert facts(Path(report.path)) == facts(tree)


def test_a_database_in_use_is_copied_whole(tmp_path: Path, folder: Path) -> None:
    tree = tmp_path / "tree"
    tree.mkdir()
    with closing(sqlite3.connect(tree / "state.db")) as database:
        database.execute("PRAGMA journal_mode=WAL")
        database.execute("CREATE TABLE t (x)")
        database.execute("INSERT INTO t VALUES (42)")
        database.commit()
        report = copy(tmp_path, tree)
    assert report.healthy
    path = Path(report.path)
    assert [each.name for each in path.iterdir()] == ["state.db"]
    with closing(sqlite3.connect(path / "state.db")) as database:
        assert database.execute("SELECT x FROM t").fetchall() == [(42,)]


def test_a_copy_is_restored_with_what_it_replaces_kept(
    tmp_path: Path, tree: Path, folder: Path
) -> None:
    path = Path(copy(tmp_path, tree).path)
    wanted = facts(tree)
    (tree / "empty").unlink()
    (tree / "large.bin").write_bytes(b"broken")
    with unpacked(path, KeySource(), tmp_path / "private") as (vault, identity, problems):
        assert problems == []
        report = Vault(vault).restore(
            identity, to=tree, quarantine=Quarantine(tmp_path / "quarantine")
        )
    assert report.healthy
    assert facts(tree) == wanted
    kept = [p.read_bytes() for p in (tmp_path / "quarantine").rglob("item") if p.is_file()]
    assert b"broken" in kept


def test_a_full_disk_leaves_no_half_copy(tmp_path: Path, tree: Path, folder: Path) -> None:
    copy(tmp_path, tree)
    for point in ("vault.copy.file=error:ENOSPC@5", "vault.copy.listed=error:ENOSPC"):
        with armed(point), pytest.raises(StorageError, match="space"):
            copy(tmp_path, tree)
        assert len(kept_backups(folder, "copy")) == 1
        assert not list(folder.glob(".*holdfast-tmp"))
    assert copy(tmp_path, tree).healthy


def test_a_copy_does_not_hold_copies(tmp_path: Path, tree: Path) -> None:
    (tree / "backups").mkdir()
    order = Order(tree, everything=True)
    first = create_copy(tree / "backups", order, tmp_path / "private")
    assert not (Path(first.path) / "backups").exists()
    with pytest.raises(UsageError, match="itself"):
        create_copy(tree, order, tmp_path / "private")


def test_what_cannot_be_cloned_says_so_and_leaves_nothing(tmp_path: Path) -> None:
    (tmp_path / "one").write_bytes(b"content")
    if clone(tmp_path / "one", tmp_path / "two"):
        assert (tmp_path / "two").read_bytes() == b"content"
    else:
        assert not (tmp_path / "two").exists()


def test_lists_of_removed_copies_go(tmp_path: Path, tree: Path, folder: Path) -> None:
    first = Path(copy(tmp_path, tree).path)
    for path in first.rglob("*"):
        if not path.is_symlink() and path.is_dir():
            path.chmod(0o700)
    shutil.rmtree(first)
    copy(tmp_path, tree)
    assert len(list(folder.glob(".*.jsonl"))) == 1

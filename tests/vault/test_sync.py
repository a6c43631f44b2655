"""Snapshots copied from one vault to another, encrypted alike or not, without the files."""

import shutil
from pathlib import Path

import pytest

from holdfast.durable.faults import armed
from holdfast.errors import LockedError, StorageError
from holdfast.vault import Access, Vault
from holdfast.vault.identities import KeySource, generate_identity
from tests.vault.test_damage import files, flip
from tests.vault.trees import facts, make_tree, write


@pytest.fixture
def tree(tmp_path: Path) -> Path:
    return make_tree(tmp_path / "tree")


def vault(tmp_path: Path, name: str, kind: str) -> Vault:
    if kind == "clear":
        return Vault.create(tmp_path / name)
    key = tmp_path / f"{name}.key"
    return Vault.create(
        tmp_path / name,
        Access(KeySource(identity_files=[key]), recipients=[generate_identity(key)]),
    )


@pytest.mark.parametrize("source", ["clear", "encrypted"])
@pytest.mark.parametrize("target", ["clear", "encrypted"])
def test_snapshots_come_back_from_the_other_vault(
    tmp_path: Path, tree: Path, source: str, target: str
) -> None:
    here, there = vault(tmp_path, "here", source), vault(tmp_path, "there", target)
    taken = {}
    for number in range(3):
        write(tree / "changing", b"%d" % 10**number)  # Windows knows a change by size and time
        taken[here.snapshot(tree, tags=[f"n{number}"]).snapshot.id] = facts(tree)
    shutil.rmtree(tree)
    report = there.copy_from(here)
    assert report.healthy
    assert len(report.copied) == 3
    assert there.verify(full=True).healthy
    for old, new in zip(here.snapshots(), there.snapshots(), strict=True):
        assert (old.tags, old.started_at, old.host) == (new.tags, new.started_at, new.host)
        assert new.point == old.id
        assert there.restore(new.id, to=tmp_path / new.id).healthy
        assert facts(tmp_path / new.id) == taken[old.id]
    again = there.copy_from(here)
    assert (again.copied, again.stored, again.there) == ([], 0, 3)
    assert here.copy_from(there).copied == []  # and they do not come back


def test_what_was_taken_for_both_in_one_moment_is_not_copied(tmp_path: Path, tree: Path) -> None:
    here, there = vault(tmp_path, "here", "clear"), vault(tmp_path, "there", "encrypted")
    for one in (here, there):
        one.snapshot(tree, point="the same moment")
    assert there.copy_from(here).copied == []


def test_a_chosen_one_is_copied_and_equal_content_stored_once(tmp_path: Path, tree: Path) -> None:
    here, there = vault(tmp_path, "here", "clear"), vault(tmp_path, "there", "encrypted")
    first = here.snapshot(tree).snapshot.id
    second = here.snapshot(tree, tags=["second"]).snapshot.id
    assert [each.tags for each in there.copy_from(here, [second[:10]]).copied] == [["second"]]
    assert there.copy_from(here, [first]).stored == 0


def test_a_secret_of_the_home_does_not_go_into_a_vault_in_clear(tmp_path: Path) -> None:
    home = tmp_path / "home"
    (home / ".claude").mkdir(parents=True)
    (home / "development").mkdir()
    write(home / ".claude" / ".credentials.json", b"secret")
    here, there = vault(tmp_path, "here", "encrypted"), vault(tmp_path, "there", "clear")
    here.snapshot(home / "development", home=home)
    assert there.copy_from(here).healthy
    assert ".claude/.credentials.json" in {e.path for e in here.read("latest")[1]}
    assert ".claude/.credentials.json" not in {e.path for e in there.read("latest")[1]}


def test_damage_in_one_snapshot_does_not_keep_the_others_back(tmp_path: Path, tree: Path) -> None:
    here, there = vault(tmp_path, "here", "clear"), vault(tmp_path, "there", "clear")
    bad = here.snapshot(tree).snapshot.id
    write(tree / "more", b"more")
    here.snapshot(tree)
    flip(here.path / "snapshots" / f"{bad}.jsonl.zst", 200)
    report = there.copy_from(here)
    assert [finding.snapshot for finding in report.findings] == [bad]
    assert len(report.copied) == 1
    assert there.verify(full=True).healthy


def test_lost_content_is_named_and_no_snapshot_without_it_is_made(
    tmp_path: Path, tree: Path
) -> None:
    here, there = vault(tmp_path, "here", "clear"), vault(tmp_path, "there", "clear")
    here.snapshot(tree)
    pack = files(here, "packs")[0]
    flip(pack, pack.stat().st_size // 2)
    assert not there.copy_from(here).healthy
    assert there.snapshots() == []


def test_without_the_key_of_the_source_it_says_so(tmp_path: Path, tree: Path) -> None:
    here, there = vault(tmp_path, "here", "encrypted"), vault(tmp_path, "there", "clear")
    here.snapshot(tree)
    with pytest.raises(LockedError, match="a key is needed"):
        there.copy_from(Vault.open(here.path))


def test_a_full_disk_at_the_target_says_so_and_harms_nothing(tmp_path: Path, tree: Path) -> None:
    here, there = vault(tmp_path, "here", "clear"), vault(tmp_path, "there", "clear")
    here.snapshot(tree)
    with armed("vault.pack.written=error:ENOSPC"), pytest.raises(StorageError, match="space"):
        there.copy_from(here)
    assert there.snapshots() == []
    assert there.copy_from(here).healthy
    assert there.restore("latest", to=tmp_path / "out").healthy
    assert facts(tmp_path / "out") == facts(tree)
    assert there.verify(full=True).healthy

"""Repair: the index from the packs, packs from the disk, and what is lost is named."""

import os
import random
from pathlib import Path

import pytest

import holdfast.vault.packs
from holdfast.errors import UnreadableError
from holdfast.vault import Vault
from holdfast.vault.entries import printable
from tests.vault.access import create
from tests.vault.test_damage import files, flip
from tests.vault.trees import facts, make_tree

pytestmark = pytest.mark.usefixtures("each_kind")


@pytest.fixture
def tree(tmp_path: Path) -> Path:
    return make_tree(tmp_path / "tree")


@pytest.fixture
def vault(tmp_path: Path, tree: Path, monkeypatch: pytest.MonkeyPatch) -> Vault:
    monkeypatch.setattr(holdfast.vault.packs, "PACK_SIZE", 1 << 20)
    vault = create(tmp_path / "vault")
    assert vault.snapshot(tree).healthy
    return vault


def check(vault: Vault, tree: Path, out: Path) -> None:
    assert vault.verify(full=True).healthy
    assert vault.restore("latest", to=out).healthy
    assert facts(out) == facts(tree)


def test_a_sound_vault_stays_as_it_is(vault: Vault) -> None:
    before = {path: path.read_bytes() for path in vault.path.rglob("*.zst*")}
    report = vault.repair()
    assert report.healthy
    assert (report.indexed, report.replaced, report.saved, report.remade) == ([], [], 0, 0)
    assert {path: path.read_bytes() for path in vault.path.rglob("*.zst*")} == before


@pytest.mark.parametrize("damage", ["lost", "flipped"])
def test_the_index_is_made_again_from_the_packs(
    tmp_path: Path, tree: Path, vault: Vault, damage: str
) -> None:
    (fragment,) = files(vault, "index")
    if damage == "lost":
        fragment.unlink()
    else:
        flip(fragment, fragment.stat().st_size // 2)
    with pytest.raises(UnreadableError, match="repair"):
        vault.prune(grace=0)
    plan = vault.repair(dry_run=True)
    report = vault.repair()
    assert plan.indexed == report.indexed
    assert len(report.indexed) == len(files(vault, "packs"))
    check(vault, tree, tmp_path / "out")
    assert not vault.prune(grace=0).removed


@pytest.mark.parametrize("seed", range(6))
def test_a_damaged_pack_is_made_again_from_the_disk(
    tmp_path: Path, tree: Path, vault: Vault, seed: int
) -> None:
    chance = random.Random(seed)
    pack = chance.choice(files(vault, "packs"))
    flip(pack, chance.randrange(pack.stat().st_size))
    content = pack.read_bytes()
    report = vault.repair()
    assert report.healthy
    assert report.replaced == [pack.relative_to(vault.path).as_posix()]
    assert (vault.path / "damaged" / pack.name).read_bytes() == content
    check(vault, tree, tmp_path / "out")


def test_missing_packs_are_made_again_from_the_disk(
    tmp_path: Path, tree: Path, vault: Vault
) -> None:
    for pack in files(vault, "packs"):
        pack.unlink()
    report = vault.repair()
    assert report.healthy
    assert report.remade > 3
    check(vault, tree, tmp_path / "out")


def test_what_is_lost_for_good_is_named_and_the_rest_comes_back(
    tmp_path: Path, tree: Path, vault: Vault
) -> None:
    wanted = facts(tree)
    for pack in files(vault, "packs"):
        flip(pack, pack.stat().st_size // 3)
    (tree / "large.bin").write_bytes(os.urandom(9 << 20))
    (tree / "agents" / "deep" / "er" / "data.bin").unlink()
    report = vault.repair()
    lost = {finding.path for finding in report.findings}
    assert not report.healthy
    restored = vault.restore("latest", to=tmp_path / "out")
    assert {problem.path for problem in restored.problems} == lost
    got = facts(tmp_path / "out")
    assert {printable(path) for path in wanted if path not in got} <= lost
    assert all(got[path] == fact for path, fact in wanted.items() if path in got)
    again = vault.repair()
    assert {finding.path for finding in again.findings} == lost
    assert again.replaced == []


def test_an_unreadable_snapshot_is_named_and_stays(vault: Vault) -> None:
    (snapshot,) = files(vault, "snapshots")
    flip(snapshot, 20)
    report = vault.repair()
    assert [finding.where for finding in report.findings] == [f"snapshots/{snapshot.name}"]
    assert snapshot.exists()

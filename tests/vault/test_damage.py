"""Bit flips in any file of the vault are found and named, and the rest still restores."""

import json
import random
from pathlib import Path

import pytest

import holdfast.vault.packs
from holdfast.errors import HoldfastError, UnreadableError
from holdfast.vault import Vault
from holdfast.vault.entries import printable
from tests.vault.access import create
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


def flip(path: Path, at: int) -> None:
    data = bytearray(path.read_bytes())
    data[at] ^= 0x10
    path.chmod(0o600)
    path.write_bytes(data)


def files(vault: Vault, folder: str) -> list[Path]:
    return sorted((vault.path / folder).rglob("*.zst*"))


@pytest.mark.parametrize("seed", range(8))
def test_a_flip_in_a_pack_is_named_and_the_rest_comes_back(
    tmp_path: Path, tree: Path, vault: Vault, seed: int
) -> None:
    chance = random.Random(seed)
    packs = files(vault, "packs")
    assert len(packs) > 1
    pack = chance.choice(packs)
    flip(pack, chance.randrange(pack.stat().st_size))
    report = vault.verify(full=True)
    assert pack.relative_to(vault.path).as_posix() in {finding.where for finding in report.findings}
    hurt = {finding.path for finding in report.findings if finding.path is not None}
    restored = vault.restore("latest", to=tmp_path / "out")
    assert {problem.path for problem in restored.problems} == hurt
    wanted, got = facts(tree), facts(tmp_path / "out")
    for path, fact in wanted.items():
        if path in got and path != "hard links":
            assert got[path] == fact
    assert {printable(path) for path in wanted if path not in got} <= hurt


def test_a_missing_and_a_short_pack_are_found_without_full(vault: Vault) -> None:
    first, second, *_ = files(vault, "packs")
    first.unlink()
    with second.open("r+b") as file:
        file.truncate(second.stat().st_size - 1)
    problems = [finding.problem for finding in vault.verify().findings]
    assert "the pack is missing" in problems
    assert any("instead of" in problem for problem in problems)


def test_what_a_lost_pack_held_is_stored_again(tmp_path: Path, tree: Path, vault: Vault) -> None:
    for pack in files(vault, "packs"):
        pack.unlink()
    assert vault.snapshot(tree).healthy
    assert vault.restore("latest", to=tmp_path / "out").healthy
    assert facts(tmp_path / "out") == facts(tree)


@pytest.mark.parametrize("seed", range(4))
def test_a_flip_in_the_index_is_named(vault: Vault, seed: int) -> None:
    (fragment,) = files(vault, "index")
    flip(fragment, random.Random(seed).randrange(fragment.stat().st_size))
    report = vault.verify()
    assert f"index/{fragment.name}" in {finding.where for finding in report.findings}


@pytest.mark.parametrize("seed", range(4))
def test_a_flip_in_a_snapshot_is_named_and_the_others_come_back(
    tmp_path: Path, tree: Path, vault: Vault, seed: int
) -> None:
    (old,) = files(vault, "snapshots")
    other = vault.snapshot(tree, tags=["second"]).snapshot.id
    flip(old, random.Random(seed).randrange(old.stat().st_size))
    report = vault.verify()
    assert [finding.where for finding in report.findings] == [f"snapshots/{old.name}"]
    with pytest.raises(UnreadableError):
        vault.restore(old.name[:12], to=tmp_path / "no")
    assert vault.restore(other, to=tmp_path / "out").healthy
    assert facts(tmp_path / "out") == facts(tree)
    assert vault.snapshot(tree).healthy


def test_an_unreadable_snapshot_is_listed_and_latest_does_not_pass_over_it(
    tmp_path: Path, vault: Vault
) -> None:
    (old,) = files(vault, "snapshots")
    flip(old, 8)
    (info,) = vault.snapshots()
    assert info.damage
    with pytest.raises(UnreadableError, match="latest"):
        vault.resolve("latest")


@pytest.mark.parametrize("content", [b"", b"{", b"\0" * 100, b"[]", b'{"id":1}'], ids=repr)
def test_a_damaged_vault_json_is_an_error(vault: Vault, content: bytes) -> None:
    (vault.path / "vault.json").write_bytes(content)
    with pytest.raises(HoldfastError) as caught:
        create(vault.path)
    assert caught.value.exit_status == 3
    assert (vault.path / "vault.json").read_bytes() == content


def test_a_flip_in_any_small_file_is_named(tree: Path, vault: Vault) -> None:
    (tree / "twin").write_bytes(b"another")
    vault.snapshot(tree)
    vault.forget([vault.snapshots()[0].id])
    for pack in files(vault, "packs")[:1]:
        mark = {"pack": pack.name.split(".")[0], "reason": "x", "since": "2026-01-01T00:00:00Z"}
        (vault.path / "condemned").mkdir(exist_ok=True)
        path = vault.path / "condemned" / f"{mark['pack']}.json"
        path.write_text(json.dumps(mark), "utf-8")
    assert vault.verify(full=True).healthy
    small = [*files(vault, "forgotten")]
    small += [*(vault.path / "proofs").glob("*.json"), *(vault.path / "condemned").glob("*.json")]
    assert len(small) >= 4
    for path in small:
        data = path.read_bytes()
        path.chmod(0o600)
        path.write_bytes(b"\x10" + data[1:])
        where = {finding.where for finding in vault.verify(full=True).findings}
        assert path.relative_to(vault.path).as_posix() in where
        path.write_bytes(data)
    (vault.path / ".gitignore").write_bytes(b"\x2b\n")
    assert [finding.where for finding in vault.verify(full=True).findings] == [".gitignore"]
    (vault.path / ".gitignore").write_bytes(b"*\n")
    described = vault.path / "vault.json"
    document = json.loads(described.read_text("utf-8"))
    document["id"] = document["id"][::-1]
    described.write_text(json.dumps(document), "utf-8")
    found = Vault.open(vault.path).verify(full=True).findings
    assert "vault.json" in {finding.where for finding in found}

"""forget, prune, diff and find: what goes, what stays, and what changed."""

import os
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

import holdfast.vault.packs
from holdfast.durable.faults import armed
from holdfast.errors import ConflictError, NotFoundError, UnreadableError, UsageError
from holdfast.vault import PruneReport, Retention, SnapshotInfo, Vault
from tests.vault.access import create
from tests.vault.trees import facts, make_tree, write

pytestmark = pytest.mark.usefixtures("each_kind")

START = datetime(2026, 1, 1, tzinfo=UTC)


def stored(vault: Vault) -> set[str]:
    return {path.name for path in (vault.path / "packs").rglob("*.zst*")}


def info(number: int, hours: float, tags: list[str] | None = None) -> SnapshotInfo:
    moment = START + timedelta(hours=hours)
    return SnapshotInfo(f"{number:064x}", moment, moment, host="h", root="/r", tags=tags or [])


@pytest.fixture
def tree(tmp_path: Path) -> Path:
    return make_tree(tmp_path / "tree")


@pytest.fixture
def vault(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Vault:
    monkeypatch.setattr(holdfast.vault.packs, "PACK_SIZE", 1 << 20)
    return create(tmp_path / "vault")


def test_retention_keeps_the_newest_of_each_period() -> None:
    snapshots = [info(number, number) for number in range(24 * 10)]
    kept = {each.id for each in snapshots} - {
        each.id for each in Retention(last=2, daily=3).to_forget(snapshots)
    }
    days = {each.started_at.astimezone().date() for each in snapshots if each.id in kept}
    assert len(days) == 3
    assert {snapshots[-1].id, snapshots[-2].id} <= kept
    assert len(kept) == 4


@given(
    st.lists(st.floats(0, 20_000), max_size=40),
    st.integers(0, 5),
    st.integers(0, 5),
    st.integers(0, 5),
)
def test_retention_never_takes_the_newest_and_more_rules_keep_more(
    hours: list[float], last: int, daily: int, monthly: int
) -> None:
    snapshots = [info(number, hour) for number, hour in enumerate(sorted(hours))]
    one = Retention(last=last + 1).to_forget(snapshots)
    all_rules = Retention(last=last + 1, daily=daily, monthly=monthly).to_forget(snapshots)
    assert {each.id for each in all_rules} <= {each.id for each in one}
    assert len(snapshots) - len(one) == min(last + 1, len(snapshots))
    if snapshots:
        assert snapshots[-1] not in one


def test_retention_by_tag_and_without_a_rule() -> None:
    snapshots = [info(0, 0, ["release"]), info(1, 1), info(2, 2)]
    assert Retention(tags=["release"]).to_forget(snapshots) == [snapshots[1]]
    with pytest.raises(UsageError, match="no rule"):
        Retention()


def test_what_is_forgotten_can_be_taken_back_until_the_prune(tree: Path, vault: Vault) -> None:
    first = vault.snapshot(tree).snapshot.id
    second = vault.snapshot(tree, tags=["second"]).snapshot.id
    plan = vault.forget(retention=Retention(last=1), dry_run=True)
    assert [each.id for each in plan.forgotten] == [first]
    assert len(vault.snapshots()) == 2
    vault.forget(retention=Retention(last=1))
    assert [each.id for each in vault.snapshots()] == [second]
    assert vault.remember(first[:8]) == first
    assert len(vault.snapshots()) == 2
    vault.forget([first])
    assert vault.prune(dry_run=True).snapshots == [first]
    assert vault.prune().snapshots == [first]
    with pytest.raises(NotFoundError, match="forgotten"):
        vault.remember(first)


def test_prune_waits_for_the_grace_and_then_frees(tmp_path: Path, tree: Path, vault: Vault) -> None:
    first = vault.snapshot(tree).snapshot.id
    (tree / "large.bin").write_bytes(os.urandom(9 << 20))
    vault.snapshot(tree)
    before = facts(tree)
    held = stored(vault)
    vault.forget([first])
    waiting = vault.prune()
    assert waiting.condemned
    assert not waiting.removed
    assert stored(vault) >= held
    done = vault.prune(grace=0)
    assert set(done.removed) == set(waiting.condemned + waiting.rewritten)
    assert done.freed > 8 << 20
    assert vault.verify(full=True).healthy
    assert vault.restore("latest", to=tmp_path / "out").healthy
    assert facts(tmp_path / "out") == before
    assert not vault.prune(grace=0).removed


def test_a_half_used_pack_is_rewritten(tmp_path: Path, tree: Path, vault: Vault) -> None:
    for number in range(6):
        write(tree / f"part-{number}", os.urandom(100_000))
    first = vault.snapshot(tree).snapshot.id
    for number in range(5):
        (tree / f"part-{number}").unlink()
    vault.snapshot(tree)
    vault.forget([first])
    assert vault.prune(grace=0).rewritten
    assert vault.verify(full=True).healthy
    assert vault.restore("latest", to=tmp_path / "out").healthy
    assert facts(tmp_path / "out") == facts(tree)


def test_a_backup_begun_before_the_prune_keeps_what_it_relies_on(
    tmp_path: Path, tree: Path, vault: Vault
) -> None:
    first = vault.snapshot(tree).snapshot.id
    pruned: list[PruneReport] = []

    def prune_meanwhile(*_: int) -> None:
        if not pruned:
            vault.forget([first])
            pruned.append(vault.prune())

    assert vault.snapshot(tree, progress=prune_meanwhile).healthy
    assert pruned[0].condemned
    assert not vault.prune(grace=0).removed
    assert vault.verify(full=True).healthy
    assert vault.restore("latest", to=tmp_path / "out").healthy
    assert facts(tmp_path / "out") == facts(tree)


def test_a_backup_that_outlives_the_grace_is_refused(tree: Path, vault: Vault) -> None:
    first = vault.snapshot(tree).snapshot.id
    pruned: list[PruneReport] = []

    def prune_at_once(*_: int) -> None:
        if not pruned:
            vault.forget([first])
            vault.prune(grace=0)
            pruned.append(vault.prune(grace=0))

    with pytest.raises(ConflictError, match="prune"):
        vault.snapshot(tree, progress=prune_at_once)
    assert vault.snapshots() == []
    assert vault.snapshot(tree).healthy
    assert vault.verify(full=True).healthy


def test_nothing_new_relies_on_a_condemned_pack(tree: Path, vault: Vault) -> None:
    first = vault.snapshot(tree).snapshot.id
    vault.forget([first])
    vault.prune()
    assert vault.snapshot(tree).healthy
    vault.prune(grace=0)
    assert vault.verify(full=True).healthy


def test_prune_refuses_what_it_cannot_read(tree: Path, vault: Vault) -> None:
    vault.snapshot(tree)
    (snapshot,) = (vault.path / "snapshots").iterdir()
    snapshot.write_bytes(b"torn")
    held = stored(vault)
    with pytest.raises(UnreadableError):
        vault.prune(grace=0)
    assert stored(vault) == held


def test_many_small_packs_are_joined(tmp_path: Path, tree: Path, vault: Vault) -> None:
    for number in range(18):
        (tree / "changing").write_bytes(b"%d" % number)
        vault.snapshot(tree, tags=[str(number)])
    before = len(stored(vault))
    assert len(vault.prune(grace=0).rewritten) >= 16
    vault.prune(grace=0)
    assert len(stored(vault)) < before - 10
    assert vault.verify(full=True).healthy
    assert vault.restore("latest", to=tmp_path / "out").healthy
    assert facts(tmp_path / "out") == facts(tree)


def test_a_full_disk_during_a_prune_harms_nothing(tree: Path, vault: Vault) -> None:
    from holdfast.errors import StorageError

    first = vault.snapshot(tree).snapshot.id
    (tree / "large.bin").write_bytes(os.urandom(9 << 20))
    vault.snapshot(tree)
    vault.forget([first])
    with armed("files.temporary.written=error:ENOSPC"), pytest.raises(StorageError, match="space"):
        vault.prune(grace=0)
    assert vault.verify(full=True).healthy


def test_diff_between_snapshots_and_now(tmp_path: Path) -> None:
    tree = tmp_path / "tree"
    tree.mkdir()
    for name in ("same", "changed", "gone", "mode"):
        write(tree / name, name.encode())
    vault = create(tmp_path / "vault")
    first = vault.snapshot(tree).snapshot.id
    assert vault.diff(first) == []
    (tree / "changed").write_bytes(b"changeD")
    (tree / "gone").unlink()
    write(tree / "new", b"12")
    (tree / "same").touch()
    if os.name == "posix":
        (tree / "mode").chmod(0o600)
    (tree / "node_modules").mkdir()
    expected = {"changed": "content", "gone": "removed", "new": "added"}
    if os.name == "posix":
        expected["mode"] = "mode"
    now = {each.path: each.change for each in vault.diff(first)}
    vault.snapshot(tree)
    between = {each.path: each.change for each in vault.diff(first, "latest")}
    assert now == between == expected
    (new,) = [each for each in vault.diff(first, "latest") if each.path == "new"]
    assert (new.size_before, new.size_after) == (0, 2)
    back = {each.path: each.change for each in vault.diff("latest", first)}
    assert back["new"] == "removed"


def test_diff_names_another_kind_and_another_target(tmp_path: Path) -> None:
    tree = tmp_path / "tree"
    tree.mkdir()
    write(tree / "file", b"1")
    try:
        (tree / "link").symlink_to("file")
    except OSError:
        pytest.skip("this system makes no links")
    vault = create(tmp_path / "vault")
    first = vault.snapshot(tree).snapshot.id
    (tree / "file").unlink()
    (tree / "file").mkdir()
    (tree / "link").unlink()
    (tree / "link").symlink_to("elsewhere")
    expected = {"file": "kind", "link": "target"}
    assert {each.path: each.change for each in vault.diff(first)} == expected
    vault.snapshot(tree)
    assert {each.path: each.change for each in vault.diff(first, "latest")} == expected


def test_find_shows_every_version(tmp_path: Path) -> None:
    tree = tmp_path / "tree"
    (tree / "configs").mkdir(parents=True)
    write(tree / "configs" / "a.json", b"1")
    vault = create(tmp_path / "vault")
    ids = [vault.snapshot(tree).snapshot.id, vault.snapshot(tree, tags=["x"]).snapshot.id]
    write(tree / "configs" / "a.json", b"22")
    ids.append(vault.snapshot(tree).snapshot.id)
    versions = vault.find("*.json").versions
    assert [(each.size, each.snapshots) for each in versions] == [(1, ids[:2]), (2, ids[2:])]
    assert vault.find("configs/*.json").versions == versions
    assert [each.path for each in vault.find("configs").versions] == ["configs"]
    assert vault.find("*.yaml").versions == []


def test_find_names_the_snapshot_it_could_not_search(tree: Path, vault: Vault) -> None:
    vault.snapshot(tree)
    (snapshot,) = (vault.path / "snapshots").iterdir()
    snapshot.write_bytes(snapshot.read_bytes()[:-9])
    (finding,) = vault.find("*").findings
    assert finding.snapshot == snapshot.name.partition(".")[0]

"""Restoring: what is planned, what is kept, what is refused, and where writing stops."""

import sys
import time
from datetime import UTC, datetime
from pathlib import Path

import pytest
from blake3 import blake3

from holdfast.durable.quarantine import Quarantine
from holdfast.errors import NotFoundError, RefusedError
from holdfast.vault import RestoreReport, Vault
from holdfast.vault.entries import Entry, Header, Root, Totals
from holdfast.vault.packs import PackWriter
from holdfast.vault.repository import Repository
from holdfast.vault.snapshots import SnapshotWriter
from tests.vault.access import create
from tests.vault.trees import facts, make_tree, write

pytestmark = pytest.mark.usefixtures("each_kind")

posix = pytest.mark.skipif(sys.platform == "win32", reason="POSIX files")


@pytest.fixture
def tree(tmp_path: Path) -> Path:
    return make_tree(tmp_path / "tree")


@pytest.fixture
def vault(tmp_path: Path, tree: Path) -> Vault:
    vault = create(tmp_path / "vault")
    vault.snapshot(tree, everything=True)
    return vault


def test_in_place_only_what_differs_is_replaced_and_it_is_kept(
    tmp_path: Path, tree: Path, vault: Vault
) -> None:
    before = facts(tree)
    (tree / "large.bin").write_bytes(b"edited")
    (tree / "empty").unlink()
    (tree / "extra").write_text("not in the snapshot")
    quarantine = Quarantine(tmp_path / "quarantine")
    plan = vault.restore("latest", to=tree, dry_run=True)
    assert {(step.path, step.action, step.newer) for step in plan.plan} == {
        ("large.bin", "replace", True),
        ("empty", "create", False),
    }
    assert (tree / "large.bin").read_bytes() == b"edited"
    with pytest.raises(RefusedError):
        vault.restore("latest", to=tree)
    assert (tree / "large.bin").read_bytes() == b"edited"
    report = vault.restore("latest", to=tree, quarantine=quarantine)
    assert (report.created, report.replaced) == (1, 1)
    (tree / "extra").unlink()
    assert facts(tree) == before
    (kept,) = quarantine.list_entries()
    assert (quarantine.root / kept.id / "item").read_bytes() == b"edited"


def test_some_paths(tmp_path: Path, vault: Vault) -> None:
    out = tmp_path / "out"
    vault.restore("latest", ["agents/deep", "empty"], to=out)
    assert sorted(facts(out)) == [
        "agents", "agents/deep", "agents/deep/er", "agents/deep/er/data.bin", "empty", "hard links"
    ]  # fmt: skip
    with pytest.raises(NotFoundError, match="nowhere"):
        vault.restore("latest", ["nowhere"], to=out)


def test_something_of_another_kind_in_the_way(tmp_path: Path, tree: Path, vault: Vault) -> None:
    before = facts(tree)
    (tree / "empty").unlink()
    (tree / "empty").mkdir()
    (tree / "empty" / "inside").write_text("kept")
    quarantine = Quarantine(tmp_path / "quarantine")
    report = vault.restore("latest", to=tree, quarantine=quarantine)
    assert report.healthy
    assert [step.action for step in report.plan] == ["conflict"]
    assert facts(tree) == before
    (kept,) = quarantine.list_entries()
    assert (quarantine.root / kept.id / "item" / "inside").read_text() == "kept"


@posix
def test_a_link_in_place_of_a_folder_is_not_followed(
    tmp_path: Path, tree: Path, vault: Vault
) -> None:
    outside = tmp_path / "outside"
    (tree / "agents").rename(outside)
    before = facts(outside)
    (outside / "director-agent.py").write_text("changed outside")
    (tree / "agents").symlink_to(outside)
    changed = facts(outside)
    vault.restore("latest", to=tree, quarantine=Quarantine(tmp_path / "quarantine"))
    assert facts(outside) == changed
    assert facts(tree / "agents") == before


def hostile_vault(tmp_path: Path, *entries: Entry) -> Vault:
    """A vault whose snapshot says what no walk would find."""
    repository = Repository.create(tmp_path / "hostile")
    packs = PackWriter(repository)
    packs.add(blake3(b"evil").hexdigest(), b"evil")
    packs.finish()
    writer = SnapshotWriter()
    for entry in entries:
        writer.add(entry)
    now = datetime.now(UTC)
    totals = Totals(entries=len(entries))
    header = Header(1, repository.id, [Root("w", "/w")], "h", "linux", now, now, totals)
    writer.publish(repository, header)
    return Vault(repository)


def evil(path: str) -> Entry:
    return Entry(path, "file", mode=0o644, size=4, chunks=(blake3(b"evil").hexdigest(),))


@pytest.mark.parametrize(
    "path", ["../evil", "a/../../evil", "/evil", "", "a\0b", "..", "a/.."], ids=repr
)
def test_paths_that_lead_out_are_refused(tmp_path: Path, path: str) -> None:
    out = tmp_path / "deep" / "out"
    vault = hostile_vault(tmp_path, evil(path), evil("good"))
    report = vault.restore("latest", to=out)
    assert not report.healthy
    assert [problem.path for problem in report.problems] == [path]
    assert [path.name for path in (tmp_path / "deep").rglob("*")] == ["out", "good"]
    assert not (tmp_path / "evil").exists()


@posix
def test_a_link_of_the_snapshot_is_not_written_through(tmp_path: Path) -> None:
    outside = tmp_path / "outside"
    outside.mkdir()
    link = Entry("way", "link", target=str(outside))
    vault = hostile_vault(tmp_path, link, evil("way/evil"))
    for _ in range(2):  # the second time, the link may be there already
        vault.restore("latest", to=tmp_path / "out", quarantine=Quarantine(tmp_path / "q"))
        assert list(outside.iterdir()) == []


@posix
def test_an_absolute_link_target_in_the_way_is_not_written_through(tmp_path: Path) -> None:
    outside = tmp_path / "outside"
    outside.mkdir()
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "way").symlink_to(outside)
    vault = hostile_vault(tmp_path, evil("way/evil"))
    report = vault.restore("latest", to=tmp_path / "out")
    assert [problem.path for problem in report.problems] == ["way/evil"]
    assert list(outside.iterdir()) == []


def test_an_interrupted_restore_is_completed(tmp_path: Path, tree: Path, vault: Vault) -> None:
    out = tmp_path / "out"
    vault.restore("latest", to=out)
    (out / "large.bin").unlink()
    report = vault.restore("latest", to=out)
    assert (report.created, report.replaced) == (1, 0)
    assert facts(out) == facts(tree)


def test_an_old_file_restored_in_place_is_not_read(tmp_path: Path, tree: Path) -> None:
    vault = create(tmp_path / "vault")
    time.sleep(2.1)
    vault.snapshot(tree)
    opened: list[str] = []
    watching = True

    def hook(event: str, arguments: tuple[object, ...]) -> None:
        if watching and event == "open" and str(tree) in str(arguments[0]):
            opened.append(str(arguments[0]))

    sys.addaudithook(hook)
    report = vault.restore("latest", to=tree, dry_run=True)
    watching = False
    assert report.plan == []
    assert opened == []


@posix
def test_only_a_mode_that_differs_is_mended_without_a_copy(tree: Path, vault: Vault) -> None:
    write(tree / "secret", b"s3cret\n", 0o644)
    report = vault.restore("latest", to=tree)
    assert report.replaced == 0
    assert (tree / "secret").stat().st_mode & 0o777 == 0o600


def test_many_replaced_files_are_one_entry_in_quarantine(tmp_path: Path, vault: Vault) -> None:
    tree = tmp_path / "many"
    (tree / "deep").mkdir(parents=True)
    for number in range(40):
        (tree / "deep" / f"{number}").write_bytes(b"%d" % number)
    vault.snapshot(tree)
    before = facts(tree)
    for number in range(40):
        (tree / "deep" / f"{number}").write_bytes(b"edited %d" % number)
    quarantine = Quarantine(tmp_path / "quarantine")
    report = vault.restore("latest", to=tree, quarantine=quarantine)
    assert report.healthy
    assert report.replaced == 40
    assert facts(tree) == before
    (entry,) = quarantine.list_entries()
    assert report.quarantined == [entry.id]
    kept = quarantine.root / entry.id / "item" / "deep"
    assert {path.read_bytes() for path in kept.iterdir()} == {b"edited %d" % n for n in range(40)}
    vault.restore("latest", to=tree, quarantine=quarantine)
    assert len(quarantine.list_entries()) == 1


def test_the_plan_is_shown_before_anything_changes(
    tmp_path: Path, tree: Path, vault: Vault
) -> None:
    (tree / "large.bin").write_bytes(b"edited")
    shown: list[str] = []

    def refuse(plan: RestoreReport) -> None:
        assert plan.dry_run
        shown.extend(each.path for each in plan.plan)
        raise RefusedError("no")

    quarantine = Quarantine(tmp_path / "quarantine")
    with pytest.raises(RefusedError, match="no"):
        vault.restore("latest", to=tree, quarantine=quarantine, consent=refuse)
    assert shown == ["large.bin"]
    assert (tree / "large.bin").read_bytes() == b"edited"
    assert quarantine.list_entries() == []

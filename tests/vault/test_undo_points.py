"""What the vault does for undo points: nothing twice, nothing forgotten by a rule."""

import os
from pathlib import Path

from holdfast.vault import Retention, Vault

LONG_AGO = 1_600_000_000


def make(root: Path, name: str, text: str) -> None:
    root.mkdir(exist_ok=True)
    (root / name).write_text(text, encoding="utf-8")
    os.utime(root / name, (LONG_AGO, LONG_AGO))


def test_an_unchanged_tree_needs_no_second_snapshot(tmp_path: Path) -> None:
    root, vault = tmp_path / "root", Vault.create(tmp_path / "vault")
    make(root, "a.txt", "a")
    (root / "empty").mkdir()
    first = vault.snapshot(root, tags=["undo"]).snapshot.id
    again = vault.snapshot(root, tags=["undo"], unless_unchanged=True)
    assert again.snapshot.id == first
    assert again.proof is None
    assert len(vault.snapshots()) == 1


def test_any_change_needs_one(tmp_path: Path) -> None:
    root, vault = tmp_path / "root", Vault.create(tmp_path / "vault")
    make(root, "a.txt", "a")
    make(root, "b.txt", "b")
    seen = {vault.snapshot(root, tags=["undo"], unless_unchanged=True).snapshot.id}
    (root / "folder").mkdir()
    for change in (
        lambda: (root / "a.txt").write_text("c", encoding="utf-8"),
        lambda: (root / "a.txt").rename(root / "c.txt"),
        lambda: (root / "b.txt").unlink(),
        lambda: (root / "folder").rmdir(),
        lambda: (root / "folder").mkdir(),
        lambda: (root / "c.txt").chmod(0o400),
    ):
        change()
        seen.add(vault.snapshot(root, tags=["undo"], unless_unchanged=True).snapshot.id)
    assert len(seen) == 7
    (root / "c.txt").chmod(0o600)


def test_another_kind_of_snapshot_between_is_not_taken_for_it(tmp_path: Path) -> None:
    root, vault = tmp_path / "root", Vault.create(tmp_path / "vault")
    make(root, "a.txt", "a")
    make(root, "left-out.txt", "b")
    ours = {"tags": ["undo"], "excludes": ["/left-out.txt"]}
    first = vault.snapshot(root, **ours, unless_unchanged=True).snapshot.id  # type: ignore[arg-type]
    vault.snapshot(root)
    again = vault.snapshot(root, **ours, unless_unchanged=True).snapshot.id  # type: ignore[arg-type]
    assert again == first


def test_no_rule_forgets_an_undo_point(tmp_path: Path) -> None:
    root, vault = tmp_path / "root", Vault.create(tmp_path / "vault")
    for number, tags in enumerate((["undo"], [], ["undo"], [])):
        make(root, "a.txt", str(number))
        vault.snapshot(root, tags=tags)
    report = vault.forget(retention=Retention(last=1))
    assert [info.tags for info in report.forgotten] == [[]]
    assert len(vault.snapshots()) == 3

"""What matters most goes first, and is kept when the rest is cut off."""

import os
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from holdfast.durable.faults import armed
from holdfast.errors import StorageError
from holdfast.vault import Retention, Vault, create
from holdfast.vault.entries import Header
from holdfast.vault.priorities import Priority, priority_of
from tests.vault.trees import facts, write

NAMES = [
    ".claude/settings.json",
    ".mcp.json",
    "agents/a.py",
    "agents/node_modules/x.js",
    "configs/agents/agent-registry.json",
    "logs/agent.log",
    "notes/z.md",
    "shared/libraries/lib.py",
    "shared/other.py",
]


@pytest.fixture
def tree(tmp_path: Path) -> Path:
    for name in NAMES:
        path = tmp_path / "tree" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        write(path, name.encode())
    return tmp_path / "tree"


@pytest.fixture
def vault(tmp_path: Path) -> Vault:
    return Vault.create(tmp_path / "vault")


def paths(vault: Vault, ref: str = "latest") -> list[str]:
    return [entry.path for entry in vault.read(ref)[1]]


def files(vault: Vault, ref: str = "latest") -> list[str]:
    return [entry.path for entry in vault.read(ref)[1] if entry.kind == "file"]


@pytest.mark.parametrize(
    ("folder", "priority"),
    [
        ("", Priority.HIGH),
        ("configs/mcp", Priority.HIGH),
        ("shared", Priority.HIGH),
        ("shared/libraries/deep", Priority.HIGH),
        ("shared/other", Priority.MEDIUM),
        ("agents/logs", Priority.MEDIUM),
        ("logs/old", Priority.LOW),
        ("configs/node_modules/x", Priority.LOW),
    ],
)
def test_the_priorities_of_folders(folder: str, priority: Priority) -> None:
    assert priority_of("workspace", folder) == priority


def test_sessions_of_the_home_wait() -> None:
    assert priority_of("home", ".claude") == Priority.HIGH
    assert priority_of("home", ".claude/projects/x") == Priority.MEDIUM


def test_high_goes_first_and_low_last(tree: Path, vault: Vault) -> None:
    vault.snapshot(tree, everything=True)
    order = files(vault)
    assert set(order) == set(NAMES)
    assert order[-2:] == ["agents/node_modules/x.js", "logs/agent.log"]
    assert order.index("shared/libraries/lib.py") < order.index("agents/a.py")
    for path in paths(vault):
        above = path.rpartition("/")[0]
        assert not above or paths(vault).index(above) < paths(vault).index(path)


def fill_the_disk_behind(monkeypatch: pytest.MonkeyPatch, folder: str) -> None:
    """Let the backup publish what it has, and the disk be full once it enters `folder`."""
    from holdfast.vault.incremental import Gathering

    walk_folder = Gathering._folder

    def fail(self: Gathering, tree: object, path: str, same: bool) -> object:
        if path == folder:
            with armed("vault.pack.written=error:ENOSPC"):
                self._capture._store("0" * 64, os.urandom(100))
                raise StorageError("No space left on device")
        return walk_folder(self, tree, path, same)  # type: ignore[arg-type]

    monkeypatch.setattr(Gathering, "_folder", fail)


def test_a_backup_that_is_cut_off_keeps_what_it_has(
    tree: Path, vault: Vault, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(create, "FIRST_PARTIAL", 0.0)
    with monkeypatch.context() as patch:
        fill_the_disk_behind(patch, "logs")
        with pytest.raises(StorageError):
            vault.snapshot(tree, everything=True)
    (info,) = vault.snapshots()
    assert info.partial
    assert vault.resolve("latest") == info.id
    assert {"configs/agents/agent-registry.json", "shared/libraries/lib.py"} <= set(files(vault))
    assert "logs/agent.log" not in files(vault)
    assert vault.verify(full=True).healthy
    assert vault.restore("latest", ["configs"], to=tmp_path / "out").created
    # A folder that was not gone through yet is not taken for empty.
    time.sleep(2.1)
    report = vault.snapshot(tree, everything=True)
    assert report.healthy
    (whole,) = vault.snapshots()
    assert not whole.partial
    assert set(files(vault)) == set(NAMES)
    assert vault.remember(info.id[:12]) == info.id  # what it held is only set aside
    assert vault.resolve("latest") == whole.id
    assert [each.id for each in Retention(last=1).to_forget(vault.snapshots())] == [info.id]


def test_a_whole_snapshot_leaves_no_partial_one(
    tree: Path, vault: Vault, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(create, "FIRST_PARTIAL", 0.0)
    monkeypatch.setattr(create, "PARTIAL_EVERY", 0.0)
    vault.snapshot(tree)
    write(tree / "configs" / "new", os.urandom(100))
    write(tree / "agents" / "new", os.urandom(100))
    vault.snapshot(tree)
    assert len(vault.snapshots()) == 2
    assert not list((vault.path / "forgotten").glob("*"))
    assert vault.verify(full=True).healthy


def test_what_is_left_out_says_how_it_is_made_again(tree: Path, vault: Vault) -> None:
    write(tree / "agents" / "a.pyc", b"x")
    (tree / ".holdfastignore").write_text("notes/\n")
    vault.snapshot(tree)
    out = {e.path: e.remake for e in vault.read("latest")[1] if e.kind == "excluded"}
    assert out == {"agents/node_modules": "npm install", "agents/a.pyc": "", "notes": None}


def test_other_rules_look_at_everything_again(tree: Path, vault: Vault) -> None:
    time.sleep(2.1)
    vault.snapshot(tree)
    vault.snapshot(tree, excludes=["a.py"])
    assert "agents/a.py" not in files(vault)
    vault.snapshot(tree)
    assert "agents/a.py" in files(vault)
    vault.snapshot(tree, everything=True)
    assert "agents/node_modules/x.js" in files(vault)


def test_a_parent_in_the_order_of_old_is_read_along(
    tree: Path, vault: Vault, monkeypatch: pytest.MonkeyPatch
) -> None:
    from holdfast.vault import incremental, parent

    time.sleep(2.1)
    with monkeypatch.context() as patch:
        patch.setattr(incremental, "priority_of", lambda *_: Priority.HIGH)
        patch.setattr(parent, "priority_of", lambda *_: Priority.HIGH)

        def old_header(**facts: Any) -> Header:
            return Header(**{**facts, "by_priority": False})

        patch.setattr("holdfast.vault.create.Header", old_header)
        vault.snapshot(tree, everything=True)
    assert files(vault) == sorted(files(vault), key=lambda path: path.split("/")[:-1])
    totals = vault.snapshot(tree, everything=True).snapshot.totals
    assert totals.unchanged == totals.files == len(NAMES)


posix = pytest.mark.skipif(sys.platform == "win32", reason="there folders are listed each time")


def take_after(vault: Vault, tree: Path, work: Callable[[], None]) -> None:
    """Take a snapshot after `work`, of a tree that looked settled before."""
    time.sleep(2.1)
    vault.snapshot(tree, everything=True)
    work()
    vault.snapshot(tree, everything=True)


def test_a_rule_for_folders_is_asked_again_when_the_kind_changes(tree: Path, vault: Vault) -> None:
    (tree / ".holdfastignore").write_text("made/\n")
    (tree / "agents" / "made").mkdir()
    write(tree / "notes" / "made", b"a file")
    vault.snapshot(tree)
    assert "notes/made" in files(vault)
    (tree / "agents" / "made").rmdir()
    write(tree / "agents" / "made", b"a file now")
    (tree / "notes" / "made").unlink()
    (tree / "notes" / "made").mkdir()
    vault.snapshot(tree)
    kinds = {entry.path: entry.kind for entry in vault.read("latest")[1]}
    assert (kinds["agents/made"], kinds["notes/made"]) == ("file", "excluded")


@posix
def test_in_a_folder_that_looks_the_same_changes_are_found(
    tree: Path, vault: Vault, tmp_path: Path
) -> None:
    def work() -> None:
        (tree / "agents" / "a.py").write_bytes(b"edited")
        (tree / "notes" / "z.md").unlink()
        write(tree / "logs" / "new.log", b"new")
        (tree / "shared" / "other.py").rename(tree / "shared" / "another.py")

    take_after(vault, tree, work)
    vault.restore("latest", to=tmp_path / "out")
    assert facts(tmp_path / "out") == facts(tree)


@posix
def test_what_could_not_be_read_is_tried_again(tree: Path, vault: Vault) -> None:
    real = os.lstat

    def refuse(path: str, **how: int) -> os.stat_result:
        if str(path).endswith("a.py"):
            raise PermissionError(13, "Permission denied")
        return real(path, **how)

    time.sleep(2.1)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(os, "lstat", refuse)
        report = vault.snapshot(tree, everything=True)
    assert [problem.path for problem in report.snapshot.problems] == ["agents/a.py"]
    assert vault.snapshot(tree, everything=True).healthy
    assert "agents/a.py" in files(vault)

"""What a snapshot holds, what it reads, and what it leaves out."""

import os
import re
import sqlite3
import sys
import threading
import time
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from holdfast.errors import ConflictError, NewerFormatError, NotFoundError, UsageError
from holdfast.vault import Vault
from holdfast.vault.entries import Entry
from tests.vault.access import create
from tests.vault.trees import facts, make_tree, write

pytestmark = pytest.mark.usefixtures("each_kind")

posix = pytest.mark.skipif(sys.platform == "win32", reason="POSIX files")


def entries(vault: Vault, ref: str = "latest") -> dict[str, Entry]:
    return {entry.path: entry for entry in vault.read(ref)[1]}


def test_everything_comes_back_as_it_was(tmp_path: Path) -> None:
    tree = make_tree(tmp_path / "tree")
    vault = create(tmp_path / "vault")
    report = vault.snapshot(tree, everything=True)
    assert report.healthy
    assert report.proof is not None
    assert vault.last_proof() == report.proof
    restored = vault.restore("latest", to=tmp_path / "out")
    assert restored.healthy
    assert facts(tmp_path / "out") == facts(tree)


def test_equal_content_is_stored_once(tmp_path: Path) -> None:
    tree = tmp_path / "tree"
    tree.mkdir()
    data = os.urandom(100_000)
    for number in range(10):
        write(tree / f"copy-{number}", data)
    report = create(tmp_path / "vault").snapshot(tree)
    assert 100_000 < report.snapshot.totals.stored < 150_000


def _opened_below(tree: Path, work: Any) -> list[str]:
    """Every file below `tree` that `work` opens, by Python's audit events."""
    opened: list[str] = []
    watching = True

    def hook(event: str, arguments: tuple[Any, ...]) -> None:
        if watching and event == "open" and str(tree) in str(arguments[0]):
            opened.append(str(arguments[0]))

    sys.addaudithook(hook)
    work()
    watching = False
    return opened


def test_unchanged_files_are_not_opened(tmp_path: Path) -> None:
    tree = make_tree(tmp_path / "tree")
    vault = create(tmp_path / "vault")
    # ctime cannot be set: the first snapshot must begin safely later than the files were made.
    time.sleep(2.1)
    first = _opened_below(tree, lambda: vault.snapshot(tree))
    second = _opened_below(tree, lambda: vault.snapshot(tree))
    assert len(first) > 5
    assert second == []
    totals = vault.snapshots()[-1].totals
    assert totals.unchanged == totals.files > 5
    assert totals.stored == 0


def test_a_file_as_young_as_the_snapshot_is_not_trusted(tmp_path: Path) -> None:
    tree = tmp_path / "tree"
    tree.mkdir()
    (tree / "young").write_bytes(b"one")
    vault = create(tmp_path / "vault")
    vault.snapshot(tree)
    opened = _opened_below(tree, lambda: vault.snapshot(tree))
    assert [path for path in opened if path.endswith("young")]


@posix  # Windows tells no time of change that programs cannot set
def test_an_edit_that_keeps_size_and_time_is_found(tmp_path: Path) -> None:
    tree = tmp_path / "tree"
    tree.mkdir()
    vault = create(tmp_path / "vault")
    write(tree / "file", b"before")
    vault.snapshot(tree)
    write(tree / "file", b"behind")
    vault.snapshot(tree)
    vault.restore("latest", to=tmp_path / "out")
    assert (tmp_path / "out" / "file").read_bytes() == b"behind"


def test_what_is_left_out(tmp_path: Path) -> None:
    tree = tmp_path / "tree"
    names = [
        "node_modules/x.js", "a/__pycache__/m.pyc", "a/m.py", "a/m.pyc", "keep.log", "drop.log",
        ".holdfast/quarantine/x/item", ".holdfast/locks/a.lock", ".holdfast/state", "b/secret/s",
    ]  # fmt: skip
    for name in names:
        (tree / name).parent.mkdir(parents=True, exist_ok=True)
        (tree / name).write_text("x")
    (tree / ".holdfastignore").write_text("*.log\n!keep.log\n/b/secret/\n")
    vault = create(tree / "backups" / "vault")
    vault.snapshot(tree)
    kept = {path for path, entry in entries(vault).items() if entry.kind == "file"}
    assert kept == {"a/m.py", "keep.log", ".holdfast/state", ".holdfastignore"}
    out = {path for path, entry in entries(vault).items() if entry.kind == "excluded"}
    assert out == {"node_modules", "a/__pycache__", "a/m.pyc", "drop.log", "b/secret"}
    vault.snapshot(tree, everything=True)
    kept = {path for path, entry in entries(vault).items() if entry.kind == "file"}
    assert {"node_modules/x.js", "drop.log", "a/m.pyc"} < kept
    assert not [path for path in kept if path.startswith(("backups/vault", ".holdfast/q"))]


def test_a_database_in_use_is_captured_whole(tmp_path: Path) -> None:
    tree = tmp_path / "tree"
    tree.mkdir()
    vault = create(tmp_path / "vault")
    with closing(sqlite3.connect(tree / "state.db", isolation_level=None)) as writer:
        writer.execute("PRAGMA journal_mode=WAL")
        writer.execute("CREATE TABLE t (a INTEGER)")
        writer.executemany("INSERT INTO t VALUES (?)", ((n,) for n in range(1000)))
        assert vault.snapshot(tree).healthy
        found = entries(vault)
        assert set(found) == {"state.db"}
        assert found["state.db"].capture == "sqlite"
        # Only the log changes now; the database file itself is as it was.
        writer.execute("INSERT INTO t VALUES (1000)")
        assert vault.snapshot(tree).healthy
    vault.restore("latest", to=tmp_path / "out")
    with closing(sqlite3.connect(tmp_path / "out" / "state.db")) as copy:
        assert copy.execute("SELECT count(*), max(a) FROM t").fetchone() == (1001, 1000)


def test_restoring_a_database_sets_its_old_log_aside(tmp_path: Path) -> None:
    from holdfast.durable.quarantine import Quarantine

    tree = tmp_path / "tree"
    tree.mkdir()
    vault = create(tmp_path / "vault")
    with closing(sqlite3.connect(tree / "state.db", isolation_level=None)) as writer:
        writer.execute("PRAGMA journal_mode=WAL")
        writer.execute("CREATE TABLE t (a INTEGER)")
        vault.snapshot(tree)
    (tree / "state.db-wal").write_bytes(b"a log of another life")
    quarantine = Quarantine(tmp_path / "quarantine")
    report = vault.restore("latest", to=tree, quarantine=quarantine)
    assert report.healthy
    assert not (tree / "state.db-wal").exists()
    origins = {Path(entry.origin).name for entry in quarantine.list_entries()}
    assert origins == {"state.db", "state.db-wal"}


def test_a_file_with_the_magic_of_a_database_that_is_none(tmp_path: Path) -> None:
    tree = tmp_path / "tree"
    tree.mkdir()
    data = b"SQLite format 3\0" + os.urandom(5000)
    (tree / "x.db").write_bytes(data)
    vault = create(tmp_path / "vault")
    report = vault.snapshot(tree)
    assert [problem.path for problem in report.snapshot.problems] == ["x.db"]
    vault.restore("latest", to=tmp_path / "out")
    assert (tmp_path / "out" / "x.db").read_bytes() == data


@posix
def test_special_files_are_recorded_and_not_read(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    import socket

    if sys.platform == "win32":
        return
    tree = tmp_path / "tree"
    tree.mkdir()
    os.mkfifo(tree / "fifo")
    with socket.socket(socket.AF_UNIX) as server:
        monkeypatch.chdir(tree)  # the address of a socket is short
        server.bind("socket")
    vault = create(tmp_path / "vault")
    assert vault.snapshot(tree).healthy
    assert {path: entry.kind for path, entry in entries(vault).items()} == {
        "fifo": "fifo",
        "socket": "socket",
    }
    report = vault.restore("latest", to=tmp_path / "out")
    assert [step.action for step in report.plan] == ["skip", "skip"]


def _reads_everything(probe: Path) -> bool:
    probe.touch(mode=0o000)
    return os.access(probe, os.R_OK)


@posix
def test_the_unreadable_is_reported(tmp_path: Path) -> None:
    if _reads_everything(tmp_path / "probe"):
        pytest.skip("NOT TESTED: this user may read every file")
    tree = make_tree(tmp_path / "tree")
    (tree / "secret").chmod(0)
    (tree / "agents" / "deep").chmod(0)
    vault = create(tmp_path / "vault")
    report = vault.snapshot(tree)
    (tree / "agents" / "deep").chmod(0o755)
    assert {problem.path for problem in report.snapshot.problems} == {"secret", "agents/deep"}


def test_a_file_that_never_holds_still(tmp_path: Path) -> None:
    """It is rewritten in place all the time: either reported or stored as it once was."""
    tree = tmp_path / "tree"
    tree.mkdir()
    target = tree / "busy"
    target.write_bytes(b"\0" * 6_000_000)
    done = threading.Event()

    def rewrite() -> None:
        turn = 0
        with target.open("r+b", buffering=0) as file:
            while not done.is_set():
                turn = (turn + 1) % 256
                file.seek(0)
                file.write(bytes([turn]) * 6_000_000)

    thread = threading.Thread(target=rewrite)
    thread.start()
    vault = create(tmp_path / "vault")
    try:
        report = vault.snapshot(tree)
    finally:
        done.set()
        thread.join()
    if "busy" in entries(vault):
        vault.restore("latest", to=tmp_path / "out")
        assert len(set((tmp_path / "out" / "busy").read_bytes())) <= 2
    else:
        assert [problem.path for problem in report.snapshot.problems] == ["busy"]


def test_a_log_that_grows_all_the_time_is_stored_up_to_a_point(tmp_path: Path) -> None:
    tree = tmp_path / "tree"
    tree.mkdir()
    log = tree / "agent.log"
    line = b'{"level":"INFO"}\n'
    log.write_bytes(line * 200_000)
    done = threading.Event()

    def append() -> None:
        with log.open("ab", buffering=0) as file:
            while not done.is_set():
                file.write(line)

    thread = threading.Thread(target=append)
    thread.start()
    vault = create(tmp_path / "vault")
    try:
        report = vault.snapshot(tree)
    finally:
        done.set()
        thread.join()
    assert report.healthy
    vault.restore("latest", to=tmp_path / "out")
    stored = (tmp_path / "out" / "agent.log").read_bytes()
    assert len(stored) >= 200_000 * len(line)
    assert log.read_bytes().startswith(stored)


def test_names_and_refs(tmp_path: Path) -> None:
    tree = make_tree(tmp_path / "tree")
    with pytest.raises(NotFoundError):
        Vault.open(tmp_path / "vault")
    vault = create(tmp_path / "vault")
    with pytest.raises(NotFoundError, match="no snapshot yet"):
        vault.resolve("latest")
    first = vault.snapshot(tree, tags=["a"]).snapshot
    assert vault.resolve(first.id[:8]) == vault.resolve("latest") == first.id
    assert vault.snapshots()[0].tags == ["a"]
    with pytest.raises(NotFoundError):
        vault.resolve("0000000")
    with pytest.raises(NotFoundError):
        vault.snapshot(tmp_path / "nothing")
    with pytest.raises(UsageError, match="itself"):
        vault.snapshot(tmp_path / "vault")
    with pytest.raises(ConflictError):
        create(tree)


def test_a_newer_vault_is_refused(tmp_path: Path) -> None:
    create(tmp_path)
    text = (tmp_path / "vault.json").read_text()
    (tmp_path / "vault.json").write_text(re.sub('"formatVersion": .', '"formatVersion": 9', text))
    with pytest.raises(NewerFormatError):
        Vault.open(tmp_path)


@posix
def test_only_the_owner_can_look_inside(tmp_path: Path) -> None:
    tree = make_tree(tmp_path / "tree")
    vault = create(tmp_path / "vault")
    vault.snapshot(tree)
    for folder, _, files in os.walk(vault.path):
        assert Path(folder).stat().st_mode & 0o077 == 0
        assert all((Path(folder) / name).stat().st_mode & 0o077 == 0 for name in files)
    assert list((vault.path / "tmp").iterdir()) == []

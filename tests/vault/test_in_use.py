"""Databases that another process has open while they are restored."""

import sqlite3
import subprocess
import sys
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path

import pytest

from holdfast.durable.quarantine import Quarantine
from holdfast.vault import Vault
from holdfast.vault.in_use import is_in_use

LIVE = """
import sqlite3, sys
connection = sqlite3.connect(sys.argv[1], isolation_level=None)
connection.execute("SELECT count(*) FROM t").fetchone()
print("open", flush=True)
for line in sys.stdin:
    print(connection.execute(line).fetchall(), flush=True)
"""


@contextmanager
def opened_elsewhere(path: Path) -> Iterator["subprocess.Popen[str]"]:
    with subprocess.Popen(
        [sys.executable, "-c", LIVE, str(path)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    ) as live:
        assert live.stdout is not None
        assert live.stdout.readline() == "open\n"
        yield live


@pytest.mark.parametrize("mode", ["wal", "delete"])
def test_others_see_what_was_restored_and_write_into_it(tmp_path: Path, mode: str) -> None:
    tree = tmp_path / "tree"
    tree.mkdir()
    path = tree / "agent.db"
    with closing(sqlite3.connect(path, isolation_level=None)) as connection:
        connection.execute(f"PRAGMA journal_mode={mode}")
        connection.execute("CREATE TABLE t (word TEXT)")
        connection.execute("INSERT INTO t VALUES ('before')")
    vault = Vault.create(tmp_path / "vault")
    vault.snapshot(tree)
    with closing(sqlite3.connect(path, isolation_level=None)) as connection:
        connection.execute("UPDATE t SET word = 'after'")
    assert not is_in_use(path)
    quarantine = Quarantine(tmp_path / "quarantine")
    with opened_elsewhere(path) as live:
        assert is_in_use(path)
        report = vault.restore("latest", to=tree, quarantine=quarantine)
        assert report.healthy, report.problems
        output, _ = live.communicate("SELECT * FROM t\nINSERT INTO t VALUES ('live')\n", timeout=60)
    assert output.splitlines()[0] == "[('before',)]"
    assert words(path) == ["before", "live"]
    (kept,) = quarantine.list_entries()
    assert kept.origin == str(path)
    assert words(quarantine.root / kept.id / "item") == ["after"]


def test_a_torn_database_that_is_open_is_replaced_as_any_file(tmp_path: Path) -> None:
    tree = tmp_path / "tree"
    tree.mkdir()
    path = tree / "agent.db"
    with closing(sqlite3.connect(path, isolation_level=None)) as connection:
        connection.execute("CREATE TABLE t (word TEXT)")
    vault = Vault.create(tmp_path / "vault")
    vault.snapshot(tree)
    if sys.platform == "win32":
        pytest.skip("Windows replaces no file that is open")
    with opened_elsewhere(path) as live:
        path.write_bytes(b"torn" * 2048)
        quarantine = Quarantine(tmp_path / "quarantine")
        assert vault.restore("latest", to=tree, quarantine=quarantine).healthy
        live.kill()
    assert words(path) == []


def words(path: Path) -> list[str]:
    with closing(sqlite3.connect(path)) as connection:
        return [word for (word,) in connection.execute("SELECT word FROM t")]

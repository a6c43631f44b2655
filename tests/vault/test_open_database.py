"""A snapshot taken in a process that has a database open takes no lock away from it."""

import sqlite3
import subprocess
import sys
from contextlib import closing
from pathlib import Path

from holdfast.vault import Vault

_OPEN_AND_CLOSE = """
import sqlite3, sys
connection = sqlite3.connect(sys.argv[1])
connection.execute("SELECT count(*) FROM kept").fetchone()
connection.close()  # the last to close checkpoints, and removes the write-ahead log
"""


def test_another_process_does_not_take_itself_for_the_last(tmp_path: Path) -> None:
    tree = tmp_path / "tree"
    tree.mkdir()
    database = tree / "state.db"
    with closing(sqlite3.connect(database, isolation_level=None)) as connection:
        connection.execute("PRAGMA journal_mode=WAL")
        connection.execute("CREATE TABLE kept (number INTEGER)")
        connection.execute("INSERT INTO kept VALUES (1)")

        report = Vault.create(tmp_path / "vault").snapshot(tree)
        assert report.healthy
        command = [sys.executable, "-c", _OPEN_AND_CLOSE, str(database)]
        subprocess.run(command, check=True, timeout=60)

        assert database.with_name("state.db-wal").exists(), "the log was taken from under us"
        connection.execute("INSERT INTO kept VALUES (2)")
    with closing(sqlite3.connect(database)) as again:
        assert again.execute("SELECT count(*) FROM kept").fetchone() == (2,)


def test_what_only_looks_like_a_database_is_kept_as_it_is(tmp_path: Path) -> None:
    tree = tmp_path / "tree"
    tree.mkdir()
    content = b"x" * 1024
    (tree / "pages").write_bytes(content)
    with (tree / "pages").open("rb"):
        vault = Vault.create(tmp_path / "vault")
        assert vault.snapshot(tree).healthy
    vault.restore("latest", to=tmp_path / "out")
    assert (tmp_path / "out/pages").read_bytes() == content

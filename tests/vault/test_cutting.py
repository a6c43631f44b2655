"""Cutting by content: a change costs what it touched and little more."""

import os
import random
import sqlite3
import tempfile
from contextlib import closing
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from holdfast.vault import Vault, cutting


def cut(data: bytes) -> list[bytes]:
    with tempfile.TemporaryFile() as file:
        file.write(data)
        file.seek(0)
        return list(cutting.pieces(file.fileno(), len(data)))


def log_of(lines: int) -> bytes:
    return b"".join(b'{"time": %d, "message": "hello"}\n' % number for number in range(lines))


CONTENTS = {
    "log": log_of(300_000),
    "random": random.Random(7).randbytes(9 << 20),
    "one line": b"x" * (9 << 20),
    "blank lines": b"\n" * (9 << 20),
}


@pytest.mark.parametrize("content", CONTENTS)
def test_the_pieces_are_the_file_and_neither_too_long_nor_too_short(content: str) -> None:
    found = cut(CONTENTS[content])
    assert b"".join(found) == CONTENTS[content]
    assert all(cutting.LEAST <= len(piece) <= cutting.MOST for piece in found[:-1])
    assert len(found[-1]) <= cutting.MOST


@pytest.mark.parametrize("content", ["log", "random"])
@pytest.mark.parametrize("edit", ["append", "insert", "cut out"])
def test_an_edit_leaves_most_pieces_as_they_were(content: str, edit: str) -> None:
    before = CONTENTS[content]
    at = 3 << 20
    after = {
        "append": before + b"more",
        "insert": before[:at] + b"more" + before[at:],
        "cut out": before[:at] + before[at + 1234 :],
    }[edit]
    new = set(cut(after)) - set(cut(before))
    assert sum(map(len, new)) <= 4 * cutting.MOST
    if edit == "append":
        assert len(new) == 1


@settings(max_examples=30, deadline=None)
@given(st.lists(st.binary(max_size=40), min_size=1, max_size=60), st.integers(1, 80))
def test_whatever_the_lines_are(lines: list[bytes], size: int) -> None:
    data = (b"\n".join(lines) * size * 4000)[: 5 << 20]
    found = cut(data)
    assert b"".join(found) == data
    assert all(len(piece) <= cutting.MOST for piece in found)


def test_a_file_that_ends_early_gives_what_there_is() -> None:
    with tempfile.TemporaryFile() as file:
        file.write(b"short")
        file.seek(0)
        assert list(cutting.pieces(file.fileno(), 1 << 30)) == [b"short"]


def test_a_changed_page_of_a_database_costs_its_piece(tmp_path: Path) -> None:
    tree = tmp_path / "tree"
    tree.mkdir()
    database = tree / "state.sqlite"
    with closing(sqlite3.connect(database)) as connection:
        connection.execute("CREATE TABLE t (id INTEGER PRIMARY KEY, data BLOB)")
        rows = [(number, os.urandom(1000)) for number in range(6000)]
        connection.executemany("INSERT INTO t VALUES (?, ?)", rows)
        connection.commit()
    vault = Vault.create(tmp_path / "vault")
    vault.snapshot(tree)
    with closing(sqlite3.connect(database)) as connection:
        connection.execute("UPDATE t SET data = zeroblob(1000) WHERE id = 3000")
        connection.commit()
    report = vault.snapshot(tree)
    assert report.healthy
    assert report.snapshot.totals.stored < 4 * cutting.PAGES


def test_a_grown_log_costs_its_last_piece(tmp_path: Path) -> None:
    tree = tmp_path / "tree"
    tree.mkdir()
    log = tree / "agent.log"
    noise = random.Random(3)
    log.write_bytes(b"".join(noise.randbytes(90).hex().encode() + b"\n" for _ in range(60_000)))
    vault = Vault.create(tmp_path / "vault")
    first = vault.snapshot(tree).snapshot.totals.stored
    with log.open("ab") as file:
        file.write(b"one more line\n")
    report = vault.snapshot(tree)
    assert report.snapshot.totals.stored < first / 3
    restored = vault.restore("latest", to=tmp_path / "out")
    assert restored.healthy
    assert (tmp_path / "out" / "agent.log").read_bytes() == log.read_bytes()

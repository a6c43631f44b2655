"""Writes that wait for each other: each committed before it returns, each told of its own error."""

import sqlite3
import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from holdfast.workflows.stores.group_commit import GroupCommit


class Slow(sqlite3.Connection):
    """A real connection on which a test can hold the first write, so that others queue up."""

    hold = threading.Event()
    begun = threading.Event()
    transactions = 0

    def execute(self, sql: str, parameters: object = (), /) -> sqlite3.Cursor:
        if sql == "BEGIN IMMEDIATE":
            Slow.transactions += 1
        self.begun.set()
        assert self.hold.wait(20)
        return super().execute(sql, parameters)  # type: ignore[arg-type]


@pytest.fixture
def path(tmp_path: Path) -> Path:
    connection = sqlite3.connect(tmp_path / "db")
    connection.execute("CREATE TABLE numbers (n INTEGER PRIMARY KEY)")
    connection.commit()
    connection.close()
    return tmp_path / "db"


def opened(path: Path) -> GroupCommit:
    Slow.hold.clear()
    Slow.begun.clear()
    Slow.transactions = 0
    connection = sqlite3.connect(path, isolation_level=None, check_same_thread=False, factory=Slow)
    return GroupCommit(connection)


def numbers(path: Path) -> list[int]:
    connection = sqlite3.connect(path)
    found = [row[0] for row in connection.execute("SELECT n FROM numbers ORDER BY n")]
    connection.close()
    return found


def write_while_held(group: GroupCommit, values: list[int | str]) -> list[int | Exception]:
    """Write the first of `values`, the others while it is held; what each of them got."""

    def write(value: int | str) -> int | Exception:
        try:
            return group.write("INSERT INTO numbers VALUES (?)", (value,)).rowcount
        except sqlite3.Error as error:
            return error

    with ThreadPoolExecutor(len(values)) as threads:
        first = threads.submit(write, values[0])
        assert Slow.begun.wait(20)
        others = [threads.submit(write, value) for value in values[1:]]
        while len(group._queue) < len(others):
            threading.Event().wait(0.001)
        Slow.hold.set()
        return [future.result(20) for future in (first, *others)]


def test_what_waits_is_committed_together(path: Path) -> None:
    group = opened(path)
    assert write_while_held(group, list(range(9))) == [1] * 9
    assert numbers(path) == list(range(9))
    assert Slow.transactions == 1
    group.close()


def test_an_error_reaches_all_of_its_commit_and_no_other(path: Path) -> None:
    group = opened(path)
    first, *others = write_while_held(group, [1, 2, "no number", 3])
    assert first == 1
    assert all(isinstance(other, sqlite3.Error) for other in others)
    assert numbers(path) == [1]
    assert group.write("INSERT INTO numbers VALUES (?)", (4,)).rowcount == 1
    assert numbers(path) == [1, 4]
    group.close()

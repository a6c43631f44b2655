"""SQLite: a file shared with other rooms, cost that does not grow, a full disk, bad files."""

import sqlite3
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest

from holdfast.engines.sqlite import open_database
from holdfast.engines.urls import url_for
from holdfast.errors import BusyError, NewerFormatError, StorageError, UnreadableError
from holdfast.queues import Queue, list_queues
from holdfast.queues.stores import sqlite
from holdfast.queues.stores.sqlite import SqliteQueueStore


@pytest.fixture
def store(tmp_path: Path) -> Iterator[SqliteQueueStore]:
    store = SqliteQueueStore(tmp_path / "state.db", "q")
    yield store
    store.close()


def test_queues_of_one_file_do_not_mix(tmp_path: Path) -> None:
    url = url_for("sqlite", tmp_path / "state.db")
    assert list_queues(url) == []
    assert not (tmp_path / "state.db").exists()
    open_database(tmp_path / "state.db", room="other", migrations=["CREATE TABLE t (x)"]).close()
    with Queue("b", url=url) as b, Queue("a", url=url) as a:
        a.put("of a", key="k", group="g")
        b.put("of b", key="k", group="g")
        a.pause()
        assert a.take() == []
        (message,) = b.take(9)
        assert message.body == "of b"
        assert a.purge() == 1
        assert b.stats().leased == 1
    assert list_queues(url) == ["a", "b"]


def test_the_file_can_be_read_without_holdfast(tmp_path: Path, store: SqliteQueueStore) -> None:
    with Queue("q", store=store) as queue:
        queue.put({"topic": "bees"}, priority=3)
        with closing(sqlite3.connect(tmp_path / "state.db")) as connection:
            rows = connection.execute(
                "SELECT place, rank, json_extract(payload, '$.body.topic') FROM queue_messages"
            ).fetchall()
    assert rows == [("ready", -3, "bees")]


STATEMENTS = {
    name: statement
    for name, statement in vars(sqlite).items()
    if isinstance(statement, str) and statement.lstrip().startswith(("SELECT", "UPDATE"))
}


def test_no_call_looks_at_every_message(store: SqliteQueueStore) -> None:
    assert {"_READY", "_PROMOTE", "_FOLLOW", "_WITH_KEY", "_DUE"} <= set(STATEMENTS)
    for name, statement in STATEMENTS.items():
        if statement.endswith("AND"):  # the beginning of others
            continue
        values = {"queue": 1, "now": 1.0} if ":queue" in statement else (1,) * statement.count("?")
        plan = store._reader.execute(f"EXPLAIN QUERY PLAN {statement}", values).fetchall()
        steps = [row[3] for row in plan]
        assert [step for step in steps if step.startswith("SCAN queue")] == [], name
        assert [step for step in steps if "TEMP B-TREE" in step] == [], name


def test_a_full_disk_loses_nothing(store: SqliteQueueStore) -> None:
    with Queue("q", store=store, lease=60) as queue:
        queue.put_many(["kept"] * 10)
        taken = queue.take(3)
        writer = store._writer
        pages = writer.execute("PRAGMA page_count").fetchone()[0]
        writer.execute(f"PRAGMA max_page_count = {pages}")
        acknowledged = 10

        def fill() -> None:
            nonlocal acknowledged
            while True:
                queue.put("x" * 1000)
                acknowledged += 1

        with pytest.raises(StorageError, match="free some space"):
            fill()
        assert queue.depth(1000) == acknowledged
        queue.ack(*(message.receipt for message in taken))
        writer.execute("PRAGMA max_page_count = 1000000")
        queue.put("room again")
        assert queue.depth(1000) == acknowledged - 2


def test_a_writer_that_holds_the_file_for_long_is_named(
    tmp_path: Path, store: SqliteQueueStore
) -> None:
    store._writer.execute("PRAGMA busy_timeout = 50")
    with Queue("q", store=store) as queue:
        queue.put("a")
        with closing(sqlite3.connect(tmp_path / "state.db", isolation_level=None)) as other:
            other.execute("BEGIN IMMEDIATE")
            with pytest.raises(BusyError, match="another process is writing"):
                queue.put("b")
            assert [message.body for message in queue.peek(9)] == ["a"]
            other.execute("ROLLBACK")
        queue.put("b")
        assert [message.body for message in queue.take(9)] == ["a", "b"]


def test_what_cannot_be_read_is_an_error(tmp_path: Path) -> None:
    path = tmp_path / "state.db"
    SqliteQueueStore(path, "q").close()
    with closing(sqlite3.connect(path)) as connection:
        connection.execute("UPDATE holdfast_rooms SET version = 99 WHERE room = 'queues'")
        connection.commit()
    with pytest.raises(NewerFormatError, match="upgrade"):
        SqliteQueueStore(path, "q")
    path.write_bytes(b"no database" * 50)
    with pytest.raises(UnreadableError):
        SqliteQueueStore(path, "q")
    with pytest.raises(UnreadableError):
        list_queues(url_for("sqlite", path))

"""Puts and acks that are part of another room's transaction: all of it, or nothing."""

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, closing
from pathlib import Path
from typing import Any

import pytest

from holdfast.engines.identity import database_identity
from holdfast.engines.outbox import open_outbox
from holdfast.engines.postgres import Postgres
from holdfast.engines.sqlite import open_database, transaction
from holdfast.engines.urls import parse_url, url_for
from holdfast.errors import ConflictError
from holdfast.queues import Queue, Topic

Transaction = Callable[[], AbstractContextManager[Any]]


@pytest.fixture(params=["sqlite", "postgres"])
def room(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[tuple[str, Transaction]]:
    """A database, and transactions of another room in it."""
    if request.param == "sqlite":
        path = tmp_path / "state.db"
        with closing(open_database(path, room="other", migrations=())) as connection:
            yield url_for("sqlite", path), lambda: transaction(connection)
    else:
        url = request.getfixturevalue("postgres_url")
        with closing(Postgres(parse_url(url), room="other", migrations=())) as database:
            yield url, database.transaction


def test_puts_and_acks_are_done_with_the_transaction(room: tuple[str, Transaction]) -> None:
    url, begin = room
    with Queue("in", url=url) as inbox, Queue("out", url=url) as outbound:
        inbox.put("work")
        inbox.put("first", group="g")
        inbox.put("second", group="g")
        message, grouped = inbox.take(2)
        with open_outbox(database_identity(url)) as outbox:
            first = outbound.put("a", priority=3)
            others = outbound.put_many("bc")
            keyed = outbound.put("d", key="k")
            message.ack()
            grouped.ack()
            assert outbound.depth(9) == 0
            assert inbox.depth(9) == 3
        with begin() as connection:
            outbox.deliver(connection)
        assert [(one.id, one.body) for one in outbound.peek(9)] == [
            (first, "a"),
            (others[0], "b"),
            (others[1], "c"),
            (keyed, "d"),
        ]
        assert outbound.put("again", key="k") == keyed
        assert [one.body for one in inbox.take(9)] == ["second"]
        later = outbound.put("later")  # numbers go on behind the reserved ones
        assert later not in (first, *others, keyed)
        assert len(outbound.take(9)) == 5


def test_nothing_is_done_when_the_transaction_fails(room: tuple[str, Transaction]) -> None:
    url, begin = room
    with Queue("in", url=url, lease=60) as inbox, Queue("out", url=url) as outbound:
        inbox.put("work")
        (message,) = inbox.take()
        with open_outbox(database_identity(url)) as outbox:
            outbound.put("a")
            message.ack()

        def failing() -> None:
            with begin() as connection:
                outbox.deliver(connection)
                raise ValueError("no")

        with pytest.raises(ValueError, match="no"):
            failing()
        assert outbound.depth(9) == 0
        assert inbox.depth(9) == 1
        inbox.ack(message.receipt)  # still good


def test_a_stale_receipt_fails_all_of_it(room: tuple[str, Transaction]) -> None:
    url, begin = room
    with Queue("in", url=url) as inbox, Queue("out", url=url) as outbound:
        inbox.put("work")
        (message,) = inbox.take()
        with open_outbox(database_identity(url)) as outbox:
            outbound.put("a")
            message.ack()
        inbox.nack(message.receipt)

        def deliver() -> None:
            with begin() as connection:
                outbox.deliver(connection)

        with pytest.raises(ConflictError):
            deliver()
        assert outbound.depth(9) == 0
        assert inbox.depth(9) == 1


def test_topics_and_subscriptions_share_it(room: tuple[str, Transaction]) -> None:
    url, begin = room
    with Topic("events", url=url) as topic, topic.subscribe("a") as one:
        topic.put("first")
        (message,) = one.take()
        with open_outbox(database_identity(url)) as outbox:
            assert topic.put("second") == 0
            message.ack()
        assert topic.bounds() == (1, 1)
        assert one.status().lag == 1
        with begin() as connection:
            outbox.deliver(connection)
        assert topic.put("third") == 3
        assert [each.body for each in one.take(9)] == ["second", "third"]
        assert one.status().lag == 2


def test_other_databases_commit_alone(room: tuple[str, Transaction], tmp_path: Path) -> None:
    url, _ = room
    elsewhere = url_for("sqlite", tmp_path / "else.db")
    with open_outbox(database_identity(url)) as outbox:
        for other in (elsewhere, url_for("file", tmp_path / "files"), "memory://"):
            with Queue("q", url=other) as queue:
                queue.put("a")
                queue.take()[0].ack()
                assert queue.depth(9) == 0
        assert outbox.writes == []


def test_one_database_has_one_identity(tmp_path: Path) -> None:
    path = tmp_path / "state.db"
    again = f"sqlite:///{(tmp_path / 'x' / '..' / 'state.db').as_posix().lstrip('/')}"
    assert database_identity(url_for("sqlite", path)) == database_identity(again)
    assert database_identity("memory://") == ""
    assert database_identity(url_for("file", tmp_path)) == ""
    base = "postgresql://ann@db.example:5432/shop"
    same = (
        "postgresql://ann@db.example/shop",
        "postgresql://bob:x@db.example/shop?sslmode=require",
    )
    assert {database_identity(url) for url in (base, *same)} == {database_identity(base)}
    assert database_identity("postgresql://ann@db.example/other") != database_identity(base)

"""Queues and topics between all engines that keep them."""

import json
from pathlib import Path
from typing import Any

import pytest

from holdfast.engines.urls import parse_url
from holdfast.queues import Queue, Topic
from tests.migration.conftest import Command, FreshUrl
from tests.migration.filled import fill_queues

ENGINES = ("file", "sqlite", "redis", "postgresql")


@pytest.mark.parametrize("target", ENGINES)
@pytest.mark.parametrize("source", ENGINES)
def test_queues_move(holdfast: Command, fresh: FreshUrl, source: str, target: str) -> None:
    old, new = fresh(source), fresh(target)
    fill_queues(old)
    shown, dead = seen(old)
    report = holdfast.migrate("queues", old, new)
    assert report["healthy"]
    assert report["unchanged"]
    assert report["held"] == ["halted", "jobs", "news@fast", "news@slow"]
    assert report["copied"]["counts"]["messages"] == 17
    assert seen(new) == (shown, dead)
    with Queue("jobs", url=old) as jobs:
        assert jobs.stats().paused
    with Queue("halted", url=new) as halted:
        assert halted.stats().paused
    with Queue("jobs", url=new, max_attempts=2) as jobs:
        assert not jobs.stats().paused
        assert jobs.put("again", key="k")
        taken = jobs.take(100)
        bodies = [message.body for message in taken]
        assert bodies == ["urgent", "tried", "plain ✓", "plain", "soon", "keyed", "grouped 0"]
        assert [message.attempts for message in taken][:2] == [2, 2]
        jobs.ack(*(message.receipt for message in taken))
        assert [message.body for message in jobs.take(100)] == ["grouped 1"]
        assert jobs.requeue_dead([dead[1][0]]) == 1
        assert [message.body for message in jobs.take(100)] == [dead[1][1]]
    with Topic("news", url=new) as news, news.subscription("slow") as slow:
        assert news.put(5) == 5
        assert [(m.body, m.position) for m in slow.take(9)] == [(n, n) for n in range(1, 6)]
        assert {one.name: one.position for one in news.subscriptions()}["fast"] >= 2


def seen(url: str) -> tuple[list[Any], list[Any]]:
    """Id, body, attempts, time and reason of what waits in ``jobs``, and of the dead."""
    with Queue("jobs", url=url) as jobs:
        return tuple(  # type: ignore[return-value]
            [(m.id, m.body, m.attempts, f"{m.enqueued_at:.6f}", m.reason) for m in messages]
            for messages in (jobs.peek(100), jobs.dead(100))
        )


def test_messages_that_are_out_are_refused_and_waited_for(
    holdfast: Command, fresh: FreshUrl
) -> None:
    old, new = fresh("file"), fresh("sqlite")
    with Queue("jobs", url=old) as jobs:
        jobs.put(1)
        (message,) = jobs.take()
        done = holdfast("migrate", "queues", old, new, "--wait", "0")
        assert done.returncode == 4
        assert "messages are out: 1 of jobs" in json.loads(done.stderr)["error"]["message"]
        assert not jobs.stats().paused
        message.ack()
    assert holdfast.migrate("queues", old, new)["copied"]["counts"] == {"queues": 1}


def test_another_queue_is_refused(holdfast: Command, fresh: FreshUrl) -> None:
    old, new = fresh("sqlite"), fresh("file")
    fill_queues(old)
    with Queue("jobs", url=new) as jobs:
        jobs.put("mine")
    done = holdfast("migrate", "queues", old, new)
    assert done.returncode == 4
    assert "another queue 'jobs'" in done.stderr
    with Queue("jobs", url=new) as jobs:
        assert [message.body for message in jobs.peek()] == ["mine"]
    with Queue("jobs", url=old) as jobs:
        assert not jobs.stats().paused


def test_a_second_move_finds_all_there(holdfast: Command, fresh: FreshUrl) -> None:
    old, new = fresh("file"), fresh("sqlite")
    fill_queues(old)
    first = holdfast.migrate("queues", old, new)
    again = holdfast.migrate("queues", old, new)
    assert again["copied"] == first["copied"]
    assert again["run"] != first["run"]


def test_a_torn_record_is_refused_with_its_place(
    holdfast: Command, fresh: FreshUrl, tmp_path: Path
) -> None:
    old, new = fresh("file"), fresh("sqlite")
    fill_queues(old)
    segment = parse_url(old).require_path() / "jobs" / "messages" / "00000001.jsonl"
    content = segment.read_bytes()
    segment.write_bytes(content.replace(b"plain", b"plaiN", 1))
    done = holdfast("migrate", "queues", old, new)
    assert done.returncode == 3, done.stderr
    assert "00000001.jsonl" in done.stderr

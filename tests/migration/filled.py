"""Stores with something of everything in them."""

import time
from contextlib import closing
from pathlib import Path

import pytest

from holdfast.events import EventLog
from holdfast.queues import Queue, Retention, Topic
from holdfast.workflows import RunFailedError, Workflows, sleep, step, wait_for, workflow
from holdfast.workflows.stores import open_store

LARGE = 200_000  # characters of a result that is kept apart


@step
def large(length: int) -> str:
    return "x" * length


@step
def doubled(number: int) -> int:
    return number * 2


@workflow(name="migrated")
def migrated(number: int) -> int:
    return doubled(number) + len(large(LARGE))


@workflow(name="waits")
def waits(number: int) -> str:
    first = doubled(number)
    return f"{first} {wait_for('go')}"


@workflow(name="sleeps")
def sleeps(number: int) -> int:
    sleep(3600)
    return number


@workflow(name="fails")
def fails() -> None:
    raise ValueError("no")


def fill_workflows(url: str) -> None:
    """Runs that ended well, failed, wait for a signal, sleep, and one that was interrupted."""
    with Workflows(url) as engine:
        engine.start(migrated, (1,), run_id="done").result()
        engine.start(migrated, (2,), run_id="again").result()
        engine.start(waits, (3,), run_id="waiting")
        engine.start(sleeps, (3,), run_id="asleep")
        with pytest.raises(RunFailedError, match="no"):
            engine.run(fails, run_id="failed")
        wait_until_put_down(engine, "waiting", "asleep")
    with closing(open_store(url, durability="process")) as store:
        store.add_signal("waiting", b'{"name":"early","value":1,"sent":5}')
        assert store.swap_note("limit", None, b'{"a":1}')
        done = store.read_run("done")
        assert done is not None
        interrupted = done._replace(id="interrupted", status="running", owner="1-gone", priority=3)
        store.create_run(interrupted._replace(finished=None, outcome=None))
        ((position, body),) = store.read_steps("done", after=0, limit=1)
        assert store.record_step("interrupted", epoch=done.epoch, position=position, body=body)


def wait_until_put_down(engine: Workflows, *ids: str) -> None:
    """Return once the runs wait, in no process."""
    end = time.monotonic() + 60
    while any(engine.get(run_id).status != "waiting" for run_id in ids):
        assert time.monotonic() < end
        time.sleep(0.01)


def fill_events(url: str, folder: Path, count: int = 5) -> None:
    """Streams, keys, an archived stream at the end, a subscription and a snapshot."""
    with EventLog(url) as log:
        for number in range(count):
            log.append("orders", "Placed", {"n": number, "name": "naïve ✓"}, key=f"k{number}")
            log.append_many(f"s{number % 2}", [("A", number), ("B", None)])
        for event in log.subscribe("mailer"):
            if event.position == 4:
                break
        log.append("old", "Last", 1)
        log.archive("old", folder / "old.jsonl")


class Clock:
    """A clock that begins some minutes ago, so that what it leases has run out by now."""

    def __init__(self) -> None:
        self.now = time.time() - 300

    def __call__(self) -> float:
        return self.now


def fill_queues(url: str) -> None:
    """Plain messages, delayed, prioritised, keyed and grouped ones, dead ones, an ended lease."""
    clock = Clock()
    with Queue("jobs", url=url, clock=clock, max_attempts=2) as jobs:
        jobs.put_many(["first", "second", "tried", "plain ✓", "plain"])
        for _ in range(2):
            first, second = jobs.take(2)
            second.nack(delay=0, reason="second")
            first.nack(delay=0, reason="first")
        jobs.take(1)[0].nack(delay=0, reason="once")
        clock.now += 1
        jobs.put("later", delay=9000)
        jobs.put("soon", delay=1)
        jobs.put("keyed", key="k")
        for number in range(3):
            clock.now += 1
            jobs.put(f"grouped {number}", group="g", priority=-number)
        jobs.put("urgent", priority=5)
        assert [message.body for message in jobs.take(1, lease=5)] == ["urgent"]
    with Queue("halted", url=url, clock=clock) as halted:
        halted.put("x")
        halted.pause()
    with Topic("news", url=url, clock=clock, retain=Retention(count=9)) as news:
        news.put_many([1, 2, 3])
        with news.subscribe("slow") as slow, news.subscribe("fast") as fast:
            fast.ack(*(message.receipt for message in fast.take(2)))
            slow.take(1)[0].nack(delay=0)
            clock.now += 1
            news.put(4)
            fast.pause()

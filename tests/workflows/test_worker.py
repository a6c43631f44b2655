"""Workers: queued runs by priority, interrupted and due ones, and starts by the clock."""

import threading
import time
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from holdfast.errors import ConflictError, StorageError, UsageError
from holdfast.workflows import Workflows, sleep, step, waiting, workflow
from holdfast.workflows.cron import Schedule, next_minute
from tests.workflows.engines import EMBEDDED, embedded_url

calls: list[str] = []


@pytest.fixture(params=EMBEDDED)
def engine(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Workflows]:
    calls.clear()
    with Workflows(embedded_url(request.param, tmp_path), threads=1) as opened:
        yield opened


@contextmanager
def working(engine: Workflows) -> Iterator[None]:
    stop = threading.Event()
    thread = threading.Thread(target=engine.work, args=(stop,), kwargs={"poll": 0.02})
    thread.start()
    try:
        yield
    finally:
        stop.set()
        thread.join()


@step
def note(text: str) -> str:
    calls.append(text)
    return text


@workflow
def job(text: str) -> str:
    return note(text)


@workflow
def nap(text: str) -> str:
    sleep(0.05)
    return note(text)


@workflow
def falls_once() -> str:
    if "fell" not in calls:
        calls.append("fell")
        raise KeyboardInterrupt
    return note("stood up")


def test_queued_runs_are_taken_by_priority_and_age(engine: Workflows) -> None:
    runs = [
        job.enqueue(text, id=text, priority=priority, engine=engine)
        for text, priority in (("a", 0), ("b", 5), ("c", 0), ("d", 5), ("e", -1))
    ]
    assert [r.status for r in engine.list()] == ["queued"] * 5
    assert not any(r.interrupted for r in engine.list())
    with working(engine):
        assert [run.result(20) for run in runs] == ["a", "b", "c", "d", "e"]
    assert calls == ["b", "d", "a", "c", "e"]
    assert job.enqueue("a", id="a", engine=engine).result(1) == "a"
    with pytest.raises(ConflictError, match="another input"):
        job.enqueue("x", id="a", engine=engine)


def test_a_delayed_run_begins_later(engine: Workflows) -> None:
    begun = time.monotonic()
    run = job.enqueue("late", delay=0.2, engine=engine)
    with working(engine):
        assert run.result(20) == "late"
    assert time.monotonic() - begun > 0.19


def test_many_naps_in_one_thread(engine: Workflows, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(waiting, "_HELD", 0.0)
    runs = [nap.enqueue(str(n), engine=engine) for n in range(8)]
    with working(engine):
        assert [run.result(30) for run in runs] == [str(n) for n in range(8)]


def test_interrupted_runs_are_taken_up(engine: Workflows) -> None:
    with pytest.raises(KeyboardInterrupt):
        engine.run(falls_once, run_id="run-1")
    with working(engine):
        assert engine.resume("run-1").result(20) == "stood up"


def test_a_queued_run_is_begun_by_who_starts_it(engine: Workflows) -> None:
    job.enqueue("x", id="run-1", engine=engine)
    assert job.start("x", id="run-1", engine=engine).result(20) == "x"


@workflow(cron="*/5 * * * *", timezone="Europe/Berlin")
def every_five_minutes() -> str:
    return note("tick")


START = datetime(2026, 11, 23, 10, 0, tzinfo=UTC)


def starts(engine: Workflows, schedule: Schedule, minutes: Iterable[int]) -> None:
    """Let `schedule` look at each of these minutes after the start; runs end before the next."""
    for minute in minutes:
        schedule.start_due(
            [every_five_minutes],
            START + timedelta(minutes=minute),
            lambda due, run_id: engine.start(due, run_id=run_id).result(20),
        )


def started(engine: Workflows) -> list[str]:
    return sorted(run.id.rpartition("T")[2] for run in engine.list())


def test_each_minute_starts_one_run_whoever_sees_it(engine: Workflows) -> None:
    for _ in range(2):
        schedule = Schedule(engine._store, START)
        starts(engine, schedule, (1, 6, 7, 6, 5, 4, 6, 11))
    assert started(engine) == ["1005Z", "1010Z"]
    assert calls == ["tick", "tick"]


@pytest.mark.parametrize(
    ("catch_up", "expected"),
    [
        ("once", ["1005Z", "1030Z", "1035Z"]),
        ("each", ["1005Z", "1010Z", "1015Z", "1020Z", "1025Z", "1030Z", "1035Z"]),
        ("none", ["1005Z", "1035Z"]),
    ],
)
def test_what_passed_without_a_worker_is_caught_up(
    engine: Workflows, monkeypatch: pytest.MonkeyPatch, catch_up: str, expected: list[str]
) -> None:
    monkeypatch.setattr(every_five_minutes, "catch_up", catch_up)
    starts(engine, Schedule(engine._store, START), (1, 6))
    begun = START + timedelta(minutes=32)
    both = [Schedule(engine._store, begun) for _ in range(2)]
    for minute in (32, 33, 36):
        for schedule in both:
            starts(engine, schedule, [minute])
    assert started(engine) == expected


def test_a_clock_that_was_far_ahead_does_not_end_the_schedule(engine: Workflows) -> None:
    schedule = Schedule(engine._store, START)
    starts(engine, schedule, (1, 600, 2, 6))
    assert started(engine) == ["1005Z", "2000Z"]


def test_a_minute_whose_start_failed_is_due_again(engine: Workflows) -> None:
    schedule = Schedule(engine._store, START)

    def full(*_: object) -> None:
        raise StorageError("the disk is full")

    with pytest.raises(StorageError):
        schedule.start_due([every_five_minutes], START + timedelta(minutes=6), full)
    starts(engine, schedule, [7])
    assert started(engine) == ["1005Z"]


def test_a_schedule_follows_its_time_zone() -> None:
    winter = next_minute("x", "0 3 * * *", "Europe/Berlin", datetime(2026, 1, 1, tzinfo=UTC))
    summer = next_minute("x", "0 3 * * *", "Europe/Berlin", datetime(2026, 7, 1, tzinfo=UTC))
    assert (winter.hour, summer.hour) == (2, 1)
    for cron, zone in (("every day", "UTC"), ("0 3 * * *", "Nowhere/Land")):
        with pytest.raises(UsageError, match="not understood"):
            workflow(name="x", cron=cron, timezone=zone)(lambda_like)


def lambda_like() -> None: ...

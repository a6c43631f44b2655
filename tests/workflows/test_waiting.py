"""Sleeping, signals, child runs, forks, retries, patches and versions, on every embedded engine."""

import threading
import time
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from holdfast.errors import ConflictError, NotFoundError, RunError, StepError, UsageError
from holdfast.workflows import (
    Workflows,
    patched,
    sleep,
    sleep_until,
    step,
    wait_for,
    waiting,
    workflow,
)
from tests.workflows.engines import EMBEDDED, embedded_url

calls: list[str] = []
switches: set[str] = set()


@pytest.fixture(params=EMBEDDED)
def url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    calls.clear()
    switches.clear()
    return embedded_url(request.param, tmp_path)


@pytest.fixture
def engine(url: str) -> Iterator[Workflows]:
    with Workflows(url) as opened:
        yield opened


@pytest.fixture
def parking(monkeypatch: pytest.MonkeyPatch) -> None:
    """Every wait gives its thread back at once."""
    monkeypatch.setattr(waiting, "_HELD", 0.0)


def until(condition: object) -> None:
    """Wait until the callable `condition` holds."""
    assert callable(condition)
    for _ in range(2_000):
        if condition():
            return
        time.sleep(0.01)
    raise AssertionError("it never came")


@step
def note(text: str) -> str:
    calls.append(text)
    return text.upper()


@workflow
def sleepy(seconds: float) -> str:
    note("before")
    sleep(seconds)
    return note("after")


def test_a_short_sleep_keeps_its_thread(engine: Workflows) -> None:
    assert engine.run(sleepy, (0.01,), run_id="run-1") == "AFTER"
    assert [s.id for s in engine.steps("run-1")] == ["note-1", "sleep-1", "note-2"]


@pytest.mark.usefixtures("parking")
def test_a_long_sleep_costs_no_thread_and_goes_on_by_itself(engine: Workflows) -> None:
    runs = [sleepy.start(0.3, engine=engine) for _ in range(3)]
    until(lambda: engine.count_by_status().get("waiting") == 3)
    assert engine.free_threads() == 32
    info = engine.get(runs[0].id)
    assert info.due_at is not None
    assert not info.interrupted
    assert [run.result(20) for run in runs] == ["AFTER"] * 3
    assert calls.count("before") == 3


@pytest.mark.usefixtures("parking")
def test_a_sleep_survives_the_process_and_is_not_begun_anew(tmp_path: Path) -> None:
    calls.clear()
    url = embedded_url("sqlite", tmp_path)
    with Workflows(url) as first:
        sleepy.start(0.2, id="run-1", engine=first)
        until(lambda: first.get("run-1").status == "waiting")
        due = first.get("run-1").due_at
    with Workflows(url) as second:
        assert second.get("run-1").due_at == due
        assert sleepy.start(0.2, id="run-1", engine=second).result(20) == "AFTER"
    assert calls == ["before", "after"]


def test_a_clock_that_was_stepped_back_prolongs_no_sleep(
    engine: Workflows, monkeypatch: pytest.MonkeyPatch
) -> None:
    with pytest.raises(KeyboardInterrupt):
        engine.run(stopped_asleep, run_id="run-1")
    real = time.time
    monkeypatch.setattr(time, "time", lambda: real() - 7_200)
    assert engine.resume("run-1").result(20) == "AFTER"


@workflow
def stopped_asleep() -> str:
    sleep(0.05)
    if "stopped" not in switches:
        switches.add("stopped")
        raise KeyboardInterrupt
    return note("after")


@workflow
def until_the_hour(moment: datetime) -> str:
    sleep_until(moment)
    return note("after")


def test_sleep_until_needs_a_time_zone(engine: Workflows) -> None:
    moment = datetime.now(UTC) + timedelta(milliseconds=20)
    assert engine.run(until_the_hour, (moment,)) == "AFTER"
    with pytest.raises(RunError, match="time zone"):
        engine.run(until_the_hour, (moment.replace(tzinfo=None),))


@workflow
def asks(count: int) -> list[int]:
    note("asked")
    return [wait_for("answer", type=int) for _ in range(count)]


@pytest.mark.parametrize("held", [0.0, 2.0])
def test_signals_are_given_out_once_in_order(
    engine: Workflows, held: float, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(waiting, "_HELD", held)
    run = asks.start(3, id="run-1", engine=engine)
    run.signal("other", "not this one")
    for number in range(3):
        run.signal("answer", number)
        time.sleep(0.02)
    assert run.result(20) == [0, 1, 2]
    assert calls == ["asked"]
    with pytest.raises(ConflictError, match="succeeded already"):
        run.signal("answer", 3)
    with pytest.raises(NotFoundError):
        engine.signal("nobody", "answer")


def test_a_signal_of_another_type_fails_the_run(engine: Workflows) -> None:
    run = asks.start(1, engine=engine)
    run.signal("answer", "no number")
    with pytest.raises(RunError, match="does not fit its annotation"):
        run.result(20)


@workflow
def asks_in_time(seconds: float) -> str:
    try:
        return str(wait_for("answer", timeout=seconds))
    except StepError as error:
        return str(error)


@pytest.mark.parametrize("held", [0.0, 2.0])
def test_a_signal_may_come_too_late(
    engine: Workflows, held: float, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(waiting, "_HELD", held)
    run = asks_in_time.start(0.1, engine=engine)
    assert "no signal 'answer' came in time" in str(run.result(20))


@pytest.mark.usefixtures("parking")
def test_a_waiting_run_can_be_cancelled(engine: Workflows) -> None:
    run = asks.start(1, engine=engine)
    until(lambda: run.status == "waiting")
    engine.cancel(run.id)
    with pytest.raises(RunError, match="was cancelled"):
        run.result(20)


@workflow
def part(number: int) -> int:
    if "fail" in switches:
        raise ValueError("a bad part")
    sleep(0.01)
    return number * 2


@workflow
def whole(count: int) -> int:
    children = [part.child(number) for number in range(count)]
    return sum(child.result() for child in children)


@pytest.mark.parametrize("held", [0.0, 2.0])
def test_children_are_runs_of_their_own(
    engine: Workflows, held: float, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(waiting, "_HELD", held)
    run = whole.start(3, id="run-1", engine=engine)
    assert run.result(30) == 6
    ids = {info.id for info in engine.list(name="part")}
    assert ids == {"run-1.part-1", "run-1.part-2", "run-1.part-3"}
    assert engine.get("run-1.part-2").parent == "run-1"
    with pytest.raises(UsageError, match="needs a workflow around"):
        part.child(1)


def test_more_parents_than_threads_do_not_wait_for_ever(
    url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(waiting, "_HELD", 0.05)
    with Workflows(url, threads=2) as engine:
        runs = [whole.start(2, engine=engine) for _ in range(4)]
        assert [run.result(60) for run in runs] == [2] * 4


def test_a_failed_child_fails_its_parents_step(engine: Workflows) -> None:
    switches.add("fail")
    with pytest.raises(StepError, match="part-1 failed: ValueError: a bad part"):
        engine.run(whole, (1,))


@step
def shaky(number: int) -> int:
    calls.append(f"shaky {number}")
    if number in (1, 3) and "mended" not in switches:
        raise OSError(f"no {number}")
    return number


@workflow
def shaken() -> list[int]:
    note("begin")
    try:
        return shaky.map(range(5))
    finally:
        note("end")


def test_a_failed_run_goes_on_from_the_step_that_failed(engine: Workflows) -> None:
    with pytest.raises(StepError, match="no 1"):
        engine.run(shaken, run_id="run-1")
    switches.add("mended")
    before = list(calls)
    assert engine.retry("run-1").result(20) == [0, 1, 2, 3, 4]
    assert sorted(calls[len(before) :]) == ["end", "shaky 1", "shaky 3"]
    assert engine.get("run-1").status == "succeeded"
    with pytest.raises(ConflictError, match="has succeeded"):
        engine.retry("run-1")


def test_a_fork_begins_before_a_step(engine: Workflows) -> None:
    with pytest.raises(StepError):
        engine.run(shaken, run_id="run-1")
    switches.add("mended")
    calls.clear()
    run = engine.fork("run-1", from_step="shaky-4", new_id="run-2")
    with pytest.raises(StepError, match="no 1"):
        run.result(20)
    assert sorted(calls) == ["end", "shaky 3", "shaky 4"]
    assert engine.fork("run-1", from_step="shaky-1").result(20) == [0, 1, 2, 3, 4]
    with pytest.raises(NotFoundError, match="no finished step"):
        engine.fork("run-1", from_step="shaky-9")
    assert engine.get("run-1").status == "failed"


@workflow
def changing() -> list[str]:
    done = [note("one")]
    if "new" in switches and patched("check"):
        done.append(note("check"))
    done.append(note("two"))
    if "stop" in switches:
        switches.remove("stop")
        raise KeyboardInterrupt
    return done


def test_a_patch_leaves_runs_that_are_past_it_alone(engine: Workflows) -> None:
    switches.add("stop")
    with pytest.raises(KeyboardInterrupt):
        engine.run(changing, run_id="old")
    switches.update({"new", "stop"})
    with pytest.raises(KeyboardInterrupt):
        engine.run(changing, run_id="new")
    assert engine.resume("old").result(20) == ["ONE", "TWO"]
    assert engine.resume("new").result(20) == ["ONE", "CHECK", "TWO"]
    assert [s.id for s in engine.steps("new")] == ["note-1", "patch-check", "note-2", "note-3"]


@workflow(version="1")
def versioned() -> str:
    if "stop" in switches:
        raise KeyboardInterrupt
    return note("done")


def test_another_version_is_refused_with_the_reason(
    engine: Workflows, monkeypatch: pytest.MonkeyPatch
) -> None:
    switches.add("stop")
    with pytest.raises(KeyboardInterrupt):
        engine.run(versioned, run_id="run-1")
    switches.clear()
    monkeypatch.setattr(versioned, "version", "2")
    for call in (
        lambda: engine.resume("run-1"),
        lambda: versioned.start(id="run-1", engine=engine),
    ):
        with pytest.raises(RunError, match=r"begun by version 1 .* this is version 2"):
            call()
    assert engine.get("run-1").interrupted
    monkeypatch.undo()
    assert engine.resume("run-1").result(20) == "DONE"


@step
def large(size: int) -> str:
    return "x" * size


@workflow
def twice_large(size: int) -> str:
    return large(size) and large(size)


def test_a_large_result_is_kept_once(engine: Workflows) -> None:
    for run in ("run-1", "run-2"):
        assert engine.run(twice_large, (100_000,), run_id=run) == "x" * 100_000
    assert [len(s.result) for s in engine.steps("run-1")] == [100_000] * 2
    assert len(engine.get("run-2").result) == 100_000
    assert twice_large.start(100_000, id="run-1", engine=engine).result(20) == "x" * 100_000
    assert engine.prune(older_than=-1) == 2


@workflow
def asks_late(text: str) -> str:
    child = says.child(text)
    wait_for("go")
    return str(child.result())


def test_a_child_that_may_still_be_asked_for_is_not_pruned(engine: Workflows) -> None:
    run = asks_late.start("bees", id="parent", engine=engine)
    while engine.count_by_status().get("succeeded") != 1:
        time.sleep(0.005)
    assert engine.prune(older_than=-1) == 0
    assert engine.prunable(older_than=-1) == []
    run.signal("go")
    assert run.result(20) == "BEES"
    assert len(engine.prunable(older_than=-1)) == 2
    assert engine.prune(older_than=-1) == 2


@step(concurrency=2)
def narrow(number: int) -> int:
    with lock:
        inside.append(number)
        widest.append(len(inside))
    meeting.wait(60)
    with lock:
        inside.remove(number)
    return number


@step(rate=(2, 0.2))
def slow_going(number: int) -> float:
    return time.monotonic()


lock = threading.Lock()
meeting = threading.Barrier(2)
inside: list[int] = []
widest: list[int] = []


@workflow
def limited() -> list[float]:
    narrow.map(range(20), workers=8)
    return slow_going.map(range(5))


def test_calls_of_a_step_are_limited(engine: Workflows) -> None:
    widest.clear()
    assert len(engine.run(limited)) == 5
    assert max(widest) == 2


def test_search_by_time_and_input(engine: Workflows) -> None:
    before = datetime.now(UTC)
    for text in ("bees", 'say "hi"', "naïve"):
        engine.run(says, (text,), run_id=f"run-{len(text)}")
    assert [r.id for r in engine.list(text="bees")] == ["run-4"]
    assert [r.id for r in engine.list(text='"hi"')] == ["run-8"]
    assert [r.id for r in engine.list(text="naïve", status="succeeded")] == ["run-5"]
    assert engine.list(text="says") == []  # the workflow's name is no input
    assert len(engine.list(since=before - timedelta(seconds=1))) == 3
    assert engine.list(until=before - timedelta(seconds=1)) == []


@workflow
def says(text: str) -> str:
    return note(text)

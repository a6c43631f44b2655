"""What a program sees: steps, runs, results, errors, idempotency, cancel, prune."""

import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any, TypedDict

import msgspec
import pytest

from holdfast.context import current_task_id
from holdfast.durable.faults import armed
from holdfast.engines.urls import url_for
from holdfast.errors import (
    ConflictError,
    HoldfastError,
    NotFoundError,
    RunError,
    StepError,
    StorageError,
    UnreadableError,
    UsageError,
)
from holdfast.workflows import StepFailedError, Workflows, step, workflow

calls: list[str] = []


@pytest.fixture(params=["memory", "sqlite"])
def engine(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Workflows]:
    calls.clear()
    url = "memory://" if request.param == "memory" else url_for("sqlite", tmp_path / "state.db")
    with Workflows(url) as opened:
        yield opened


@step
def double(number: int) -> int:
    calls.append(f"double {number}")
    return number * 2


@workflow
def doubled_twice(number: int) -> int:
    return double(double(number))


@workflow
def interrupted_once(number: int) -> int:
    first = double(number)
    if "interrupt" not in calls:
        calls.append("interrupt")
        raise KeyboardInterrupt
    return double(first)


def test_a_run_gives_its_result_and_keeps_its_steps(engine: Workflows) -> None:
    run = doubled_twice.start(3, id="run-1", engine=engine)
    assert run.result(10) == 12
    assert run.status == "succeeded"
    info = engine.get("run-1")
    assert (info.name, info.result, info.input) == (
        "doubled_twice",
        12,
        {"args": [3], "kwargs": {}},
    )
    assert [(s.id, s.result, s.attempts) for s in engine.steps("run-1")] == [
        ("double-1", 6, 1),
        ("double-2", 12, 1),
    ]


def test_the_same_id_is_the_same_run(engine: Workflows) -> None:
    assert doubled_twice.start(3, id="run-1", engine=engine).result(10) == 12
    assert doubled_twice.start(number=3, id="run-1", engine=engine).result(10) == 12
    assert calls == ["double 3", "double 6"]
    with pytest.raises(ConflictError, match="another input"):
        doubled_twice.start(4, id="run-1", engine=engine)
    with pytest.raises(ConflictError, match="of the workflow doubled_twice"):
        interrupted_once.start(3, id="run-1", engine=engine)


def test_many_starts_of_one_id_run_once(engine: Workflows) -> None:
    barrier, results = threading.Barrier(6), []

    def start() -> None:
        barrier.wait()
        results.append(doubled_twice.start(3, id="one", engine=engine).result(10))

    threads = [threading.Thread(target=start) for _ in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert results == [12] * 6
    assert calls == ["double 3", "double 6"]


def test_a_finished_step_is_not_run_again(engine: Workflows) -> None:
    with pytest.raises(KeyboardInterrupt):
        engine.run(interrupted_once, (3,), run_id="run-1")
    assert engine.get("run-1").interrupted
    assert interrupted_once.resume("run-1", engine=engine).result(10) == 12
    assert calls == ["double 3", "interrupt", "double 6"]
    assert not engine.get("run-1").interrupted


def test_recover_takes_up_what_was_interrupted(engine: Workflows) -> None:
    with pytest.raises(KeyboardInterrupt):
        engine.run(interrupted_once, (3,), run_id="run-1")
    (run,) = engine.recover()
    assert run.result(10) == 12
    assert engine.recover() == []


def test_outside_of_a_run_a_step_is_a_plain_function() -> None:
    calls.clear()
    assert double(4) == 8
    assert double.map([1, 2]) == [2, 4]
    assert double.name == "double"


@step
def outer(number: int) -> int:
    return double(number) + 1


@workflow
def nested(number: int) -> int:
    return outer(number) + doubled_twice(number)


def test_nested_steps_and_workflows_are_plain_parts(engine: Workflows) -> None:
    assert engine.run(nested, (1,), run_id="run-1") == 7
    assert [s.id for s in engine.steps("run-1")] == ["outer-1", "double-1", "double-2"]


@step(name="who")
def who_am_i(number: int) -> str:
    return current_task_id() or "nobody"


@workflow
def tasks() -> list[str]:
    return [who_am_i(0), *who_am_i.map(range(2)), current_task_id() or "nobody"]


def test_task_ids_are_deterministic_also_in_threads(engine: Workflows) -> None:
    names = engine.run(tasks, run_id="run-1")
    assert names == ["run-1:who-1", "run-1:who-2", "run-1:who-3", "run-1:main"]


class Page(msgspec.Struct):
    url: str
    read_at: datetime


@dataclass
class Report:
    pages: list[Page]
    price: Decimal
    folder: Path
    raw: bytes


class Options(TypedDict):
    depth: int


@step
def read_page(url: str) -> Page:
    return Page(url, datetime(2026, 11, 23, tzinfo=UTC))


@step
def write_report(pages: list[Page]) -> Report:
    return Report(pages, Decimal("1.50"), Path("reports"), b"\0\1")


@workflow
def research(topic: str, options: Options) -> Report:
    assert options["depth"] == 2
    report = write_report(read_page.map([f"{topic}/{n}" for n in range(3)]))
    assert isinstance(report.pages[0], Page)
    assert report.folder == Path("reports")
    return report


def test_results_keep_their_types(engine: Workflows) -> None:
    report = engine.run(research, ("bees", {"depth": 2}), run_id="run-1")
    assert report == research.start("bees", {"depth": 2}, id="run-1", engine=engine).result()
    assert isinstance(report, Report)
    assert report.raw == b"\0\1"
    assert report.price == Decimal("1.50")


@step
def pair() -> Any:
    return (1, datetime(2026, 1, 1, tzinfo=UTC))


@workflow
def sees_what_a_resume_sees() -> bool:
    return bool(pair() == [1, "2026-01-01T00:00:00Z"])


def test_the_first_run_sees_the_value_that_a_resume_sees(engine: Workflows) -> None:
    assert engine.run(sees_what_a_resume_sees) is True


@step
def gives_an_object() -> Any:
    return object()


@step
def lies() -> int:
    return "three"  # type: ignore[return-value]


@workflow
def stores(what: str) -> Any:
    return gives_an_object() if what == "object" else lies()


def test_a_result_that_is_not_json_names_step_and_type(engine: Workflows) -> None:
    with pytest.raises(StepError, match=r"gives_an_object-1.*builtins\.object"):
        engine.run(stores, ("object",))
    with pytest.raises(StepError, match=r"lies-1.*Expected `int`, got `str`"):
        engine.run(stores, ("lie",))


def test_an_input_that_does_not_fit_is_refused_before_the_run(engine: Workflows) -> None:
    with pytest.raises(UsageError, match="input of doubled_twice"):
        doubled_twice.start(object(), engine=engine)
    with pytest.raises(UsageError, match="missing a required argument"):
        doubled_twice.start(engine=engine)
    assert engine.list() == []


@step(retries=2, backoff=0.001, retry_on=(OSError,))
def flaky(failures: int) -> int:
    calls.append("try")
    if len(calls) <= failures:
        raise OSError(f"failure {len(calls)}")
    return len(calls)


@step(retries=5, backoff=0.001, retry_on=(OSError,))
def wrong() -> None:
    calls.append("wrong")
    raise ValueError("no such thing")


@workflow
def tries(failures: int) -> int:
    return flaky(failures)


@workflow
def goes_wrong() -> str:
    try:
        wrong()
    except StepFailedError as error:
        calls.append(error.failure.type)
    wrong()
    return "never"


def test_a_step_is_tried_again(engine: Workflows) -> None:
    assert engine.run(tries, (2,), run_id="run-1") == 3
    assert [s.attempts for s in engine.steps("run-1")] == [3]


def test_the_last_failure_is_kept_whole(engine: Workflows) -> None:
    with pytest.raises(StepError, match="flaky-1 failed after 3 attempts: OSError: failure 3"):
        engine.run(tries, (9,), run_id="run-1")
    (record,) = engine.steps("run-1")
    assert record.error is not None
    assert record.status == "failed"
    assert 'raise OSError(f"failure' in record.error.traceback
    run = tries.start(9, id="run-1", engine=engine)
    with pytest.raises(StepError, match="OSError: failure 3") as caught:
        run.result()
    assert "Traceback" in caught.value.__notes__[0]
    assert calls == ["try"] * 3


def test_only_the_named_errors_are_tried_again(engine: Workflows) -> None:
    with pytest.raises(StepError, match="wrong-2 failed: ValueError: no such thing"):
        engine.run(goes_wrong)
    assert calls == ["wrong", "ValueError", "wrong"]


@step(timeout=0.05)
def slow(event_wait: float) -> str:
    threading.Event().wait(event_wait)
    return "in time"


@workflow
def waits(seconds: float) -> str:
    return slow(seconds)


def test_a_step_has_a_time_limit(engine: Workflows) -> None:
    assert engine.run(waits, (0.0,)) == "in time"
    with pytest.raises(StepError, match=r"TimeoutError: slow took longer than 0\.05 s"):
        engine.run(waits, (0.5,))


@workflow
def raises() -> None:
    double(1)
    raise LookupError("not in a step")


def test_an_error_of_the_workflow_fails_the_run(engine: Workflows) -> None:
    with pytest.raises(RunError, match="LookupError: not in a step"):
        engine.run(raises, run_id="run-1")
    info = engine.get("run-1")
    assert info.status == "failed"
    assert info.error is not None
    assert info.error.type == "LookupError"


@step
def sometimes(number: int) -> int:
    calls.append(f"item {number}")
    if number == 2 and calls.count("item 2") == 1:
        raise SystemExit(3)
    return number


@workflow
def maps(count: int) -> list[int]:
    return sometimes.map(range(count), workers=2)


def test_each_item_of_a_map_is_a_checkpoint(engine: Workflows) -> None:
    with pytest.raises(SystemExit):
        engine.run(maps, (5,), run_id="run-1")
    assert maps.resume("run-1", engine=engine).result(10) == [0, 1, 2, 3, 4]
    assert sorted(calls) == sorted([*(f"item {n}" for n in range(5)), "item 2"])


def test_a_map_over_nothing_is_empty(engine: Workflows) -> None:
    assert engine.run(maps, (0,)) == []


gate = threading.Event()
reached = threading.Event()


@step
def wait_for_the_gate() -> str:
    reached.set()
    gate.wait(10)
    return "open"


@workflow
def gated() -> int:
    try:
        wait_for_the_gate()
    except Exception:
        calls.append("swallowed")  # a workflow cannot catch its way past a cancellation
    return double(1)


def test_a_cancelled_run_ends_at_its_next_step(engine: Workflows) -> None:
    gate.clear()
    reached.clear()
    run = gated.start(id="run-1", engine=engine)
    assert reached.wait(10)
    engine.cancel("run-1")
    gate.set()
    with pytest.raises(RunError, match="was cancelled"):
        run.result(10)
    assert run.status == "cancelled"
    assert "double 1" not in calls
    assert list(engine.steps("run-1")) == []
    engine.cancel("run-1")
    with pytest.raises(RunError, match="was cancelled"):
        gated.start(id="run-1", engine=engine).result(10)


def test_a_finished_run_cannot_be_cancelled(engine: Workflows) -> None:
    engine.run(doubled_twice, (1,), run_id="run-1")
    with pytest.raises(ConflictError, match="succeeded already"):
        engine.cancel("run-1")


def test_a_result_that_is_late_is_an_error(engine: Workflows) -> None:
    gate.clear()
    run = gated.start(engine=engine)
    with pytest.raises(RunError, match="not finished after"):
        run.result(0.01)
    gate.set()
    assert run.result(10) == 2


def test_unknown_runs_are_not_found(engine: Workflows) -> None:
    for call in (engine.get, engine.cancel, engine.resume, engine.steps):
        with pytest.raises(NotFoundError, match="'nothing'"):
            call("nothing")


def test_prune_deletes_old_finished_runs_only(engine: Workflows) -> None:
    engine.run(doubled_twice, (1,), run_id="done")
    with pytest.raises(KeyboardInterrupt):
        engine.run(interrupted_once, (3,), run_id="open")
    assert engine.prune(older_than=3600) == 0
    time.sleep(0.005)
    assert engine.prune(older_than=0) == 1
    assert [run.id for run in engine.list()] == ["open"]


def test_runs_are_listed_in_pages(engine: Workflows) -> None:
    for number in range(5):
        engine.run(doubled_twice, (number,), run_id=f"run-{number}")
    first = engine.list(limit=2)
    rest = engine.list(before=first[-1].serial)
    assert [run.id for run in first + rest] == [f"run-{n}" for n in (4, 3, 2, 1, 0)]


changing: list[str] = []


@workflow
def changes() -> int:
    total = 0
    for name in changing:
        total += {"double": double, "outer": outer}[name](1)
    if "stop" in calls:
        calls.remove("stop")
        raise KeyboardInterrupt
    return total


@pytest.mark.parametrize("after", [["outer", "double"], ["double"]])
def test_a_changed_definition_is_refused_and_nothing_is_lost(
    engine: Workflows, after: list[str]
) -> None:
    changing[:] = ["double", "outer"]
    calls.append("stop")
    with pytest.raises(KeyboardInterrupt):
        engine.run(changes, run_id="run-1")
    changing[:] = after
    with pytest.raises(RunError, match="definition of run run-1 changed"):
        engine.resume("run-1").result(10)
    assert engine.get("run-1").status == "running"
    changing[:] = ["double", "outer"]
    assert engine.resume("run-1").result(10) == 5


def test_a_kept_result_of_another_type_is_refused(
    engine: Workflows, monkeypatch: pytest.MonkeyPatch
) -> None:
    with pytest.raises(KeyboardInterrupt):
        engine.run(interrupted_once, (3,), run_id="run-1")
    monkeypatch.setitem(double.__dict__, "decoder", msgspec.json.Decoder(str).decode)
    with pytest.raises(RunError, match="kept result of double-1 does not fit"):
        engine.resume("run-1").result(10)
    monkeypatch.undo()
    assert engine.resume("run-1").result(10) == 12


def test_what_the_disk_refuses_interrupts_and_does_not_fail(engine: Workflows) -> None:
    with (
        armed("workflow.step.executed=error:ENOSPC@2"),
        pytest.raises(OSError, match="No space"),
    ):
        engine.run(doubled_twice, (3,), run_id="run-1")
    assert engine.get("run-1").interrupted
    assert engine.resume("run-1").result(10) == 12


@pytest.mark.parametrize("name", ["a b", "", "x" * 65, "é"])
def test_bad_names_are_refused(name: str) -> None:
    with pytest.raises(UsageError, match="cannot be the name"):
        step(name=name)(len_of)


def len_of(text: str) -> int:
    return len(text)


def test_what_is_not_supported_is_refused() -> None:
    def many() -> Iterator[int]:
        yield 1

    def takes_an_id(engine: str) -> None: ...

    with pytest.raises(UsageError, match="generator"):
        step(many)
    with pytest.raises(UsageError, match="parameter 'engine'"):
        workflow(takes_an_id)
    with pytest.raises(UsageError, match="file"):
        Workflows("file:///tmp/state")


def test_a_bad_run_id_is_refused(engine: Workflows) -> None:
    with pytest.raises(UsageError, match="run id"):
        doubled_twice.start(1, id="a:b", engine=engine)


def test_a_closed_engine_says_so(tmp_path: Path) -> None:
    engine = Workflows(url_for("sqlite", tmp_path / "state.db"))
    engine.close()
    engine.close()
    with pytest.raises(UsageError, match="closed"):
        doubled_twice.start(1, engine=engine)


@pytest.mark.parametrize("content", [b"no database at all" * 100, b"\0" * 5000])
def test_a_file_that_is_no_database_is_refused_and_kept(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "state.db"
    path.write_bytes(content)
    with pytest.raises(UnreadableError, match=r"state\.db"):
        Workflows(url_for("sqlite", path))
    assert path.read_bytes() == content


def test_a_newer_database_is_refused(tmp_path: Path) -> None:
    import sqlite3

    url = url_for("sqlite", tmp_path / "state.db")
    Workflows(url).close()
    connection = sqlite3.connect(tmp_path / "state.db")
    connection.execute("UPDATE holdfast_rooms SET version = 99 WHERE room = 'workflows'")
    connection.commit()
    connection.close()
    with pytest.raises(UnreadableError, match="version 99"):
        Workflows(url)


def test_a_folder_in_the_way_is_a_storage_error(tmp_path: Path) -> None:
    (tmp_path / "state.db").mkdir()
    with pytest.raises(StorageError):
        Workflows(url_for("sqlite", tmp_path / "state.db"))


def test_a_damaged_record_is_unreadable_not_empty(tmp_path: Path) -> None:
    import sqlite3

    url = url_for("sqlite", tmp_path / "state.db")
    calls.clear()
    with Workflows(url) as engine, pytest.raises(KeyboardInterrupt):
        engine.run(interrupted_once, (3,), run_id="run-1")
    connection = sqlite3.connect(tmp_path / "state.db")
    connection.execute("UPDATE workflow_steps SET body = substr(body, 1, 9)")
    connection.commit()
    connection.close()
    with Workflows(url) as engine:
        with pytest.raises(UnreadableError, match="recorded step of run run-1"):
            engine.resume("run-1").result(10)
        assert issubclass(UnreadableError, HoldfastError)
        assert engine.get("run-1").interrupted

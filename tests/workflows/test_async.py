"""Async steps and workflows: the same promises, in an event loop."""

import asyncio
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from holdfast.errors import RunError, StepError, UsageError
from holdfast.workflows import (
    Workflows,
    sleep,
    sleep_async,
    step,
    use_engine,
    wait_for_async,
    waiting,
    workflow,
)
from tests.workflows.engines import embedded_url

calls: list[str] = []


@pytest.fixture
def engine(tmp_path: Path) -> Iterator[Workflows]:
    calls.clear()
    with Workflows(embedded_url("sqlite", tmp_path)) as opened:
        yield opened


@step(retries=1, backoff=0.001, timeout=2)
async def fetch(number: int) -> int:
    calls.append(f"fetch {number}")
    await asyncio.sleep(0.001 * (5 - number))
    if number == 3 and calls.count("fetch 3") == 1:
        raise OSError("once")
    if number == 9:
        await asyncio.sleep(60)
    return number * 10


@workflow
async def fetched(count: int) -> list[int]:
    first = await fetch(0)
    rest = await asyncio.gather(*(fetch(n) for n in range(1, count)))
    if "stop" in calls:
        calls.remove("stop")
        raise KeyboardInterrupt
    return [first, *rest]


def test_gather_gives_each_call_its_place(engine: Workflows) -> None:
    assert engine.run(fetched, (5,), run_id="run-1") == [0, 10, 20, 30, 40]
    steps = list(engine.steps("run-1"))
    assert [(s.id, s.result, s.attempts) for s in steps] == [
        (f"fetch-{n + 1}", n * 10, 2 if n == 3 else 1) for n in range(5)
    ]


def test_finished_steps_are_not_awaited_again(engine: Workflows) -> None:
    calls.append("stop")
    with pytest.raises(KeyboardInterrupt):
        engine.run(fetched, (3,), run_id="run-1")
    assert engine.resume("run-1").result(20) == [0, 10, 20]
    assert sorted(calls) == ["fetch 0", "fetch 1", "fetch 2"]


@workflow
async def late() -> int:
    return await fetch(9)


def test_an_async_step_has_a_time_limit(engine: Workflows) -> None:
    with pytest.raises(StepError, match=r"TimeoutError: fetch took longer than 2 s"):
        engine.run(late)
    assert calls == ["fetch 9", "fetch 9"]


async def branch(number: int) -> int:
    return await fetch(number) + await fetch(number)


@workflow
async def branches() -> list[int]:
    return list(await asyncio.gather(branch(1), branch(2)))


def test_steps_in_tasks_of_their_own_are_refused(engine: Workflows) -> None:
    with pytest.raises(UsageError, match="order of calls is by chance"):
        engine.run(branches)


@workflow
def not_async() -> object:
    return fetch(1)


@workflow
async def sleeps_plainly() -> None:
    sleep(0.01)


def test_the_wrong_kind_of_call_is_refused(engine: Workflows) -> None:
    with pytest.raises(RunError, match="the workflow is not"):
        engine.run(not_async)
    with pytest.raises(RunError, match="waits with await"):
        engine.run(sleeps_plainly)
    with pytest.raises(UsageError, match=r"asyncio\.gather"):
        fetch.map([1])


@workflow
async def waits() -> list[Any]:
    await sleep_async(0.1)
    answers = await asyncio.gather(wait_for_async("a", type=int), wait_for_async("b"))
    child = fetched.child(2)
    return [*answers, await child.result_async()]


@pytest.mark.parametrize("held", [0.0, 2.0])
def test_waiting_survives(engine: Workflows, held: float, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(waiting, "_HELD", held)
    run = waits.start(id="run-1", engine=engine)
    run.signal("b", "second")
    run.signal("a", 1)
    assert run.result(20) == [1, "second", [0, 10]]


def test_it_is_awaited_like_any_coroutine() -> None:
    async def main() -> list[int]:
        assert await fetch(1) == 10
        started = fetched.start(2)
        assert await started.result_async(20) == [0, 10]
        return await fetched(3)

    use_engine("memory://")
    assert asyncio.run(main()) == [0, 10, 20]

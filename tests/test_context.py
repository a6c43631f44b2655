"""The task id follows the code that runs for it, and no other."""

import asyncio
import os
import threading
from concurrent.futures import ThreadPoolExecutor

import pytest

from holdfast.context import ENVIRONMENT, carried, child_environment, current_task_id, task
from tests.conftest import Runner


def test_nested_tasks() -> None:
    assert current_task_id() is None
    with task("run-1:a"):
        with task("run-1:b"):
            assert current_task_id() == "run-1:b"
        assert current_task_id() == "run-1:a"
        with pytest.raises(KeyError), task("run-1:c"):
            raise KeyError
        with task(None):
            assert current_task_id() is None
    assert current_task_id() is None


def test_a_child_process_gets_it_until_told_otherwise(run_python: Runner) -> None:
    code = """
    from holdfast.context import current_task_id, task
    print(current_task_id())
    with task(None):
        print(current_task_id())
    """
    assert run_python(code, env={ENVIRONMENT: "run-1:a"}).stdout == "run-1:a\nNone\n"
    assert run_python(code, env={ENVIRONMENT: ""}).stdout == "None\nNone\n"


def test_threads_and_tasks() -> None:
    seen: list[str | None] = []

    async def look(task_id: str) -> None:
        with task(task_id):
            await asyncio.sleep(0)
            seen.append(current_task_id())

    async def both() -> None:
        await asyncio.gather(look("a"), look("b"))

    asyncio.run(both())
    assert seen == ["a", "b"]
    with task("c"):
        look_here = carried(current_task_id)
    with ThreadPoolExecutor(4) as pool:
        barrier = threading.Barrier(4)

        def work(_: int) -> str | None:
            barrier.wait(60)
            return look_here()

        assert list(pool.map(work, range(4))) == ["c"] * 4
    assert current_task_id() is None


def test_the_environment_of_a_child(run_python: Runner) -> None:
    code = "from holdfast.context import current_task_id; print(current_task_id())"
    with task("run-1:a"):
        environment = child_environment({})
    assert run_python(code, env=environment).stdout == "run-1:a\n"
    assert child_environment({"A": "b"}) == {"A": "b", ENVIRONMENT: ""}
    assert child_environment()["PATH"] == os.environ["PATH"]

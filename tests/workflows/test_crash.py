"""kill -9 at every fault point and at random instants: what was recorded never runs again.

On every engine that outlives its process.
"""

import os
import random
import subprocess
import sys
import time
from collections import Counter
from contextlib import suppress
from pathlib import Path

import pytest

from holdfast.errors import HoldfastError, NotFoundError
from holdfast.workflows import Workflows
from tests.conftest import SOURCE
from tests.servers import PostgresServer
from tests.workflows.engines import LASTING, fresh_url

CHILD = Path(__file__).with_name("crash_child.py")
STEPS = 12
EXPECTED = STEPS + sum(n * n for n in range(STEPS))
POINTS = [
    "workflow.started",
    *(f"workflow.step.{moment}@{n}" for moment in ("executed", "recorded") for n in (1, 7, 12, 17)),
    "workflow.finished",
]


@pytest.fixture(params=LASTING)
def url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    return fresh_url(request.param, tmp_path, request)


def child(
    folder: Path, url: str, mode: str, faults: str = "", run: str = "run-1"
) -> "subprocess.Popen[bytes]":
    environment = {**os.environ, "PYTHONPATH": str(SOURCE), "HOLDFAST_FAULTS": faults}
    return subprocess.Popen(
        [sys.executable, str(CHILD), str(folder), mode, run, url],
        env=environment,
        stderr=subprocess.PIPE,
    )


def finish(process: "subprocess.Popen[bytes]") -> int:
    _, errors = process.communicate(timeout=60)
    assert b"Traceback" not in errors, errors.decode()
    return process.returncode


def recorded(url: str, run: str = "run-1") -> set[str]:
    with Workflows(url) as engine:
        try:
            return {f"{run}:{step.id}" for step in engine.steps(run)}
        except NotFoundError:
            return set()


def executed(folder: Path) -> Counter[str]:
    path = folder / "executed"
    return Counter(path.read_text(encoding="utf-8").split() if path.exists() else [])


def check_done(folder: Path, url: str) -> None:
    with Workflows(url) as engine:
        info = engine.get("run-1")
        assert (info.status, info.result) == ("succeeded", EXPECTED)
    done = recorded(url)
    assert len(done) == 2 * STEPS
    assert set(executed(folder)) == done


def check_not_run_again(before: Counter[str], kept: set[str], after: Counter[str]) -> None:
    again = {task for task in kept if after[task] != before[task]}
    assert not again, f"recorded steps ran again: {again}"


@pytest.mark.parametrize("point", POINTS)
def test_a_run_resumes_after_a_crash_at_each_point(tmp_path: Path, url: str, point: str) -> None:
    name, _, visit = point.partition("@")
    killed = child(tmp_path, url, "start", f"{name}=crash{'@' + visit if visit else ''}")
    assert finish(killed) != 0
    before, kept = executed(tmp_path), recorded(url)
    assert finish(child(tmp_path, url, "resume")) == 0
    check_not_run_again(before, kept, executed(tmp_path))
    check_done(tmp_path, url)


@pytest.mark.parametrize("moment", ["asked", "answered"])
def test_a_crash_around_a_call_of_redis(tmp_path: Path, redis_url: str, moment: str) -> None:
    for visit in (1, 3, 9, STEPS * 2 + 2):
        folder, run = tmp_path / str(visit), f"run-{visit}"
        folder.mkdir()
        point = f"workflow.redis.{moment}=crash@{visit}"
        assert finish(child(folder, redis_url, "start", point, run)) != 0
        before, kept = executed(folder), recorded(redis_url, run)
        assert finish(child(folder, redis_url, "resume", run=run)) == 0
        check_not_run_again(before, kept, executed(folder))


def test_a_crash_while_it_is_taken_up_again(tmp_path: Path, url: str) -> None:
    assert finish(child(tmp_path, url, "start", "workflow.step.recorded=crash@3")) != 0
    assert finish(child(tmp_path, url, "resume", "workflow.claimed=crash")) != 0
    assert finish(child(tmp_path, url, "resume", "workflow.step.executed=crash@2")) != 0
    before, kept = executed(tmp_path), recorded(url)
    assert len(kept) == 4
    assert finish(child(tmp_path, url, "resume")) == 0
    check_not_run_again(before, kept, executed(tmp_path))
    check_done(tmp_path, url)


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(2))
def test_kill_at_random_instants(tmp_path: Path, url: str, seed: int) -> None:
    chance, rounds = random.Random(seed), 0
    before: Counter[str] = Counter()
    kept: set[str] = set()
    while True:
        process = child(tmp_path, url, "resume")
        kill_after(process, tmp_path, steps=chance.randint(0, 4), seconds=chance.random() / 200)
        ended = finish(process) == 0
        after = executed(tmp_path)
        check_not_run_again(before, kept, after)
        before, kept, rounds = after, recorded(url), rounds + 1
        assert kept <= set(before), "recorded without having been executed"
        if ended:
            break
    check_done(tmp_path, url)


def kill_after(
    process: "subprocess.Popen[bytes]", folder: Path, *, steps: int, seconds: float
) -> None:
    """kill -9 once that many further steps were executed and `seconds` more have passed."""
    until = executed(folder).total() + steps
    while process.poll() is None and executed(folder).total() < until:
        time.sleep(0.001)
    time.sleep(seconds)
    process.kill()


def test_a_killed_server_loses_nothing_that_was_recorded(
    tmp_path: Path, own_postgres: PostgresServer
) -> None:
    url = own_postgres.new_database()
    process = child(tmp_path, url, "start")
    while executed(tmp_path).total() < 5:
        assert process.poll() is None
        time.sleep(0.001)
    own_postgres.kill()
    assert process.wait(60) != 0
    _, errors = process.communicate()
    assert b"StorageError" in errors
    own_postgres.start()
    before, kept = executed(tmp_path), recorded(url)
    assert len(kept) >= 4
    assert finish(child(tmp_path, url, "resume")) == 0
    check_not_run_again(before, kept, executed(tmp_path))
    check_done(tmp_path, url)


def test_a_cut_connection_stops_the_run_and_is_found_again(
    postgres_server: PostgresServer, postgres_url: str
) -> None:
    with Workflows(postgres_url) as engine:
        database = postgres_url.partition("?")[0].rpartition("/")[2]
        engine.list()
        postgres_server.execute(
            f"SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = '{database}'"
        )
        with suppress(HoldfastError):
            engine.list()
        assert engine.list() == []

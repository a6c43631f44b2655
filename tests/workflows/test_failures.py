"""Servers that die under load, cut connections, full memory, full disks and clocks gone wrong.

Each time: nothing acknowledged is lost, no step is recorded twice, there is a clear error
meanwhile, and it goes on by itself afterwards.
"""

import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path
from typing import Any

import pytest

from holdfast.engines.identity import database_identity
from holdfast.engines.outbox import outbox_for
from holdfast.engines.urls import url_for
from holdfast.errors import BusyError, HoldfastError, StorageError
from holdfast.workflows import Workflows, step, workflow
from tests.servers import PostgresServer, RedisServer
from tests.workflows.engines import fresh_url

RUNS, STEPS = 6, 20

performed: list[tuple[str, int]] = []
"""Each performance of a step, in order; that of step n+1 shows that step n was acknowledged."""


@step
def count(run: str, number: int) -> int:
    performed.append((run, number))
    return number + 1


@workflow
def counting(run: str) -> int:
    number = 0
    for _ in range(STEPS):
        number = count(run, number)
    return number


@step
def large(size: int) -> str:
    return "x" * size


@workflow
def grows(steps: int, size: int) -> int:
    return sum(len(large(size + n)) for n in range(steps))


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


def check_each_acknowledged_step_was_performed_once() -> None:
    highest: dict[str, int] = {}
    for run, number in performed:
        assert number >= highest.get(run, 0), f"step {number} of {run} ran again"
        highest[run] = max(number, highest.get(run, 0))


@pytest.mark.parametrize("kind", ["redis", "postgresql"])
def test_a_server_killed_under_load_loses_nothing_and_is_gone_on_with(
    request: pytest.FixtureRequest, kind: str
) -> None:
    server: PostgresServer | RedisServer = request.getfixturevalue(
        "own_redis" if kind == "redis" else "own_postgres"
    )
    url = server.url(0) if isinstance(server, RedisServer) else server.new_database()
    performed.clear()
    with Workflows(url, threads=4) as engine:
        for number in range(RUNS):
            counting.enqueue(f"run-{number}", id=f"run-{number}", engine=engine)
        with working(engine):
            for part in (1, 2, 3):
                wait_until(lambda part=part: len(performed) >= part * RUNS * STEPS // 5)
                server.restart()
            wait_until(lambda: finished(engine) == RUNS)
        assert {run.result for run in engine.list()} == {STEPS}
        for number in range(RUNS):
            steps = [info.id for info in engine.steps(f"run-{number}")]
            assert steps == [f"count-{n}" for n in range(1, STEPS + 1)]
    check_each_acknowledged_step_was_performed_once()


def finished(engine: Workflows) -> int:
    with suppress(HoldfastError):
        return engine.count_by_status().get("succeeded", 0)
    return -1


def wait_until(condition: Any) -> None:
    deadline = time.monotonic() + 120
    while not condition():
        assert time.monotonic() < deadline, "it does not go on"
        time.sleep(0.005)


@step
def cuts_its_own_connection(url: str) -> None:
    if not performed:
        performed.append(("cut", 0))
        outbox = outbox_for(database_identity(url))
        assert outbox is not None
        outbox.add(lambda server: server.execute("CREATE TABLE left_behind (n int)"))
        outbox.add(lambda server: server.execute("SELECT pg_terminate_backend(pg_backend_pid())"))


@workflow
def cut(url: str) -> int:
    cuts_its_own_connection(url)
    return 7


def test_a_connection_cut_within_a_transaction_keeps_nothing_of_it(postgres_url: str) -> None:
    performed.clear()
    with Workflows(postgres_url) as engine:
        with pytest.raises(StorageError):
            engine.run(cut, (postgres_url,), run_id="run-1")
        assert list(engine.steps("run-1")) == []
        assert engine.resume("run-1").result() == 7
        with engine._store._database.connection() as connection:  # type: ignore[attr-defined]
            found = connection.execute("SELECT to_regclass('left_behind')").fetchone()
        assert found == (None,)


def test_connections_of_redis_that_were_cut_are_made_anew(own_redis: RedisServer) -> None:
    import redis

    with Workflows(own_redis.url(0)) as engine, redis.Redis(port=own_redis.port) as other:
        engine.run(counting, ("x",))
        for _ in range(3):
            other.client_kill_filter(_type="normal", skipme=True)
            with suppress(StorageError):
                engine.list()
            assert len(engine.list()) == 1
        assert engine.run(counting, ("x",)) == STEPS


def test_too_many_connections_is_an_error_until_there_is_room(own_postgres: PostgresServer) -> None:
    import psycopg

    url = own_postgres.new_database()
    with Workflows(url) as engine, ExitStack() as crowd:
        engine.run(counting, ("x",), run_id="run-1")
        with suppress(psycopg.OperationalError):
            while True:
                crowd.enter_context(psycopg.connect(url))
        with pytest.raises(HoldfastError, match="too many connections") as refused:
            Workflows(url)
        assert isinstance(refused.value, BusyError)
        assert engine.run(counting, ("y",)) == STEPS  # what has a connection goes on
        crowd.close()
        with Workflows(url) as late:
            assert late.run(counting, ("x",), run_id="run-1") == STEPS


def test_a_redis_out_of_memory_refuses_and_goes_on_with_more(own_redis: RedisServer) -> None:
    import redis

    with Workflows(own_redis.url(0)) as engine, redis.Redis(port=own_redis.port) as server:
        engine.run(counting, ("x",), run_id="old")
        server.config_set("maxmemory", int(server.info("memory")["used_memory"]) + 600_000)
        with pytest.raises(StorageError, match="out of memory"):
            engine.run(grows, (1_000, 50_000), run_id="run-1")
        kept = [info.id for info in engine.steps("run-1")]
        assert kept == [f"large-{n}" for n in range(1, len(kept) + 1)]
        with pytest.raises(StorageError, match="out of memory"):
            engine.run(grows, (1_000, 50_000), run_id="run-1")
        assert engine.prune(older_than=-1) == 1  # a full server can be emptied
        server.config_set("maxmemory", "0")
        assert engine.run(grows, (1_000, 50_000), run_id="run-1") == sum(range(50_000, 51_000))


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A file system of 6 MB. Where none can be mounted, see `test_files_that_may_not_grow`."""
    place = tmp_path / "small"
    place.mkdir()
    mounted = sys.platform == "linux" and (
        subprocess.run(
            ["mount", "-t", "tmpfs", "-o", "size=6m", "tmpfs", str(place)],
            capture_output=True,
            check=False,
        ).returncode
        == 0
    )
    if not mounted:
        pytest.skip("NOT TESTED: only root on Linux may mount a small file system")
    try:
        yield place
    finally:
        subprocess.run(["umount", str(place)], check=True)


@pytest.mark.parametrize("scheme", ["sqlite", "json"])
@pytest.mark.parametrize("durability", ["process", "power"])
def test_a_full_disk_refuses_and_goes_on_with_room(
    small_disk: Path, scheme: str, durability: Any
) -> None:
    filler = small_disk / "filler"
    filler.write_bytes(bytes(5 << 20))
    url = url_for(scheme, small_disk / "state")
    with Workflows(url, durability=durability) as engine:
        with pytest.raises(StorageError, match=r"full|No space"):
            engine.run(grows, (60, 20_000), run_id="run-1")
        before = [info.id for info in engine.steps("run-1")]
        assert before == [f"large-{n}" for n in range(1, len(before) + 1)]
    filler.unlink()
    with Workflows(url, durability=durability) as engine:
        assert [info.id for info in engine.steps("run-1")] == before
        assert engine.run(grows, (60, 20_000), run_id="run-1") == sum(range(20_000, 20_060))


LIMITED = """
import resource, signal, sys
from holdfast.errors import StorageError
from holdfast.workflows import Workflows, step, workflow

@step
def large(size: int) -> str:
    return "x" * size

@workflow
def grows(steps: int, size: int) -> int:
    return sum(len(large(size + n)) for n in range(steps))

url, run_id = sys.argv[1:]
with Workflows(url) as engine:
    engine.list()
    signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_FSIZE, (600_000, 600_000))
    try:
        engine.run(grows, (60, 20_000), run_id=run_id)
    except StorageError as error:
        print(len(list(engine.steps(run_id))), error)
"""


@pytest.mark.skipif(sys.platform == "win32", reason="there are no resource limits on Windows")
@pytest.mark.parametrize("scheme", ["sqlite", "json"])
def test_files_that_may_not_grow(tmp_path: Path, run_python: Any, scheme: str) -> None:
    url = url_for(scheme, tmp_path / "state")
    ended = run_python(LIMITED, url, "run-1")
    assert ended.returncode == 0, ended.stderr
    kept = int(ended.stdout.split()[0])
    with Workflows(url) as engine:
        assert len(list(engine.steps("run-1"))) == kept > 0
        assert engine.run(grows, (60, 20_000), run_id="run-1") == sum(range(20_000, 20_060))


@pytest.mark.parametrize("engine_name", ["json", "sqlite", "redis", "postgresql"])
def test_a_clock_that_is_stepped_back_keeps_nothing_from_going_on(
    tmp_path: Path,
    request: pytest.FixtureRequest,
    monkeypatch: pytest.MonkeyPatch,
    engine_name: str,
) -> None:
    url = fresh_url(engine_name, tmp_path, request)
    now = time.time
    with Workflows(url) as engine:
        counting.enqueue("a", id="a", engine=engine)
        monkeypatch.setattr(time, "time", lambda: now() - 86_400)
        counting.enqueue("b", id="b", engine=engine)
        assert engine.run(counting, ("c",), run_id="c") == STEPS
        with working(engine):
            wait_until(lambda: finished(engine) == 3)
        assert [run.id for run in engine.list()] == ["c", "b", "a"]
        assert engine.prune(older_than=-90_000) == 3

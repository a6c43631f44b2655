"""The limits of a step hold over all processes of a store, and what a dead one held is free."""

import os
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from holdfast.engines.urls import url_for
from holdfast.errors import StorageError
from holdfast.workflows import Workflows, step, workflow
from holdfast.workflows.leases import Leases
from holdfast.workflows.limits import Limiter, SharedLimiter
from holdfast.workflows.stores import open_store
from tests.conftest import SOURCE
from tests.workflows.engines import LASTING, fresh_url

CHILD = Path(__file__).with_name("limits_child.py")


@pytest.fixture(params=LASTING)
def url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    return fresh_url(request.param, tmp_path, request)


class Party:
    """One of several processes, as the store sees them."""

    def __init__(
        self, url: str, concurrency: int | None = None, rate: tuple[int, float] | None = None
    ) -> None:
        self.store = open_store(url, durability="process")
        self.leases = Leases(self.store, lease=60)
        self.leases.hold()
        own = Limiter(concurrency, rate)
        self.limiter = SharedLimiter("limit-x", own, self.store, self.leases)

    def enters(self) -> bool:
        return self.limiter.try_enter() == 0.0

    def die(self) -> None:
        """As a killed process: its note stays, and whoever looks sees that it is gone."""
        self.leases._closed.set()
        self.store.remove_owner(self.leases.owner)

    def close(self) -> None:
        self.leases.close()
        self.store.close()


@pytest.fixture
def parties(url: str) -> Iterator[tuple[Party, Party]]:
    two = Party(url, concurrency=2), Party(url, concurrency=2)
    yield two
    for party in two:
        party.close()


def test_as_many_are_within_as_may_be(parties: tuple[Party, Party]) -> None:
    one, other = parties
    assert one.enters()
    assert other.enters()
    assert not one.enters()
    assert not other.enters()
    other.limiter.leave()
    assert one.enters()
    assert not other.enters()


def test_what_a_dead_owner_held_is_free(parties: tuple[Party, Party]) -> None:
    one, other = parties
    assert one.enters()
    assert one.enters()
    assert not other.enters()
    one.die()
    assert other.enters()
    assert other.enters()
    assert not other.enters()


def test_a_rate_holds_over_all_also_when_the_clock_is_stepped_back(
    url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    one, other = Party(url, rate=(2, 3_600.0)), Party(url, rate=(2, 3_600.0))
    assert one.enters()
    assert other.enters()
    assert not one.enters()
    now = time.time()
    monkeypatch.setattr("holdfast.workflows.limits._now", lambda: int((now - 9_000) * 1000))
    assert not other.enters()
    assert one.limiter.try_enter() <= 3_600
    monkeypatch.setattr("holdfast.workflows.limits._now", lambda: int((now - 5_000) * 1000))
    assert other.enters()
    one.close()
    other.close()


def test_processes_keep_to_one_limit(tmp_path: Path, url: str) -> None:
    environment = {**os.environ, "PYTHONPATH": str(SOURCE)}
    children = [
        subprocess.Popen(
            [sys.executable, str(CHILD), str(tmp_path), url, f"run-{n}"], env=environment
        )
        for n in range(3)
    ]
    assert [child.wait(60) for child in children] == [0, 0, 0]
    within: set[str] = set()
    noted = (tmp_path / "noted").read_text(encoding="utf-8").split()
    for line in noted:
        if line.startswith("+"):
            within.add(line[1:])
            assert len(within) <= 2
        else:
            within.remove(line[1:])
    assert len(noted) == 3 * 8 * 2


@step(concurrency=1)
def narrow(number: int) -> int:
    return number


@workflow
def one_narrow_step(number: int) -> int:
    return narrow(number)


def test_a_store_that_cannot_say_breaks_the_run_off_and_does_not_fail_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with Workflows(url_for("sqlite", tmp_path / "state.db")) as engine:

        def broken(_: str) -> bytes:
            raise StorageError("the disk is gone")

        with monkeypatch.context() as patch:
            patch.setattr(engine._store, "read_note", broken)
            with pytest.raises(StorageError):
                engine.run(one_narrow_step, (3,), run_id="run-1")
        assert engine.get("run-1").finished_at is None
        assert engine.resume("run-1").result() == 3


@workflow(concurrency=1)
def alone(folder: str, number: int) -> int:
    return stays_alone(folder, number)


@step
def stays_alone(folder: str, number: int) -> int:
    mark = Path(folder) / "within"
    mark.touch(exist_ok=False)  # fails when another one is
    time.sleep(0.005)
    mark.unlink()
    return number


@workflow
def beside(number: int) -> int:
    return narrow(number)


@pytest.mark.parametrize("engine_name", ["memory", *LASTING])
def test_runs_of_a_workflow_are_limited(
    tmp_path: Path, request: pytest.FixtureRequest, engine_name: str
) -> None:
    with Workflows(fresh_url(engine_name, tmp_path, request), threads=8) as engine:
        started = [alone.start(str(tmp_path), n, engine=engine) for n in range(4)]
        started += [alone.enqueue(str(tmp_path), n, engine=engine) for n in range(4, 8)]
        stop = threading.Event()
        worker = threading.Thread(target=engine.work, args=(stop,), kwargs={"poll": 0.01})
        worker.start()
        try:
            assert engine.run(alone, (str(tmp_path), 9)) == 9
            assert [run.result(60) for run in started] == list(range(8))
        finally:
            stop.set()
            worker.join()


def test_runs_over_their_limit_keep_no_others_waiting(tmp_path: Path) -> None:
    with Workflows(url_for("sqlite", tmp_path / "state.db"), threads=2) as engine:
        holder = engine._gates.enter(alone)
        for number in range(30):
            alone.enqueue(str(tmp_path), number, priority=9, engine=engine)
        other = beside.enqueue(5, engine=engine)
        stop = threading.Event()
        worker = threading.Thread(target=engine.work, args=(stop,), kwargs={"poll": 0.01})
        worker.start()
        try:
            assert other.result(60) == 5
            assert engine.count_by_status() == {"queued": 30, "succeeded": 1}
            assert holder is not None
            holder.leave()
            while engine.count_by_status().get("succeeded") != 31:
                time.sleep(0.01)
        finally:
            stop.set()
            worker.join()

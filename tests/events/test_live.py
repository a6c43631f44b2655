"""Live readers: nothing is missed while many write, and PostgreSQL tells of appends."""

import threading
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from holdfast.engines.urls import url_for
from holdfast.events import EventLog, following
from tests.servers import PostgresServer

LISTENING = "SELECT pid FROM pg_stat_activity WHERE query LIKE 'LISTEN%' AND datname = '{}'"


@pytest.mark.parametrize("engine", ["memory", "sqlite", "postgres"])
def test_a_live_reader_misses_nothing_while_many_write(
    engine: str, tmp_path: Path, request: pytest.FixtureRequest
) -> None:
    url = {"memory": "memory://", "sqlite": url_for("sqlite", tmp_path / "state.db")}.get(engine)
    with EventLog(url or request.getfixturevalue("postgres_url")) as log:
        positions: list[int] = []

        def read() -> None:
            for event in log.follow(wait=60):
                positions.append(event.position)
                if len(positions) == 150:
                    return

        def write(name: str) -> None:
            for number in range(30):
                if number % 3:
                    log.append(name, "t", number)
                else:
                    log.append_many(name, [("t", number), ("t", number)][: 1 + number % 2])

        reader = _started(read)
        writers = [_started(lambda name=name: write(name)) for name in "abcde"]  # type: ignore[misc]
        for writer in writers:
            writer.join(60)
        while (left := 150 - log.position()) > 0:
            log.append_many("rest", [("t", 0)] * left)
        reader.join(60)
        assert positions == list(range(1, 151))


def test_postgres_tells_followers(
    postgres_url: str, postgres_server: PostgresServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(following, "_LOOK_AT_STOP", 600.0)  # nobody looks by the clock
    seen: list[int] = []
    listening = LISTENING.format(postgres_url.rpartition("/")[2].partition("?")[0])
    with EventLog(postgres_url) as log, EventLog(postgres_url) as other:
        follower = _started(lambda: _collect(log, seen, 3))
        _until(lambda: bool(postgres_server.execute(listening)))
        other.append("s", "t", 0)
        _until(lambda: seen == [0])
        other.append_many("s", [("t", 1)])
        _until(lambda: seen == [0, 1])
        pids = postgres_server.execute(listening)
        postgres_server.execute(f"SELECT pg_terminate_backend({pids[0][0]}, 5000)")
        other.append("s", "t", 2)  # maybe before it listens again
        follower.join(60)
        assert seen == [0, 1, 2]
        _until(lambda: not postgres_server.execute(listening))


def _collect(log: EventLog, seen: list[int], count: int) -> None:
    for event in log.follow(wait=500):
        seen.append(event.data)
        if len(seen) == count:
            return


def _until(true: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 60
    while not true():
        assert time.monotonic() < deadline
        time.sleep(0.01)


def _started(target: Callable[[], object]) -> threading.Thread:
    thread = threading.Thread(target=target, daemon=True)
    thread.start()
    return thread

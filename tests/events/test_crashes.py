"""kill -9 of writers, readers and the server: nothing acknowledged is lost, nothing skipped."""

import os
import random
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path

import psycopg
import pytest

from holdfast.durable.faults import armed
from holdfast.engines.urls import url_for
from holdfast.errors import StorageError
from holdfast.events import EventLog
from holdfast.events.stores.postgres_tables import LOCK_APPENDS
from tests.conftest import SOURCE, Runner, was_killed
from tests.servers import PostgresServer

ROOT = SOURCE.parent


def start(
    url: str, notes: Path, seed: int, count: int, faults: str = ""
) -> "subprocess.Popen[str]":
    """A real child process that appends."""
    path = os.pathsep.join([str(SOURCE), str(ROOT)])
    command = [sys.executable, "-m", "tests.events.workers", url, str(notes)]
    return subprocess.Popen(
        [*command, str(seed), str(count)],
        cwd=ROOT,
        env={**os.environ, "PYTHONPATH": path, "HOLDFAST_FAULTS": faults},
        stderr=subprocess.PIPE,
        text=True,
    )


def wait_for_notes(path: Path, size: int = 1) -> None:
    """Return once the child that writes `path` is at work."""
    deadline = time.monotonic() + 60
    while not path.exists() or path.stat().st_size < size:
        assert time.monotonic() < deadline, "the child did not start"
        time.sleep(0.01)


def check(url: str, folder: Path) -> int:
    """Every noted event is where it was acknowledged, and versions and positions have no holes."""
    acknowledged: dict[int, str] = {}
    for path in folder.glob("notes-*"):
        for line in path.read_text(encoding="utf-8").splitlines():
            position, data = line.split(" ")
            assert int(position) not in acknowledged
            acknowledged[int(position)] = data
    with EventLog(url) as log:
        events = list(log.read())
        stored = {event.position: event.data for event in events}
        assert {position: stored.get(position) for position in acknowledged} == acknowledged
        assert list(stored) == list(range(1, len(events) + 1))
        assert len(set(stored.values())) == len(stored)
        for stream, version in log.streams():
            assert [event.version for event in log.read(stream)] == list(range(1, version + 1))
        log.append("after", "t", "goes on")
    return len(acknowledged)


@pytest.fixture(params=["sqlite", "postgres"])
def url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """Each engine that outlives a process."""
    if request.param == "sqlite":
        return url_for("sqlite", tmp_path / "state.db")
    found: str = request.getfixturevalue("postgres_url")
    return found


@pytest.mark.parametrize("visit", [1, 20])
@pytest.mark.parametrize("point", ["events.append", "events.appended", "events.inserted"])
def test_a_writer_killed_at_a_point(url: str, tmp_path: Path, point: str, visit: int) -> None:
    if point == "events.inserted" and url.startswith("postgresql"):
        pytest.skip("there an append is one statement")
    first = start(url, tmp_path / "notes-1", 1, 200, f"{point}=crash@{visit}")
    _, errors = first.communicate(timeout=60)
    assert first.returncode in (-9, 15), errors
    after = start(url, tmp_path / "notes-2", 2, 50)
    _, errors = after.communicate(timeout=60)
    assert after.returncode == 0, errors
    assert check(url, tmp_path) >= 50


def test_writers_killed_at_random_instants(url: str, tmp_path: Path) -> None:
    chance = random.Random(7)
    for round_ in range(3):
        notes = [tmp_path / f"notes-{round_}-{n}" for n in range(3)]
        children = [start(url, path, round_ * 10 + n, 1_000_000) for n, path in enumerate(notes)]
        for path in notes:
            wait_for_notes(path)
        time.sleep(chance.random() * 0.3)
        for child in children:
            child.kill()
        for child in children:
            _, errors = child.communicate(timeout=60)
            assert child.returncode in (-9, 1), errors
            assert not errors
    assert check(url, tmp_path) > 9


def test_the_server_killed_and_restarted_under_load(
    own_postgres: PostgresServer, tmp_path: Path
) -> None:
    url = own_postgres.new_database()
    EventLog(url).close()
    notes = [tmp_path / f"notes-{n}" for n in range(3)]
    children = [start(url, path, n, 1_000_000) for n, path in enumerate(notes)]
    try:
        for _ in range(3):
            sizes = [path.stat().st_size if path.exists() else 0 for path in notes]
            for path, size in zip(notes, sizes, strict=True):
                wait_for_notes(path, size + 200)  # each of them recovers by itself
            own_postgres.restart()
        for path in notes:
            wait_for_notes(path, path.stat().st_size + 200)
    finally:
        for child in children:
            child.kill()
            _, errors = child.communicate(timeout=60)
    assert not errors
    assert check(url, tmp_path) > 9


def test_a_connection_cut_in_an_append(postgres_url: str, postgres_server: PostgresServer) -> None:
    with EventLog(postgres_url) as log, psycopg.connect(postgres_url) as holder:
        log.append("s", "t", 1)
        holder.execute(LOCK_APPENDS)
        ended: list[BaseException] = []

        def append() -> None:
            try:
                log.append("s", "t", 2)
            except StorageError as error:
                ended.append(error)

        thread = _started(append)
        waiting = "SELECT pid FROM pg_stat_activity WHERE wait_event_type = 'Lock'"
        deadline = time.monotonic() + 30
        while not (pids := postgres_server.execute(waiting)):
            assert time.monotonic() < deadline
        postgres_server.execute(f"SELECT pg_terminate_backend({pids[0][0]}, 5000)")
        thread.join(30)
        holder.rollback()
        assert ended
        assert log.append("s", "t", 3) == (2, 2)


def test_a_reader_never_sees_past_an_open_append(postgres_url: str) -> None:
    """A writer that got its position first and commits last: nobody reads on before it."""
    call = "SELECT * FROM holdfast.append_event('s', 't', %s, NULL, NULL)"
    for rolled_back in (False, True):
        with EventLog(postgres_url) as log, psycopg.connect(postgres_url) as slow:
            before = log.position()
            slow.execute(call, ('{"data":"slow","at":1}',))
            thread = _started(partial(log.append, "other", "t", "fast"))
            thread.join(0.3)
            assert thread.is_alive(), "an append was committed before the one in front of it"
            assert log.position() == before
            assert [event.data for event in log.read(from_=before + 1)] == []
            (slow.rollback if rolled_back else slow.commit)()
            thread.join(30)
            expected = ["fast"] if rolled_back else ["slow", "fast"]
            events = list(log.read(from_=before + 1))
            assert [event.data for event in events] == expected
            assert [event.position for event in events] == [
                before + number for number in range(1, len(expected) + 1)
            ]


@pytest.mark.parametrize("point", ["events.handled", "events.position.stored"])
def test_a_subscriber_killed_at_a_point_misses_nothing(
    run_python: Runner, url: str, point: str
) -> None:
    with EventLog(url) as log:
        log.append_many("s", [("t", n) for n in range(10)])
    code = """
        import sys
        from holdfast.events import EventLog
        for event in EventLog(sys.argv[1]).subscribe("a", wait=0, batch=4):
            print(event.data, flush=True)
    """
    first = run_python(code, url, faults=f"{point}=crash@2")
    assert was_killed(first)
    second = run_python(code, url)
    assert second.returncode == 0, second.stderr
    seen = [int(line) for line in (first.stdout + second.stdout).split()]
    assert sorted(set(seen)) == list(range(10))
    assert second.stdout.split()[0] == ("4" if point == "events.handled" else "8")


@pytest.mark.parametrize("point", ["events.archive.written", "events.archive.removed"])
def test_killed_while_archiving(run_python: Runner, url: str, tmp_path: Path, point: str) -> None:
    with EventLog(url) as log:
        log.append_many("s", [("t", n) for n in range(10)])
    code = """
        import sys
        from pathlib import Path
        from holdfast.events import EventLog
        EventLog(sys.argv[1]).archive("s", Path(sys.argv[2]))
    """
    assert was_killed(run_python(code, url, tmp_path / "one.jsonl", faults=f"{point}=crash"))
    with EventLog(url) as log:
        assert len(list(log.read("s"))) == 10
        log.archive("s", tmp_path / "two.jsonl")
        assert [event.data for event in log.read("s", archived=True)] == list(range(10))


def test_a_projection_killed_before_it_is_stored_counts_nothing_twice(
    run_python: Runner, url: str
) -> None:
    with EventLog(url) as log:
        log.append_many("s", [("t", 1) for _ in range(2500)])
    code = """
        import sys
        from holdfast.events import EventLog
        log = EventLog(sys.argv[1])
        print(log.projection("sum", lambda total, event: total + event.data, initial=int).update())
    """
    assert was_killed(run_python(code, url, faults="events.projected=crash@2"))
    assert run_python(code, url).stdout.strip() == "2500"


def test_a_full_disk_keeps_what_was_there(tmp_path: Path) -> None:
    with EventLog(url_for("sqlite", tmp_path / "state.db")) as log:
        log.append("s", "t", 1)
        with armed("events.inserted=error:ENOSPC"), pytest.raises(OSError, match="space"):
            log.append_many("s", [("t", 2), ("t", 3)])
        assert log.append("s", "t", 4) == (2, 2)


def _started(target: Callable[[], object]) -> threading.Thread:
    thread = threading.Thread(target=target)
    thread.start()
    return thread

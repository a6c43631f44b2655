"""Full disks, too few connections, clocks that step back: a clear error, and then it goes on."""

import os
import shutil
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import psycopg
import pytest

from holdfast.engines.urls import url_for
from holdfast.errors import BusyError
from holdfast.events import EventLog
from tests.conftest import Runner
from tests.servers import PostgresServer

FILL = """
import sys
from holdfast.errors import StorageError
from holdfast.events import EventLog

def fill(log, batch):
    kept = 0
    for _ in range(10_000):
        try:
            kept = log.append_many("s", [("t", "x" * 1000)] * batch).position
        except StorageError as error:
            return kept, str(error)
    raise AssertionError("the disk was never full")
"""


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A disk of 2 MB, where root may mount one."""
    folder = tmp_path / "small"
    folder.mkdir()
    command = ["mount", "-t", "tmpfs", "-o", "size=2m", "tmpfs", str(folder)]
    if shutil.which("mount") is None or subprocess.run(command, check=False).returncode:
        pytest.skip("only root may mount a small disk")
    try:
        yield folder
    finally:
        subprocess.run(["umount", str(folder)], check=True)


@pytest.mark.skipif(sys.platform != "linux" or os.geteuid() != 0, reason="only root may mount")
@pytest.mark.parametrize("batch", [1, 5])
def test_a_full_disk(run_python: Runner, small_disk: Path, batch: int) -> None:
    ballast = small_disk / "ballast"
    ballast.write_bytes(b"x" * 500_000)
    url = url_for("sqlite", small_disk / "state.db")
    code = f"""{FILL}
log = EventLog(sys.argv[1], durability="power")
kept, error = fill(log, {batch})
assert "full" in error or "space" in error, error
assert [event.version for event in log.read()] == list(range(1, kept + 1))
__import__("os").unlink(sys.argv[2])
assert log.append("s", "t", "room again") == (kept + 1, kept + 1)
log.close()
"""
    done = run_python(code, url, ballast)
    assert done.returncode == 0, done.stderr


@pytest.mark.skipif(sys.platform == "win32", reason="there is no such limit")
@pytest.mark.parametrize("batch", [1, 5])
def test_a_file_that_may_not_grow(run_python: Runner, tmp_path: Path, batch: int) -> None:
    """What a quota does, for whoever runs the tests."""
    url = url_for("sqlite", tmp_path / "state.db")
    code = f"""{FILL}
import resource
log = EventLog(sys.argv[1])
_, most = resource.getrlimit(resource.RLIMIT_FSIZE)
resource.setrlimit(resource.RLIMIT_FSIZE, (1_000_000, most))
kept, error = fill(log, {batch})
resource.setrlimit(resource.RLIMIT_FSIZE, (most, most))
assert [event.version for event in log.read()] == list(range(1, kept + 1))
assert log.append("s", "t", "room again") == (kept + 1, kept + 1)
log.close()
"""
    done = run_python(code, url)
    assert done.returncode == 0, done.stderr


def test_too_many_connections(own_postgres: PostgresServer) -> None:
    url = own_postgres.new_database()
    with EventLog(url) as log:
        log.append("s", "t", 1)
        with ExitStack() as stack:
            for _ in range(100):
                try:
                    stack.enter_context(psycopg.connect(url))
                except psycopg.OperationalError:
                    break
            with pytest.raises(BusyError, match="too many connections"):
                EventLog(url)
            assert log.append("s", "t", 2) == (2, 2)  # its own connection stays
            live = log.follow("s", from_=2, wait=60)
            assert next(live).data == 2
            later = threading.Timer(0.1, log.append, ("s", "t", 3))
            later.start()
            assert next(live).data == 3  # there is no connection to listen on: it looks
            later.join()
            del live
        with EventLog(url) as other:
            assert [event.data for event in other.read()] == [1, 2, 3]


@pytest.mark.parametrize("engine", ["memory", "sqlite", "postgres"])
def test_a_clock_that_steps_back_changes_no_order(
    engine: str, tmp_path: Path, request: pytest.FixtureRequest
) -> None:
    url = {"memory": "memory://", "sqlite": url_for("sqlite", tmp_path / "state.db")}.get(engine)
    times = iter([1000.0, 1001.0, 5.0, 6.0])
    with EventLog(url or request.getfixturevalue("postgres_url"), clock=lambda: next(times)) as log:
        log.append("a", "t", 1)
        log.append("b", "t", 2)
        seen = [event.data for event in log.subscribe("s", wait=0)]
        log.append("a", "t", 3)
        log.append("b", "t", 4)
        seen += [event.data for event in log.subscribe("s", wait=0)]
        assert seen == [1, 2, 3, 4]
        assert [event.recorded_at for event in log.read()] == [1000.0, 1001.0, 5.0, 6.0]

"""kill -9 at every fault point and at random instants: nothing acknowledged is lost."""

import os
import random
import subprocess
import sys
import time
from collections import Counter
from pathlib import Path

import pytest

from holdfast.durable.faults import armed
from holdfast.engines.urls import url_for
from tests.conftest import SOURCE
from tests.queues.workers import open_small, work

ROOT = SOURCE.parent
ENGINES = ("file", "sqlite", "redis", "postgres")
KILLED = (-9, 15)  # SIGKILL; TerminateProcess(15)


def new_url(request: pytest.FixtureRequest, engine: str, folder: Path) -> str:
    """The URL of an engine that holds nothing yet."""
    if engine in ("file", "sqlite"):
        return url_for(engine, folder / "queues")
    url: str = request.getfixturevalue(f"{engine}_url")
    return url


@pytest.fixture(params=ENGINES)
def url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """Each engine that outlives a process."""
    return new_url(request, request.param, tmp_path)


def start(
    url: str,
    notes: Path,
    seed: int,
    count: int,
    faults: str = "",
    *,
    module: str = "tests.queues.workers",
) -> subprocess.Popen[str]:
    """A real child process that works on the queue."""
    environment = {
        **os.environ,
        "PYTHONPATH": os.pathsep.join([str(SOURCE), str(ROOT)]),
        "HOLDFAST_FAULTS": faults,
    }
    command = [sys.executable, "-m", module, url, str(notes)]
    return subprocess.Popen(
        [*command, str(seed), str(count)],
        cwd=ROOT,
        env=environment,
        stderr=subprocess.PIPE,
        text=True,
    )


def notes(folder: Path) -> Counter[str]:
    """What all the children noted."""
    lines: Counter[str] = Counter()
    for path in folder.glob("notes-*"):
        lines.update(path.read_text(encoding="utf-8").splitlines())
    return lines


def wait_for_notes(path: Path) -> None:
    """Return once the child that writes `path` is at work."""
    deadline = time.monotonic() + 60
    while not path.exists() or path.stat().st_size == 0:
        assert time.monotonic() < deadline, "the child did not start"
        time.sleep(0.01)


def check(url: str, folder: Path, deaths: int) -> None:
    """Drain the queue: every message noted as put is noted as acked once, or comes out now.

    One note per death may be missing: the child was killed between the call and the note.
    """
    noted = notes(folder)
    assert [line for line, times in noted.items() if times > 1] == []
    put = {line[4:] for line in noted if line.startswith("put ")}
    acked = {line[4:] for line in noted if line.startswith("ack ")}
    time.sleep(0.35)  # the leases of the dead run out
    with open_small(url) as queue:
        left: list[str] = []
        while messages := queue.take(100, lease=60, wait=0.05):
            left.extend(message.body for message in messages)
            queue.ack(*(message.receipt for message in messages))
        stats = queue.stats()
        assert (stats.ready, stats.delayed, stats.leased, stats.dead) == (0, 0, 0, 0)
        queue.put("goes on")
        assert queue.take()[0].body == "goes on"
    assert len(left) == len(set(left))
    assert acked.isdisjoint(left)
    assert len(put - acked - set(left)) <= deaths  # acked, and killed before it could note so


def visited(url: str, folder: Path) -> dict[str, int]:
    """Every fault point that the work passes, and how often."""
    with armed("") as visits:
        work(url, folder / "visits", seed=7, count=150)
    return {name: times for name, times in visits.items() if name.startswith("queue.")}


POINTS = {
    "file": [
        "queue.append",
        "queue.appended",
        "queue.segment.begun",
        "queue.segment.rolled",
        "queue.ledger.append",
        "queue.ledger.appended",
        "queue.ledger.rolled",
        "queue.checkpoint.written",
        "queue.compacted",
    ],
    "sqlite": ["queue.sqlite.written", "queue.sqlite.committed"],
    "postgres": [
        "queue.postgres.asked",
        "queue.postgres.answered",
        "queue.postgres.written",
        "queue.postgres.committed",
    ],
    "redis": ["queue.redis.asked", "queue.redis.answered"],
}


@pytest.mark.parametrize("engine", POINTS)
def test_the_work_passes_every_point(
    request: pytest.FixtureRequest, tmp_path: Path, engine: str
) -> None:
    assert set(visited(new_url(request, engine, tmp_path), tmp_path)) == set(POINTS[engine])


@pytest.mark.parametrize(
    ("engine", "point"), [(engine, point) for engine in POINTS for point in POINTS[engine]]
)
def test_killed_at_a_point(
    request: pytest.FixtureRequest, tmp_path: Path, engine: str, point: str
) -> None:
    (tmp_path / "counted").mkdir()
    counted = new_url(request, engine, tmp_path / "counted")
    times = visited(counted, tmp_path / "counted")
    with open_small(counted) as queue:
        queue.purge()
    for visit in sorted({1, max(1, times[point] // 2)}):
        folder = tmp_path / str(visit)
        folder.mkdir()
        url = new_url(request, engine, folder)
        child = start(url, folder / "notes-1", 7, 150, f"{point}=crash@{visit}")
        _, errors = child.communicate(timeout=60)
        assert child.returncode in KILLED, errors
        after = start(url, folder / "notes-2", 8, 150)  # goes on at once, leases and all
        _, errors = after.communicate(timeout=60)
        assert after.returncode == 0, errors
        check(url, folder, deaths=1)


def test_killed_at_random_instants(url: str, tmp_path: Path) -> None:
    chance = random.Random(11)
    together, rounds = (3, 6) if sys.platform != "win32" else (2, 2)
    deaths = 0
    for round_ in range(rounds):
        children = [
            start(url, tmp_path / f"notes-{round_}-{n}", round_ * 10 + n, 100_000)
            for n in range(together)
        ]
        for n in range(together):
            wait_for_notes(tmp_path / f"notes-{round_}-{n}")
        time.sleep(chance.random() * 0.4)
        for child in children:
            time.sleep(chance.random() * 0.02)
            child.kill()
        for child in children:
            _, errors = child.communicate(timeout=60)
            assert child.returncode in (-9, 1), errors
            assert not errors
            deaths += 1
    assert any(line.startswith("ack ") for line in notes(tmp_path))
    check(url, tmp_path, deaths)


if sys.platform != "win32":

    def test_forked_children_share_the_queue(url: str) -> None:
        with open_small(url) as queue:
            queue.put("before")
            children = []
            for seed in range(3):
                child = os.fork()
                if child == 0:
                    try:
                        for number in range(50):
                            queue.put(f"{seed}-{number}")
                        os._exit(0)
                    finally:
                        os._exit(1)
                children.append(child)
            for number in range(50):
                queue.put(f"parent-{number}")
            assert [os.waitpid(child, 0)[1] for child in children] == [0, 0, 0]
            bodies = [message.body for message in queue.take(1000)]
            assert len(bodies) == len(set(bodies)) == 201

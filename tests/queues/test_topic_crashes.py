"""kill -9 at every fault point of a topic and at random: nothing is lost or doubled anywhere."""

import os
import random
import sys
import time
from pathlib import Path

import pytest

from holdfast.durable.faults import armed
from holdfast.engines.urls import url_for
from tests.conftest import SOURCE, Runner, was_killed
from tests.queues.test_crashes import ENGINES, KILLED, ROOT, new_url, notes, start, wait_for_notes
from tests.queues.topic_workers import open_small, work

MODULE = "tests.queues.topic_workers"

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
        "queue.topic.subscribed",
    ],
    "sqlite": ["queue.sqlite.written", "queue.sqlite.committed"],
    "postgres": [
        "queue.postgres.asked",
        "queue.postgres.answered",
        "queue.postgres.written",
        "queue.postgres.committed",
        "queue.postgres.topic.written",
        "queue.postgres.topic.committed",
    ],
    "redis": [
        "queue.redis.asked",
        "queue.redis.answered",
        "queue.redis.topic.asked",
        "queue.redis.topic.answered",
    ],
}


def check(url: str, folder: Path, deaths: int) -> None:
    """Every message noted as put is in the log once; whoever drains gets each once, in order."""
    noted = notes(folder)
    assert [line for line, times in noted.items() if times > 1] == []
    put = {line[4:] for line in noted if line.startswith("put ")}
    acked = {line[4:] for line in noted if line.startswith("ack ")}
    time.sleep(0.35)  # the leases of the dead run out
    with open_small(url) as topic:
        with topic.subscribe("late") as late:
            everything = list(late.consume(wait=0, prefetch=100))
            grouped = sorted(everything, key=lambda message: message.position or 0)
            bodies = [message.body for message in grouped]
            positions = [message.position for message in grouped]
        assert positions == list(range(1, len(positions) + 1))
        assert len(bodies) == len(set(bodies))
        assert put <= set(bodies)
        with topic.subscribe("a", max_attempts=1_000_000) as one:
            left = [message.body for message in one.consume(wait=0.05)]
        assert len(left) == len(set(left))
        assert acked.isdisjoint(left)
        assert len(set(bodies) - acked - set(left)) <= deaths  # acked, and killed before the note
        assert topic.put("goes on") == len(positions) + 1


def visited(url: str, folder: Path) -> dict[str, int]:
    """Every fault point that the work passes, and how often."""
    with armed("") as visits:
        work(url, folder / "visits", seed=7, count=120)
    return {name: times for name, times in visits.items() if name.startswith("queue.")}


@pytest.mark.slow
@pytest.mark.parametrize("engine", ENGINES)
def test_killed_at_every_point(request: pytest.FixtureRequest, tmp_path: Path, engine: str) -> None:
    (tmp_path / "counted").mkdir()
    times = visited(new_url(request, engine, tmp_path / "counted"), tmp_path / "counted")
    assert set(times) == set(POINTS[engine])
    for point in POINTS[engine]:
        folder = tmp_path / point
        folder.mkdir()
        url = _fresh(request, engine, folder)
        visit = max(1, times[point] // 2)
        child = start(url, folder / "notes-1", 7, 120, f"{point}=crash@{visit}", module=MODULE)
        _, errors = child.communicate(timeout=60)
        assert child.returncode in KILLED, (point, errors)
        after = start(url, folder / "notes-2", 8, 60, module=MODULE)
        _, errors = after.communicate(timeout=60)
        assert after.returncode == 0, errors
        check(url, folder, deaths=1)


TRIMMING = """
import sys
from tests.queues.topic_workers import open_small

with open_small(sys.argv[1]) as topic, topic.subscribe("a") as one:
    for number in range(100):
        topic.put({"number": number, "fill": "x" * 100})
        one.take()[0].ack()
    topic.trim()
"""


def test_killed_while_a_log_of_files_is_trimmed(run_python: Runner, tmp_path: Path) -> None:
    url = url_for("file", tmp_path)
    root = {"PYTHONPATH": os.pathsep.join([str(SOURCE), str(ROOT)])}
    for visit in (1, 2):
        faults = f"queue.topic.trimmed=crash@{visit}"
        assert was_killed(run_python(TRIMMING, url, faults=faults, env=root))
        with open_small(url) as topic, topic.subscribe("a") as one:
            first, last = topic.bounds()
            one.replay("all")
            taken = one.take(1000)
            assert [message.position for message in taken] == list(range(first, last + 1))
            one.ack(*(message.receipt for message in taken))
            topic.trim()
            assert last - topic.bounds()[0] < 30


def _fresh(request: pytest.FixtureRequest, engine: str, folder: Path) -> str:
    """A URL where nothing was put yet; databases of servers are made anew."""
    if engine == "postgres":
        import psycopg

        url: str = request.getfixturevalue("postgres_url")
        with psycopg.connect(url) as connection:
            connection.execute("DROP SCHEMA IF EXISTS holdfast CASCADE")
        return url
    if engine == "redis":
        import redis

        url = request.getfixturevalue("redis_url")
        with redis.Redis.from_url(url) as client:
            client.flushdb()
        return url
    return new_url(request, engine, folder)


@pytest.mark.slow
@pytest.mark.parametrize("engine", ENGINES)
def test_killed_at_random_while_several_feed(
    request: pytest.FixtureRequest, tmp_path: Path, engine: str
) -> None:
    url = new_url(request, engine, tmp_path)
    chance = random.Random(5)
    together, rounds = (3, 3) if sys.platform != "win32" else (2, 1)
    deaths = 0
    for round_ in range(rounds):
        paths = [tmp_path / f"notes-{round_}-{n}" for n in range(together)]
        children = [
            start(url, path, round_ * 10 + n, 100_000, module=MODULE)
            for n, path in enumerate(paths)
        ]
        for path in paths:
            wait_for_notes(path)
        time.sleep(chance.random() * 0.4)
        for child in children:
            time.sleep(chance.random() * 0.02)
            child.kill()
        for child in children:
            _, errors = child.communicate(timeout=60)
            assert child.returncode in (-9, 1), errors
            assert not errors
            deaths += 1
    check(url, tmp_path, deaths)

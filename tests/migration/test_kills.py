"""Kill -9 at every fault point and at random, then the same command again."""

import random
import subprocess
from collections import Counter
from pathlib import Path

import pytest

from tests.migration.conftest import Command, FreshUrl
from tests.migration.filled import fill_events, fill_queues, fill_workflows
from tests.recovery.conftest import command, environment

pytestmark = pytest.mark.slow

OURS = ("migration.", "events.put", "queue.redis.moved", "workflow.redis.put")
PAIRS = [
    ("workflows", "sqlite", "json"),
    ("workflows", "json", "redis"),
    ("queues", "sqlite", "file"),
    ("queues", "file", "redis"),
    ("queues", "redis", "postgresql"),
    ("events", "postgresql", "sqlite"),
]


def fill(room: str, url: str, folder: Path) -> None:
    if room == "workflows":
        fill_workflows(url)
    elif room == "queues":
        fill_queues(url)
    else:
        fill_events(url, folder)


@pytest.mark.parametrize(("room", "source", "target"), PAIRS)
def test_killed_at_every_fault_point(
    holdfast: Command, fresh: FreshUrl, tmp_path: Path, room: str, source: str, target: str
) -> None:
    old, trace = fresh(source), tmp_path / "trace"
    fill(room, old, tmp_path)
    expected = holdfast.migrate(room, old, fresh(target))  # makes what a first call makes
    release(room, holdfast, old)
    whole = holdfast("migrate", room, old, fresh(target), trace=trace)
    assert whole.returncode == 0, whole.stderr
    release(room, holdfast, old)
    points = Counter(trace.read_text(encoding="utf-8").split())
    mine = {point: count for point, count in points.items() if point.startswith(OURS)}
    assert "migration.copied" in mine
    others = sorted(points.keys() - mine.keys())
    for point in [*sorted(mine), *random.Random(7).sample(others, min(3, len(others)))]:
        for visit in sorted({1, mine.get(point, 1)}):
            new = fresh(target)
            killed = holdfast("migrate", room, old, new, faults=f"{point}=crash@{visit}")
            assert killed.returncode not in (0, 1), (point, visit, killed.stderr)
            report = holdfast.migrate(room, old, new)
            assert report["copied"] == expected["copied"], (point, visit)
            release(room, holdfast, old)


def release(room: str, holdfast: Command, url: str) -> None:
    """Let the queues of the source go on as before; ``halted`` and ``news@fast`` were paused."""
    from holdfast.queues import Queue, Topic

    if room != "queues":
        return
    with Queue("jobs", url=url) as jobs:
        assert jobs.stats().paused
        jobs.resume()
    with Topic("news", url=url) as news, news.subscription("slow") as slow:
        slow.resume()


@pytest.mark.parametrize(("room", "source", "target"), [PAIRS[0], PAIRS[2], PAIRS[5]])
def test_killed_at_random(
    holdfast: Command, fresh: FreshUrl, tmp_path: Path, room: str, source: str, target: str
) -> None:
    old, new = fresh(source), fresh(target)
    fill(room, old, tmp_path)
    arguments = command("migrate", room, old, new, "--json", "-w", holdfast.root)
    chance = random.Random(11)
    for _ in range(6):
        process = subprocess.Popen(
            arguments, env=environment(), stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
        )
        try:
            process.wait(chance.uniform(0.2, 0.9))
        except subprocess.TimeoutExpired:
            process.kill()
        process.wait(30)
    report = holdfast.migrate(room, old, new)
    assert report["healthy"]
    assert report["copied"] == report["before"]

"""Real processes on one registry: none loses an update, none leaves it torn when it is killed."""

import json
import random
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest

from holdfast.registry import AgentRegistry
from tests.conftest import SOURCE
from tests.registry.conftest import open_registry

POINTS = (
    "registry.kept",
    "registry.prepared",
    "registry.published",
    "registry.sealed",
    "files.temporary.written",
    "files.replaced",
)


def start(folder: Path, *arguments: str, faults: str = "") -> subprocess.Popen[str]:
    import os

    paths = [str(SOURCE), str(SOURCE.parent)]
    return subprocess.Popen(
        [sys.executable, "-m", "tests.registry.writer", str(folder), *arguments],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env={**os.environ, "PYTHONPATH": os.pathsep.join(paths), "HOLDFAST_FAULTS": faults},
    )


def check_whole(registry: AgentRegistry, acknowledged: set[str]) -> None:
    """The file and every generation read strictly, and all that was acknowledged is there."""
    json.loads(registry.path.read_bytes())
    assert acknowledged <= {agent.id for agent in registry.list()}
    for generation in registry.generations():
        registry.agents_in(generation)


def test_eight_processes_at_once_lose_no_update(tmp_path: Path) -> None:
    registry = open_registry(tmp_path)
    registry.add("shared", path="/shared")
    names = [f"p{number}" for number in range(8)]
    writers = [start(tmp_path, name, "12", "shared") for name in names]
    for writer in writers:
        _, errors = writer.communicate(timeout=120)
        assert writer.returncode == 0, errors
    expected = {f"{name}-{number}" for name in names for number in range(12)}
    assert {agent.id for agent in registry.list()} == expected | {"shared"}
    assert registry.get("shared").further == dict.fromkeys(names, 11)
    assert [generation.number for generation in registry.generations()] == list(range(144, 194))


def test_threads_that_share_one_object_lose_no_update(registry: AgentRegistry) -> None:
    def add(name: str) -> None:
        for number in range(10):
            registry.add(f"{name}-{number}", path="/x")
            registry.list()

    threads = [threading.Thread(target=add, args=(f"t{number}",)) for number in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(registry.list()) == 40


@pytest.mark.parametrize("point", POINTS)
@pytest.mark.parametrize("visit", [1, 2, 3, 5])
def test_a_crash_at_each_point_leaves_the_old_or_the_new(
    tmp_path: Path, point: str, visit: int
) -> None:
    registry = open_registry(tmp_path)
    registry.add("first", path="/first")
    registry.path.write_bytes(registry.path.read_bytes() + b"\n")  # so that it is kept as found
    writer = start(tmp_path, "w", "6", faults=f"{point}=crash@{visit}")
    output, errors = writer.communicate(timeout=60)
    assert (writer.returncode != 0) == (point != "registry.kept" or visit == 1), errors
    acknowledged = {"first", *output.split()}
    check_whole(registry, acknowledged)
    assert len(registry.list()) <= len(acknowledged) + 1

    registry.add("later", path="/later")
    check_whole(registry, acknowledged | {"later"})
    before = registry.list()
    registry.undo()
    assert registry.list() == [agent for agent in before if agent.id != "later"]
    assert not list(tmp_path.glob("state/generations/**/pending.json"))


@pytest.mark.slow
def test_kill_9_at_random_instants_loses_nothing_acknowledged(tmp_path: Path) -> None:
    registry = open_registry(tmp_path)
    registry.add("first", path="/first")
    acknowledged = {"first"}
    moments = random.Random(20261123)
    for number in range(25):
        writer = start(tmp_path, f"r{number}", "10000")
        assert writer.stdout is not None
        acknowledged.add(writer.stdout.readline().strip())
        time.sleep(moments.uniform(0, 0.03))
        writer.kill()
        output, _ = writer.communicate(timeout=30)
        acknowledged.update(output.split())
        check_whole(registry, acknowledged)
    registry.add("last", path="/last")
    check_whole(registry, acknowledged | {"last"})

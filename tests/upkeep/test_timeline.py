"""One id joins what belongs together: run, steps, messages, events and log lines."""

import json
from pathlib import Path

from tests.conftest import Runner

PROGRAM = """
import sys
import holdfast
from holdfast import step, workflow

@step
def gather(n):
    workspace.logger("gatherer").info("Gathering", n=n)
    workspace.queue("jobs").put({"n": n})
    workspace.events.append("bees", "Gathered", {"n": n})
    return n

@step(retries=0)
def fail():
    raise ValueError("no flowers")

@workflow
def survey():
    gather(1)
    fail()

workspace = holdfast.open_workspace(sys.argv[1])
for run_id in ("survey-1", "survey-2"):
    try:
        survey.start(id=run_id).result()
    except holdfast.HoldfastError:
        pass
workspace.close()
"""


def test_logs_of_a_task_show_all_that_carries_its_id(
    holdfast: Runner, run_python: Runner, tmp_path: Path
) -> None:
    root = tmp_path / "development"
    assert holdfast("init", root, "--home", tmp_path).returncode == 0
    done = run_python(PROGRAM, root)
    assert done.returncode == 0, done.stderr

    def told(*options: str) -> list[tuple[str, str]]:
        found = holdfast("logs", "-w", root, "--json", *options)
        assert found.returncode == 0, found.stderr
        records = json.loads(found.stdout)
        assert [r["timestamp"] for r in records] == sorted(r["timestamp"] for r in records)
        assert all(r["task_id"].startswith("survey-1") for r in records)
        return [(r["component"], r["message"]) for r in records]

    whole = told("--task", "survey-1")
    assert whole[0] == ("workflows", "Run begins")
    assert set(whole[1:5]) == {
        ("gatherer", "Gathering"),
        ("queues", "Message waits in jobs"),
        ("events", "Event Gathered in bees"),
        ("workflows", "Step succeeded"),
    }
    assert whole[5:] == [("workflows", "Step failed"), ("workflows", "Run failed")]
    step = told("--task", "survey-1:gather-1")
    assert ("workflows", "Step succeeded") in step
    assert ("workflows", "Run begins") not in step
    errors = told("--task", "survey-1", "--level", "error")
    assert errors == [("workflows", "Step failed"), ("workflows", "Run failed")]
    assert told("--task", "survey-1", "--limit", "1") == [("workflows", "Run failed")]


def test_a_store_that_cannot_be_read_does_not_hide_the_lines(
    holdfast: Runner, run_python: Runner, tmp_path: Path
) -> None:
    root = tmp_path / "development"
    assert holdfast("init", root, "--home", tmp_path).returncode == 0
    assert run_python(PROGRAM, root).returncode == 0
    database = root / ".holdfast" / "state.db"
    for leftover in root.joinpath(".holdfast").glob("state.db-*"):
        leftover.unlink()
    database.write_bytes(b"no database" * 100)
    found = holdfast("logs", "-w", root, "--task", "survey-1")
    assert "Gathering" in found.stdout
    assert "Message waits in jobs" in found.stdout
    assert f"not shown: {database}" in found.stderr

"""One snapshot is one recovery point of all stores, however busy they are."""

import json
import os
import subprocess
import sys
import time
from pathlib import Path

from holdfast.engines.urls import url_for
from holdfast.facade import open_workspace
from holdfast.queues import Queue
from holdfast.vault import Vault
from holdfast.workspace.creation import create
from tests.conftest import SOURCE

# Writes to every store, one after the other, and says on standard output what is acknowledged.
WRITER = """
import sys
from holdfast import step, workflow
from holdfast.facade import open_workspace

@step
def double(number): return number * 2

@workflow
def work(number): return double(number)

with open_workspace(sys.argv[1]) as ws:
    log = ws.logger("writer")
    for number in range(1_000_000):
        ws.queue("jobs").put({"n": number})
        if number % 3 == 0:
            for message in ws.queue("jobs").take(2): ws.queue("jobs").ack(message.receipt)
        ws.queue("kept").put({"n": number})
        ws.events.append("stream", "counted", {"n": number})
        if number % 5 == 0:
            work.start(number, id=f"run-{number}").result()
            ws.registry.add(f"agent-{number}", path="agents")
        log.info("counted", n=number)
        print(number, flush=True)
"""


def test_a_snapshot_beside_writers_to_every_store(tmp_path: Path) -> None:
    root = tmp_path / "home" / "development"
    create(root, home=tmp_path / "home")
    environment = {**os.environ, "PYTHONPATH": str(SOURCE)}
    writer = subprocess.Popen(
        [sys.executable, "-c", WRITER, str(root)],
        env=environment,
        stdout=subprocess.PIPE,
        encoding="utf-8",
    )
    assert writer.stdout is not None
    try:
        acknowledged = -1
        with open_workspace(root) as workspace:
            for number in range(4):
                while acknowledged < 20 * (number + 1):
                    acknowledged = int(writer.stdout.readline())
                report = workspace.snapshot()
                assert report.healthy, (report.snapshot.problems, report.findings)
                out = tmp_path / f"restored-{number}"
                workspace.vault.restore("latest", to=out / "development")
                check(out / "development", acknowledged)
    finally:
        writer.kill()
        writer.communicate()


def check(root: Path, acknowledged: int) -> None:
    """Every store opens, and has at least what was acknowledged before the snapshot began."""
    with open_workspace(root) as workspace:
        kept = workspace.queue("kept").peek(1_000_000)
        numbers = [message.body["n"] for message in kept]
        assert numbers == list(range(len(numbers)))
        assert len(numbers) > acknowledged
        workspace.queue("jobs").stats()
        for message in workspace.queue("jobs").take(10):
            workspace.queue("jobs").ack(message.receipt)
        events = [event.data["n"] for event in workspace.events.read("stream")]
        assert events[: acknowledged + 1] == list(range(acknowledged + 1))
        done = acknowledged // 5 * 5
        assert workspace.workflows.get(f"run-{done}").result == done * 2
        assert f"agent-{done}" in {agent.id for agent in workspace.registry.list()}
        lines = (workspace.layout.logs / "writer.log").read_text("utf-8").splitlines()
        assert json.loads(lines[acknowledged])


def test_a_queue_is_captured_between_two_records(tmp_path: Path) -> None:
    """Whatever consumers remove and producers add while the files are read."""
    from holdfast.vault.capture import Capture

    tree = tmp_path / "tree"
    queue = Queue("jobs", url=url_for("file", tree))
    queue.put_many([{"n": number} for number in range(100)])
    for message in queue.take(10):
        queue.ack(message.receipt)
    read_held = Capture.read_held

    def write_meanwhile(capture: Capture, descriptor: int, status: os.stat_result) -> object:
        for message in queue.take(30):
            queue.ack(message.receipt)
        queue.put({"n": 1000})
        return read_held(capture, descriptor, status)

    vault = Vault.create(tmp_path / "vault")
    Capture.read_held = write_meanwhile  # type: ignore[method-assign, assignment]
    try:
        assert vault.snapshot(tree).healthy
    finally:
        Capture.read_held = read_held  # type: ignore[method-assign]
    queue.close()
    vault.restore("latest", to=tmp_path / "out")
    with Queue("jobs", url=url_for("file", tmp_path / "out")) as restored:
        assert [message.body["n"] for message in restored.peek(200)] == list(range(10, 100))
    time.sleep(2.1)
    vault.snapshot(tree)
    assert vault.snapshot(tree).snapshot.totals.unchanged == vault.snapshots()[-1].totals.files

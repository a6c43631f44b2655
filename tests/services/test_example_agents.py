"""The example agents as services: a goal is pursued, reported and served, also after a kill -9."""

import json
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.error import HTTPError
from urllib.parse import urlsplit
from urllib.request import Request, urlopen

import psutil  # type: ignore[import-untyped,unused-ignore]
import pytest

from holdfast.facade import Workspace, open_workspace
from holdfast.services import control
from holdfast.workspace.creation import create
from tests.conftest import SOURCE, Runner
from tests.services.conftest import end_everything, messages, state_of, wait_until

# A task that writes down each of its starts, and ends once the file "go" is there.
PATIENT = """
import pathlib, sys, time
with open("begun.txt", "a") as file: file.write("x")
while not pathlib.Path("go").exists(): time.sleep(0.02)
print('{"hives": 3}')
"""


@pytest.fixture
def workspace(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Workspace]:
    monkeypatch.setenv("PYTHONPATH", str(SOURCE))
    root = create(tmp_path / "development", home=tmp_path, examples=True).layout.root
    with open_workspace(root) as workspace:
        workspace.registry.discover_agents(workspace.layout.agents)
        workspace.registry.update("director-agent", service={"ready": {"log": "taking goals"}})
        workspace.registry.update("observatory-agent", service={"ready": {"log": "watching"}})
        yield workspace
        end_everything(workspace)


def put_goal(workspace: Workspace, goal: Any) -> Path:
    """Put a goal; returns where its report will be."""
    message = workspace.queue("goals").put(goal)
    return workspace.layout.root / "shared" / "reports" / f"goal-{message}.json"


def report_at(path: Path) -> dict[str, Any]:
    wait_until(path.exists, f"{path.name} is there")
    report: dict[str, Any] = json.loads(path.read_bytes())
    return report


def fetch(url: str, token: str = "") -> Any:
    headers = {"Authorization": f"Bearer {token}"} if token else {}
    with urlopen(Request(url, headers=headers), timeout=20) as answer:
        return json.loads(answer.read())


def test_a_goal_is_pursued_reported_and_served(workspace: Workspace, holdfast: Runner) -> None:
    root = workspace.layout.root
    started = holdfast("start", "-w", root)
    assert started.returncode == 0, started.stdout + started.stderr
    goal = {"workflow": "inventory", "input": {"pattern": "configs/mcp/*.json"}}
    put = holdfast("queues", "put", "goals", json.dumps(goal), "-w", root)
    assert put.returncode == 0, put.stderr
    reports = root / "shared" / "reports"
    wait_until(lambda: list(reports.glob("goal-*.json")), "the goal is reported")
    [path] = reports.glob("goal-*.json")
    report = json.loads(path.read_bytes())
    assert (report["goal"], report["status"], report["error"]) == (goal, "succeeded", None), report
    assert report["output"]["files"] == ["configs/mcp/mcp-registry.json"]
    assert len(report["output"]["digest"]) == 64
    assert workspace.workflows.get(report["run"]).status == "succeeded"

    told = json.loads((workspace.layout.state / "observatory.json").read_bytes())
    address = urlsplit(told["url"])
    assert address.hostname == "127.0.0.1"
    base, token = f"http://{address.netloc}", address.query.removeprefix("token=")
    assert fetch(f"{base}/reports/{path.name}", token) == report
    health = fetch(address.geturl())
    assert health["stores"]["agents"] == "3 agents"
    for wrong, status in (
        (("/", ""), 403),
        (("/", "guessed"), 403),
        (("/reports/nothing.json", token), 404),
        (("/reports/..%2F..%2Fconfigs%2Fenvironment.json", token), 404),
    ):
        with pytest.raises(HTTPError) as caught:
            fetch(base + wrong[0], wrong[1])
        assert caught.value.code == status
        caught.value.close()

    assert holdfast("stop", "-w", root).returncode == 0
    if sys.platform != "win32":
        assert state_of(workspace, "director-agent").reason == "", "it ended by itself"
        for agent in ("director-agent", "observatory-agent"):
            assert messages(workspace, agent)[-1].startswith("Stopped"), agent
    assert any("taking goals" in line for line in messages(workspace, "agent-director-agent"))


def test_goals_that_make_no_sense_are_reported_as_failed(workspace: Workspace) -> None:
    control.start(workspace, ["director-agent"])
    unknown = report_at(put_goal(workspace, {"workflow": "nowhere"}))
    assert (unknown["status"], "no workflow 'nowhere'" in unknown["error"]) == ("failed", True)
    rubbish = report_at(put_goal(workspace, "rubbish"))
    assert (rubbish["goal"], rubbish["status"]) == ("rubbish", "failed")
    control.stop(workspace)


def test_a_director_that_is_killed_finishes_the_goal(workspace: Workspace) -> None:
    root = workspace.layout.root
    task = {"command": [sys.executable, "-c", PATIENT], "timeout": 100}
    after = {"command": [sys.executable, "-c", "print(7)"], "needs": ["wait"]}
    declared = {"tasks": {"wait": task, "after": after}}
    (workspace.layout.workflows / "patient.json").write_text(json.dumps(declared), "utf-8")
    control.start(workspace, ["director-agent"])
    path = put_goal(workspace, {"workflow": "patient"})
    wait_until((root / "begun.txt").exists, "the task is under way")
    director = state_of(workspace, "director-agent").pid
    assert director is not None
    psutil.Process(director).kill()
    wait_until(lambda: (root / "begun.txt").read_text() == "xx", "the goal is taken up again")
    (root / "go").touch()
    report = report_at(path)
    assert report["output"] == {"wait": {"hives": 3}, "after": 7}, report
    assert "Run taken up again" in messages(workspace, "director-agent")
    assert workspace.queue("goals").depth(9) == 0
    control.stop(workspace)

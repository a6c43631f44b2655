"""``holdfast logs`` as a process of its own."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

from holdfast.context import task
from holdfast.logs import get_logger
from tests.conftest import Runner


@pytest.fixture
def logged(tmp_path: Path) -> Path:
    root = tmp_path / "ws"
    marker = root / ".holdfast" / "workspace.json"
    marker.parent.mkdir(parents=True)
    marker.write_text(json.dumps({"id": "x", "name": "w", "home": "..", "formatVersion": 1}))
    with task("workflow-123:task-456"):
        get_logger("WorkflowEngine", directory=root / "logs").info("Task completed", pages=12)
    get_logger("agent-bee", directory=root / "logs").warning("No flowers \x1b[31m")
    return root


def test_a_pipe_gets_the_lines_themselves(holdfast: Runner, logged: Path) -> None:
    done = holdfast("logs", "-w", logged)
    assert done.returncode == 0, done.stderr
    engine = (logged / "logs" / "WorkflowEngine.log").read_text("utf-8")
    agent = (logged / "logs" / "agent-bee.log").read_text("utf-8")
    assert done.stdout == engine + agent
    assert done.stderr == ""


def test_json_and_filters(holdfast: Runner, logged: Path) -> None:
    def found(*options: str) -> list[str]:
        done = holdfast("logs", "-w", logged, "--json", *options)
        assert done.returncode == 0, done.stderr
        return [line["message"].split()[0] for line in json.loads(done.stdout)]

    assert found() == ["Task", "No"]
    assert found("--task", "workflow-123") == ["Task"]
    assert found("--component", "agent-*", "--component", "x") == ["No"]
    assert found("--level", "warning") == ["No"]
    assert found("--since", "1h", "--grep", "flow.rs", "--until", "now") == ["No"]
    assert found("--limit", "1") == ["No"]
    assert found("--until", "yesterday") == []


def test_unreadable_lines_are_counted_on_standard_error(holdfast: Runner, logged: Path) -> None:
    with (logged / "logs" / "agent-bee.log").open("a", encoding="utf-8") as file:
        file.write("Traceback\n")
    done = holdfast("logs", "-w", logged)
    assert (done.returncode, len(done.stdout.splitlines())) == (0, 2)
    assert "1 unreadable line(s) skipped: agent-bee.log (1)" in done.stderr


@pytest.mark.parametrize(
    "options", [["--since", "soon"], ["--level", "loud"], ["--grep", "("], ["--limit", "-1"]]
)
def test_wrong_use(holdfast: Runner, logged: Path, options: list[str]) -> None:
    done = holdfast("logs", "-w", logged, "--json", *options)
    assert done.returncode == 2
    assert json.loads(done.stderr)["error"]["type"] == "UsageError"


def test_follow_prints_what_comes(logged: Path) -> None:
    command = [sys.executable, "-m", "holdfast", "logs", "-w", str(logged), "--follow"]
    with subprocess.Popen(command, stdout=subprocess.PIPE) as process:
        assert process.stdout is not None
        lines = [process.stdout.readline() for _ in range(2)]
        get_logger("agent-bee", directory=logged / "logs").info("Flowers")
        lines.append(process.stdout.readline())
        process.kill()
    assert [json.loads(line)["message"].split()[0] for line in lines] == ["Task", "No", "Flowers"]


def test_what_was_said_in_sessions(holdfast: Runner, logged: Path) -> None:
    folder = logged.parent / ".claude" / "projects" / "-slug"
    folder.mkdir(parents=True)
    told = "set the token ghp_" + "a1B2" * 9 + " and rm -rf plan.md"
    record = {
        "type": "user",
        "cwd": str(logged),
        "sessionId": "s1",
        "timestamp": "2026-11-25T10:00:00Z",
        "message": {"role": "user", "content": told},
    }
    (folder / "s1.jsonl").write_text(json.dumps(record) + "\n{torn", encoding="utf-8")
    done = holdfast("logs", "--transcripts", "RM -RF", "-w", logged)
    assert done.returncode == 0, done.stderr
    assert "rm -rf plan.md" in done.stdout
    assert "s1.jsonl:1" in done.stdout
    assert "a1B2a1B2" not in done.stdout
    assert "1 unreadable" in done.stderr
    listed = json.loads(holdfast("logs", "--transcripts", "plan", "--json", "-w", logged).stdout)
    assert [each["session"] for each in listed] == ["s1"]
    nothing = holdfast("logs", "--transcripts", "wasps", "-w", logged)
    assert "Nothing of that kind" in nothing.stderr
    assert holdfast("logs", "--transcripts", "x", "--follow", "-w", logged).returncode == 2

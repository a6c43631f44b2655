"""``holdfast logs`` as a process of its own."""

import json
import os
import subprocess
import sys
import time
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from holdfast.context import task
from holdfast.logs import close_loggers, get_logger
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


def test_what_has_the_shape_of_a_secret_is_masked(holdfast: Runner, logged: Path) -> None:
    token = "ghp_" + "a1B2c3D4e5F6" * 3
    get_logger("agent-bee", directory=logged / "logs").info("Called", nested={"of": [token]})
    for options in ((), ("--json",)):
        shown = holdfast("logs", "-w", logged, *options).stdout
        assert token not in shown
        assert "•••• (40 characters)" in shown
        assert "No flowers" in shown


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


def age(path: Path, days: float) -> None:
    then = time.time() - days * 86_400
    os.utime(path, (then, then))


def test_prune_takes_old_files_away_and_undo_brings_them_back(
    holdfast: Runner, logged: Path
) -> None:
    logs = logged / "logs"
    rotated = f"{datetime.now(UTC) - timedelta(days=8):%Y%m%dT%H%M%S}.000000Z"
    (logs / f"agent-bee.{rotated}.log").write_bytes((logs / "agent-bee.log").read_bytes())
    age(logs / "WorkflowEngine.log", 40)
    close_loggers()

    def prune(*options: str, status: int = 0) -> list[str]:
        done = holdfast("logs", "prune", "-w", logged, "--json", *options)
        assert done.returncode == status, done.stderr
        return (
            [file["component"] for file in json.loads(done.stdout)["files"]] if not status else []
        )

    before = holdfast("logs", "-w", logged).stdout
    assert prune("--dry-run") == ["WorkflowEngine"]
    assert prune("--dry-run", "--older-than", "7") == ["WorkflowEngine", "agent-bee"]
    assert prune("--dry-run", "--older-than", "1w", "--component", "agent-*") == ["agent-bee"]
    assert prune("--dry-run", "--older-than", "2020-01-01") == []
    prune("--older-than", "7d", status=4)
    assert holdfast("logs", "-w", logged).stdout == before
    assert prune("--older-than", "7d", "--yes") == ["WorkflowEngine", "agent-bee"]
    assert [path.name for path in logs.glob("*.log*")] == ["agent-bee.log"]
    assert holdfast("undo", "-w", logged, "--yes").returncode == 0
    assert holdfast("logs", "-w", logged).stdout == before


def test_prune_leaves_what_a_program_writes_to(holdfast: Runner, logged: Path) -> None:
    log = get_logger("agent-bee", directory=logged / "logs")
    log.info("Open")
    age(logged / "logs" / "agent-bee.log", 40)
    done = holdfast("logs", "prune", "-w", logged, "--component", "agent-bee", "--yes", "--json")
    assert json.loads(done.stdout)["kept"] == ["agent-bee.log"]
    assert (logged / "logs" / "agent-bee.log").exists()


def test_options_before_prune_are_refused(holdfast: Runner, logged: Path) -> None:
    done = holdfast("logs", "-w", logged, "prune", "--yes")
    assert done.returncode == 2
    assert "behind" in done.stderr


@pytest.fixture
def said(tmp_path: Path, logged: Path) -> Path:
    """A session in the workspace, one elsewhere, and what was typed."""
    folder = tmp_path / ".claude" / "projects" / "-slug"
    folder.mkdir(parents=True)
    secret = "ghp_" + "a1B2c3D4e5F6" * 3
    for session, cwd, hour in (("5e55-1", logged / "agents", 1), ("5e55-2", tmp_path / "x", 2)):
        lines = [
            {
                "type": role,
                "cwd": str(cwd),
                "sessionId": session,
                "timestamp": f"2026-01-02T0{hour}:00:0{number}Z",
                "message": {"role": role, "content": text},
            }
            for number, (role, text) in enumerate(
                [
                    ("user", "Count the bees"),
                    ("assistant", f"With {secret}: 3 bees"),
                    ("user", "ok"),
                ]
            )
        ]
        text = "\n".join(map(json.dumps, lines)) + "\n{torn\n"
        (folder / f"{session}.jsonl").write_text(text, encoding="utf-8")
    typed = [
        {"display": "Count the bees", "timestamp": 1767315600000, "project": str(logged)},
        {"display": "elsewhere bees", "timestamp": 1767315600000, "project": str(tmp_path / "x")},
        {
            "display": "[Pasted]",
            "pastedContents": {"1": {"type": "text", "content": f"pasted bees {secret}"}},
            "timestamp": 1767315700000,
            "project": str(logged),
        },
    ]
    text = "\n".join(map(json.dumps, typed))
    (tmp_path / ".claude" / "history.jsonl").write_text(text, encoding="utf-8")
    return logged


def test_transcripts_are_searched_as_logs_are(holdfast: Runner, said: Path) -> None:
    def found(*options: str) -> list[tuple[str, str]]:
        done = holdfast("logs", "--transcripts", "-w", said, "--json", *options)
        assert done.returncode == 0, done.stderr
        assert "a1B2c3D4e5F6" not in done.stdout
        return [(line["component"], line["message"].split()[0]) for line in json.loads(done.stdout)]

    everything = [("prompt", "Count"), ("user", "Count"), ("assistant", "With"), ("user", "ok")]
    assert sorted(found()) == sorted([*everything, ("prompt", "[Pasted]")])
    assert found("--grep", "^Count|ok$", "--component", "user") == [
        ("user", "Count"),
        ("user", "ok"),
    ]
    assert found("--grep", "bees", "--component", "prompt") == [
        ("prompt", "Count"),
        ("prompt", "[Pasted]"),
    ]
    assert found("--task", "5e55-1", "--limit", "1") == [("user", "ok")]
    assert found("--task", "5e55-2") == []
    assert found("--since", "1h") == []
    assert len(found("--until", "2026-01-02T01:00:01Z", "--component", "user")) == 1


def test_transcripts_say_what_was_not_read_or_shown(holdfast: Runner, said: Path) -> None:
    done = holdfast("logs", "--transcripts", "-w", said, "--limit", "2")
    assert len(done.stdout.splitlines()) == 2
    assert "only the newest 2" in done.stderr
    assert "unreadable line(s) skipped: projects" in done.stderr


@pytest.mark.parametrize(
    "options", [["--follow"], ["--level", "INFO"], ["--component", "bee"], ["--grep", "("]]
)
def test_wrong_use_of_transcripts(holdfast: Runner, said: Path, options: list[str]) -> None:
    assert holdfast("logs", "--transcripts", "-w", said, *options).returncode == 2

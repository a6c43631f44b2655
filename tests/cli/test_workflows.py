"""``holdfast workflows`` as a person and a program use it: real processes, a real workspace."""

import json
import os
import sqlite3
import subprocess
import sys
from pathlib import Path

import pytest

from holdfast.durable.documents import write_document
from tests.conftest import SOURCE, Runner

RESEARCH = """
from pathlib import Path
from holdfast import step, workflow

@step
def fetch(source: str) -> str:
    with Path("fetched").open("a") as ledger:
        ledger.write(source + "\\n")
    return source.upper()

@step
def publish(pages: list[str]) -> str:
    if not Path("open").exists():
        raise OSError("closed today")
    return "+".join(pages)

@step
def stop_here() -> None:
    if Path("stop").exists():
        raise SystemExit(9)

@workflow
def research(topic: str, count: int = 2) -> str:
    pages = fetch.map([f"{topic}-{n}" for n in range(count)])
    stop_here()
    return publish(pages)
"""


@pytest.fixture
def place(tmp_path: Path) -> Path:
    marker = {"id": "w", "name": "w", "home": "..", "formatVersion": 1}
    (tmp_path / ".holdfast").mkdir()
    write_document(tmp_path / ".holdfast" / "workspace.json", marker)
    (tmp_path / "research.py").write_text(RESEARCH, encoding="utf-8")
    (tmp_path / "open").touch()
    return tmp_path


def test_run_list_and_show(holdfast: Runner, place: Path) -> None:
    arguments = ("workflows", "run", "research.py", "--input", '["bees"]', "--id", "bees-1")
    done = holdfast(*arguments, "--json")
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout)["result"] == "BEES-0+BEES-1"
    again = holdfast(*arguments)
    assert again.stdout.strip() == 'bees-1 succeeded: "BEES-0+BEES-1"'
    assert (place / "fetched").read_text(encoding="utf-8").count("bees") == 2

    (row,) = json.loads(holdfast("workflows", "list", "--json").stdout)
    assert (row["id"], row["name"], row["status"]) == ("bees-1", "research", "succeeded")
    shown = json.loads(holdfast("workflows", "show", "bees-1", "--json").stdout)
    assert [step["id"] for step in shown["steps"]] == [
        "fetch-1",
        "fetch-2",
        "stop_here-1",
        "publish-1",
    ]
    assert "fetch-1  succeeded" in holdfast("workflows", "show", "bees-1").stdout


def test_input_by_name_and_workflow_by_name(holdfast: Runner, place: Path) -> None:
    given = '{"topic": "ants", "count": 1}'
    done = holdfast("workflows", "run", "research.py:research", "--input", given, "--json")
    assert json.loads(done.stdout)["result"] == "ANTS-0"


def test_a_failed_run_exits_1_and_keeps_its_error(holdfast: Runner, place: Path) -> None:
    (place / "open").unlink()
    done = holdfast("workflows", "run", "research.py", "--input", '["bees"]', "--id", "b")
    assert done.returncode == 1
    assert "step publish-1 failed: OSError: closed today" in done.stderr
    shown = holdfast("workflows", "show", "b")
    assert "raise OSError" in shown.stdout
    assert json.loads(holdfast("workflows", "list", "--status", "failed", "--json").stdout)


def test_an_interrupted_run_is_resumed_from_its_file(holdfast: Runner, place: Path) -> None:
    (place / "stop").touch()
    holdfast("workflows", "run", "research.py", "--input", '["bees"]', "--id", "bees-1")
    (row,) = json.loads(holdfast("workflows", "list", "--json").stdout)
    assert row["status"] == "interrupted"
    (place / "stop").unlink()
    done = holdfast("workflows", "resume", "bees-1")
    assert done.stdout.strip() == 'bees-1 succeeded: "BEES-0+BEES-1"', done.stderr
    assert (place / "fetched").read_text(encoding="utf-8").count("bees") == 2


def test_resume_of_all(holdfast: Runner, place: Path) -> None:
    assert json.loads(holdfast("workflows", "resume", "--json").stdout) == []
    (place / "stop").touch()
    for run in ("a", "b"):
        holdfast("workflows", "run", "research.py", "--input", f'["{run}"]', "--id", run)
    (place / "stop").unlink()
    done = json.loads(holdfast("workflows", "resume", "--json").stdout)
    assert sorted((run["id"], run["status"]) for run in done) == [
        ("a", "succeeded"),
        ("b", "succeeded"),
    ]


def test_a_run_whose_file_is_gone_keeps_no_other_from_resuming(
    holdfast: Runner, place: Path
) -> None:
    (place / "stop").touch()
    (place / "second.py").write_text(RESEARCH, encoding="utf-8")
    for file in ("research", "second"):
        holdfast("workflows", "run", f"{file}.py", "--input", '["bees"]', "--id", file)
    (place / "stop").unlink()
    (place / "second.py").unlink()
    done = holdfast("workflows", "resume", "--json")
    assert done.returncode == 1
    outcomes = {run["id"]: run for run in json.loads(done.stdout)}
    assert outcomes["research"]["status"] == "succeeded"
    assert "no such Python file" in outcomes["second"]["error"]
    (place / "second.py").write_text(RESEARCH, encoding="utf-8")
    assert holdfast("workflows", "resume", "second").returncode == 0


def test_cancel_and_prune(holdfast: Runner, place: Path) -> None:
    (place / "stop").touch()
    holdfast("workflows", "run", "research.py", "--input", '["bees"]', "--id", "bees-1")
    assert holdfast("workflows", "cancel", "bees-1").returncode == 0
    assert holdfast("workflows", "resume", "bees-1").returncode == 1
    refused = holdfast("workflows", "prune", "--older-than", "0")
    assert refused.returncode == 4
    assert "1  research cancelled" in refused.stderr
    done = holdfast("workflows", "prune", "--older-than", "0", "--yes", "--json")
    pruned = json.loads(done.stdout)
    assert pruned["deleted"] == 1
    [entry] = json.loads(holdfast("quarantine", "list", "--json").stdout)
    assert entry["id"] == pruned["quarantine"]
    assert holdfast("workflows", "show", "bees-1").returncode == 2


APPROVAL = """
from holdfast import step, workflow
from holdfast.workflows import wait_for

@step
def ask(topic: str) -> str:
    return topic.upper()

@workflow
def approval(topic: str) -> str:
    return f"{ask(topic)} by {wait_for('approved')['by']}"
"""


def test_a_worker_goes_on_when_the_signal_comes(holdfast: Runner, place: Path) -> None:
    (place / "approval.py").write_text(APPROVAL, encoding="utf-8")
    environment = {**os.environ, "PYTHONPATH": str(SOURCE)}
    given = ("run", "approval.py", "--input", '["bees"]', "--id", "a")
    first = subprocess.Popen(
        [sys.executable, "-m", "holdfast", "workflows", *given], cwd=place, env=environment
    )
    while holdfast("workflows", "list", "--status", "waiting", "--json").stdout.strip() == "[]":
        assert first.poll() is None
    first.kill()
    first.wait()
    shown = json.loads(holdfast("workflows", "show", "a", "--json").stdout)
    assert (shown["status"], shown["steps"][0]["id"]) == ("waiting", "ask-1")
    sent = holdfast("workflows", "signal", "a", "approved", "--value", '{"by": "Ada"}')
    assert sent.returncode == 0, sent.stderr
    worker = subprocess.Popen(
        [sys.executable, "-m", "holdfast", "workflows", "worker", "--poll", "0.05"],
        cwd=place,
        env=environment,
    )
    try:
        while holdfast("workflows", "list", "--status", "succeeded", "--json").stdout == "[]\n":
            assert worker.poll() is None
    finally:
        worker.terminate()
    assert worker.wait(30) == (0 if sys.platform != "win32" else 1)
    assert (
        json.loads(holdfast("workflows", "show", "a", "--json").stdout)["result"] == "BEES by Ada"
    )


def test_resume_of_a_failed_run_and_fork(holdfast: Runner, place: Path) -> None:
    (place / "open").unlink()
    holdfast("workflows", "run", "research.py", "--input", '["bees"]', "--id", "b")
    (place / "open").touch()
    assert holdfast("workflows", "resume", "b").returncode == 0
    assert (place / "fetched").read_text(encoding="utf-8").count("bees") == 2
    forked = holdfast("workflows", "fork", "b", "--from", "fetch-2", "--id", "c", "--json")
    assert json.loads(forked.stdout)["result"] == "BEES-0+BEES-1"
    assert (place / "fetched").read_text(encoding="utf-8").count("bees") == 3
    found = json.loads(holdfast("workflows", "list", "--text", "bees", "--json").stdout)
    assert [run["id"] for run in found] == ["c", "b"]
    assert holdfast("workflows", "list", "--until", "2020-01-01", "--json").stdout == "[]\n"


def test_prune_says_before_what_it_would_delete(holdfast: Runner, place: Path) -> None:
    holdfast("workflows", "run", "research.py", "--input", '["bees"]', "--id", "b")
    dry = holdfast("workflows", "prune", "--older-than", "0", "--dry-run", "--json")
    assert json.loads(dry.stdout) == {"dryRun": True, "wouldDelete": ["b"]}
    assert holdfast("workflows", "show", "b").returncode == 0


@pytest.mark.parametrize(
    ("arguments", "status", "says"),
    [
        (("run", "nothing.py"), 2, "no such Python file"),
        (("run", "research.py:other"), 2, "no workflow other"),
        (("run", "research.py", "--input", "{bees"), 2, "--input is not JSON"),
        (("run", "research.py", "--input", "3"), 2, "JSON array"),
        (("run", "research.py"), 2, "missing a required argument"),
        (("run", "broken.py"), 2, "cannot be imported"),
        (("run", "two.py"), 2, "several workflows: one, two"),
        (("show", "nothing"), 2, "there is no run"),
        (("cancel", "nothing"), 2, "there is no run"),
    ],
)
def test_what_is_wrong_is_said(
    holdfast: Runner, place: Path, arguments: tuple[str, ...], status: int, says: str
) -> None:
    (place / "broken.py").write_text("import nothing_of_that_name", encoding="utf-8")
    two = "from holdfast import workflow\n@workflow\ndef one(): ...\n@workflow\ndef two(): ...\n"
    (place / "two.py").write_text(two, encoding="utf-8")
    done = holdfast("workflows", *arguments)
    assert done.returncode == status
    assert says in done.stderr
    assert "Traceback" not in done.stderr


def test_a_damaged_database_is_unreadable(holdfast: Runner, place: Path) -> None:
    (place / ".holdfast" / "state.db").write_bytes(b"not a database " * 100)
    assert holdfast("workflows", "list").returncode == 3


def test_a_newer_database_is_refused(holdfast: Runner, place: Path) -> None:
    holdfast("workflows", "list")
    connection = sqlite3.connect(place / ".holdfast" / "state.db")
    connection.execute("UPDATE holdfast_rooms SET version = 99 WHERE room = 'workflows'")
    connection.commit()
    connection.close()
    assert holdfast("workflows", "list").returncode == 3

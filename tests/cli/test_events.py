"""``holdfast events`` as a person and a program use it."""

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from holdfast.durable.documents import write_document
from holdfast.facade import open_workspace
from holdfast.upkeep.status import workspace_status
from holdfast.workspace.layout import Marker, marker_of
from tests.conftest import SOURCE, Runner


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """A fresh workspace."""
    root = tmp_path / "development"
    marker_of(root).parent.mkdir(parents=True)
    write_document(marker_of(root), Marker("0000", "development", ".."))
    return root


@pytest.fixture
def run(holdfast: Runner, root: Path) -> Runner:
    def call(*arguments: str | Path, **options: Any) -> subprocess.CompletedProcess[str]:
        return holdfast("events", *arguments, cwd=root, **options)

    return call


def document(done: subprocess.CompletedProcess[str]) -> Any:
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


def test_appending_and_reading(run: Runner) -> None:
    assert document(run("read", "--json")) == []
    first = document(run("append", "bees", "hatched", '{"count": 3}', "--expect", "new", "--json"))
    assert first == {"stream": "bees", "version": 1, "position": 1}
    run("append", "wasps", "seen", "-", stdin='"tëxt"')
    run("append", "bees", "flew", "null", "--expect", "1")
    refused = run("append", "bees", "flew", "null", "--expect", "1", "--json")
    assert refused.returncode == 1
    assert json.loads(refused.stderr)["error"]["type"] == "ConflictError"
    events = document(run("read", "--json"))
    assert [(e["position"], e["stream"], e["data"]) for e in events] == [
        (1, "bees", {"count": 3}),
        (2, "wasps", "tëxt"),
        (3, "bees", None),
    ]
    assert run("read", "bees", "--from", "2").stdout == "3\tbees\t2\tflew\tnull\n"
    assert run("read", "--type", "seen").stdout == '2\twasps\t1\tseen\t"tëxt"\n'
    assert document(run("streams", "--json")) == [
        {"stream": "bees", "version": 2},
        {"stream": "wasps", "version": 1},
    ]
    assert run("streams", "w").stdout == "wasps\t1\n"


def test_a_key_makes_an_append_repeatable(run: Runner) -> None:
    one = run("append", "bees", "hatched", "1", "--key", "k", "--json")
    assert document(run("append", "bees", "hatched", "1", "--key", "k", "--json")) == document(one)


def test_archiving(run: Runner, root: Path) -> None:
    run("append", "bees", "hatched", "1")
    done = document(run("archive", "bees", "kept/bees.jsonl", "--json"))
    assert (done["version"], done["file"]) == (1, str(root / "kept" / "bees.jsonl"))
    assert document(run("read", "--json")) == []
    assert len(document(run("read", "bees", "--archived", "--json"))) == 1
    assert document(run("streams", "--archived", "--json"))[0]["stream"] == "bees"
    assert run("append", "bees", "hatched", "1").returncode == 1
    assert document(run("unarchive", "bees", "--json"))["events"] == 1
    assert len(document(run("read", "--json"))) == 1


def test_following(run: Runner, root: Path) -> None:
    run("append", "bees", "hatched", "1")
    follower = subprocess.Popen(
        [sys.executable, "-m", "holdfast", "events", "read", "--follow"],
        cwd=root,
        env={**os.environ, "PYTHONPATH": str(SOURCE)},
        stdout=subprocess.PIPE,
        text=True,
    )
    with follower:
        try:
            assert follower.stdout is not None
            assert follower.stdout.readline() == "1\tbees\t1\thatched\t1\n"
            run("append", "wasps", "seen", "2")
            assert follower.stdout.readline() == "2\twasps\t1\tseen\t2\n"
        finally:
            follower.kill()


def test_a_subscription_prints_what_is_new_and_goes_on_there(run: Runner) -> None:
    run("append", "bees", "hatched", "1")
    run("append", "wasps", "seen", "2")
    assert run("subscribe", "mailer").stdout == "1\tbees\t1\thatched\t1\n2\twasps\t1\tseen\t2\n"
    assert run("subscribe", "mailer").stdout == ""
    run("append", "bees", "flew", "3")
    run("append", "bees", "hatched", "4")
    listed = document(run("subscriptions", "--json"))
    assert listed == [{"name": "mailer", "position": 2, "behind": 2}]
    only = run("subscribe", "mailer", "--type", "hatched")
    assert only.stdout == "4\tbees\t3\thatched\t4\n"
    assert document(run("subscriptions", "--json"))[0]["behind"] == 0
    assert run("subscribe", "mailer", "--json").returncode == 2


PROJECTIONS = """
def count(state, event):
    return {**state, event.stream: state.get(event.stream, 0) + event.data["count"]}

def projections(log):
    @log.upcaster("hatched", 1)
    def as_object(data):
        return {"count": data}

    seen = log.projection("seen", lambda number, event: number + 1, initial=int)
    return [log.projection("counts", count), seen]
"""


def test_projections_of_a_file(run: Runner, root: Path) -> None:
    run("append", "bees", "hatched", "3")
    run("append", "bees", "hatched", "4")
    run("append", "wasps", "hatched", "1")
    (root / "projections.py").write_text(PROJECTIONS, encoding="utf-8")
    assert document(run("project", "projections.py", "--json")) == [
        {"name": "counts", "position": 3, "state": {"bees": 7, "wasps": 1}},
        {"name": "seen", "position": 3, "state": 3},
    ]
    run("append", "bees", "hatched", "1")
    assert run("project", "projections.py", "seen").stdout == "seen\t4\t4\n"
    again = document(run("project", "projections.py", "counts", "--rebuild", "--json"))
    assert again[0]["state"] == {"bees": 8, "wasps": 1}
    assert document(run("project", "--json")) == [
        {"name": "counts", "position": 4},
        {"name": "seen", "position": 4},
    ]
    unknown = run("project", "projections.py", "others")
    assert unknown.returncode == 2
    assert "counts, seen" in unknown.stderr
    (root / "projections.py").write_text("1 / 0", encoding="utf-8")
    failed = run("project", "projections.py")
    assert failed.returncode == 2
    assert "ZeroDivisionError" in failed.stderr


def test_the_status_of_the_workspace_counts_the_events(run: Runner, root: Path) -> None:
    run("append", "bees", "hatched", "1")
    with open_workspace(root) as workspace:
        stores = {store.name: store for store in workspace_status(workspace).stores}
    assert (stores["events"].engine, stores["events"].holds) == ("sqlite (process)", "1 event")


@pytest.mark.parametrize(
    "arguments",
    [
        ("append", "bees", "hatched", "{bees"),
        ("append", "bees", "hatched", "1", "--expect", "-1"),
        ("append", "bees", "", "1"),
        ("read", "--archived"),
        ("read", "--follow", "--json"),
        ("unarchive", "nothing"),
        ("archive", "nothing", "file.jsonl"),
    ],
)
def test_wrong_usage(run: Runner, arguments: tuple[str, ...]) -> None:
    done = run(*arguments)
    assert done.returncode == 2, done.stderr
    assert "error" in done.stderr

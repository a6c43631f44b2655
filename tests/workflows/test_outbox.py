"""What a step puts into the store's own database is kept exactly when the step is."""

import json
import os
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from holdfast.engines.identity import database_identity
from holdfast.engines.outbox import open_outbox, outbox_for
from holdfast.engines.urls import url_for
from holdfast.errors import ConflictError, HoldfastError, StepError
from holdfast.facade import open_workspace
from holdfast.workflows import Workflows, step, workflow
from holdfast.workspace.creation import create
from tests.conftest import SOURCE
from tests.workflows.outbox_child import put, written

CHILD = Path(__file__).with_name("outbox_child.py")


@pytest.fixture(params=["sqlite", "postgresql"])
def url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    if request.param == "postgresql":
        return str(request.getfixturevalue("postgres_url"))
    return url_for("sqlite", tmp_path / "state.db")


@pytest.fixture
def engine(url: str) -> Iterator[Workflows]:
    with Workflows(url) as engine:
        yield engine


@step
def note(url: str, text: str) -> str:
    assert put(url, text), "no outbox is open"
    assert text not in written(url)
    return text


@step(retries=2, backoff=0.0)
def note_and_fail(url: str, until: int) -> None:
    calls.append("")
    put(url, f"attempt {len(calls)}")
    if len(calls) < until:
        raise ValueError("no")


@step(timeout=0.05)
def note_too_late(url: str) -> None:
    put(url, "early")
    time.sleep(0.3)


calls: list[str] = []


@workflow
def noting(url: str, texts: list[str]) -> list[str]:
    return [note(url, text) for text in texts[:1]] + note.map([url] * 3, texts[1:])


@workflow
def failing(url: str, until: int) -> None:
    note_and_fail(url, until)


@workflow
def late(url: str) -> None:
    note_too_late(url)


@workflow
def between(url: str) -> bool:
    return put(url, "between the steps")


@workflow
def nothing(number: int) -> int:
    return number


def test_what_a_step_puts_is_kept_with_it(engine: Workflows, url: str) -> None:
    engine.run(noting, (url, ["a", "b", "c", "d"]))
    assert sorted(written(url)) == ["a", "b", "c", "d"]


def test_a_failed_attempt_keeps_nothing(engine: Workflows, url: str) -> None:
    calls.clear()
    engine.run(failing, (url, 3))
    assert written(url) == ["attempt 3"]
    calls.clear()
    with pytest.raises(StepError):
        engine.run(failing, (url, 9))
    assert written(url) == ["attempt 3"]


def test_a_step_that_took_too_long_keeps_nothing(engine: Workflows, url: str) -> None:
    with pytest.raises(StepError):
        engine.run(late, (url,))
    time.sleep(0.3)
    assert written(url) == []


@step
def overtaken(url: str, run_id: str) -> None:
    put(url, "stale")
    with Workflows(url) as other:
        row = other.row(run_id)
        assert other._store.claim_run(run_id, epoch=row.epoch, owner="another")


@workflow
def losing(url: str, run_id: str) -> None:
    overtaken(url, run_id)


def test_what_a_run_that_was_taken_over_puts_is_not_kept(engine: Workflows, url: str) -> None:
    with pytest.raises(ConflictError):
        engine.run(losing, (url, "run-1"), run_id="run-1")
    assert written(url) == []
    assert list(engine.steps("run-1")) == []


@step
def refused(url: str) -> None:
    outbox = outbox_for(database_identity(url))
    assert outbox is not None
    outbox.add(lambda connection: connection.execute("INSERT INTO nowhere VALUES (1)"))


@workflow
def refusing(url: str) -> None:
    refused(url)


def test_a_write_that_fails_keeps_the_step_from_being_recorded(engine: Workflows, url: str) -> None:
    with pytest.raises(HoldfastError):
        engine.run(refusing, (url,), run_id="run-1")
    assert list(engine.steps("run-1")) == []
    assert engine.get("run-1").finished_at is None


def test_what_is_put_between_the_steps_is_not_of_a_step(engine: Workflows, url: str) -> None:
    with open_outbox(database_identity(url)):
        assert engine.run(between, (url,)) is False


@pytest.mark.parametrize("how", ["start", "enqueue"])
def test_a_run_is_created_with_what_the_outbox_around_it_holds(
    engine: Workflows, url: str, how: str
) -> None:
    for _ in range(2):  # the second time the run is there already
        with open_outbox(engine.database) as outbox:
            put(url, how)
            getattr(engine, how)(nothing, (1,), run_id="run-1")
            assert outbox.writes == []
    assert written(url) == [how, how]
    with open_outbox(engine.database):
        put(url, "another input")
        with pytest.raises(ConflictError):
            getattr(engine, how)(nothing, (2,), run_id="run-1")
    assert written(url) == [how, how]


def test_a_run_whose_outbox_fails_is_not_created(engine: Workflows, url: str) -> None:
    with open_outbox(engine.database) as outbox:
        outbox.add(lambda connection: connection.execute("INSERT INTO nowhere VALUES (1)"))
        with pytest.raises(HoldfastError):
            engine.start(nothing, (1,), run_id="run-1")
    assert engine.list() == []


@pytest.mark.parametrize("point", ["executed", "recorded"])
def test_a_crash_keeps_both_or_none(tmp_path: Path, url: str, point: str) -> None:
    def child(faults: str) -> int:
        environment = {**os.environ, "PYTHONPATH": f"{SOURCE}{os.pathsep}{SOURCE.parent}"}
        environment["HOLDFAST_FAULTS"] = faults
        return subprocess.run(
            [sys.executable, str(CHILD), url], env=environment, check=False, timeout=60
        ).returncode

    assert child(f"workflow.step.{point}=crash@3") != 0
    kept = 2 if point == "executed" else 3
    assert len(written(url)) == kept
    assert child("") == 0
    assert sorted(written(url)) == [f"note {n}" for n in range(5)]


def test_the_identity_of_a_database_has_no_password_and_says_which_server(tmp_path: Path) -> None:
    same = {
        database_identity(f"postgresql://ann{password}@db/main?{options}")
        for password in (":one", ":two")
        for options in ("", "connect_timeout=3")
    }
    assert len(same) == 1
    assert database_identity("postgresql:///m?host=/a") != database_identity(
        "postgresql:///m?host=/b"
    )
    path = tmp_path / "a b.db"
    assert database_identity(url_for("sqlite", path)) == database_identity(
        f"{url_for('sqlite', path)}?x=1"
    )


def test_a_store_without_transactions_opens_none(tmp_path: Path) -> None:
    with Workflows(url_for("json", tmp_path)) as engine:
        assert engine.database == ""
        assert engine.run(between, (url_for("json", tmp_path),)) is False


@pytest.mark.parametrize("queues", ["file", "sqlite"])
def test_a_run_is_started_from_a_message(tmp_path: Path, queues: str) -> None:
    root = tmp_path / "development"
    create(root)
    if queues == "sqlite":
        settings = {"queues": {"url": url_for("sqlite", root / ".holdfast" / "state.db")}}
        (root / "configs" / "holdfast.json").write_text(json.dumps(settings), encoding="utf-8")
    with open_workspace(root) as workspace:
        queue = workspace.queue("numbers")
        queue.put(7)
        (message,) = queue.take()
        assert workspace.start_from(message, nothing, message.body).result() == 7
        assert queue.depth(9) == 0
        assert workspace.workflows.get(f"nothing-{message.id}").result == 7

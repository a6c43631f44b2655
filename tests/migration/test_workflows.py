"""Workflow state between all engines that keep it."""

import json
from contextlib import closing

import pytest

from holdfast.engines.urls import parse_url
from holdfast.workflows import Workflows
from holdfast.workflows.stores import open_store
from tests.migration.conftest import Command, FreshUrl
from tests.migration.filled import LARGE, doubled, fill_workflows, migrated

ENGINES = ("json", "sqlite", "redis", "postgresql")


@pytest.mark.parametrize("target", ENGINES)
@pytest.mark.parametrize("source", ENGINES)
def test_runs_move_and_go_on(holdfast: Command, fresh: FreshUrl, source: str, target: str) -> None:
    old, new = fresh(source), fresh(target)
    fill_workflows(old)
    report = holdfast.migrate("workflows", old, new)
    assert report["healthy"]
    assert report["unchanged"]
    assert report["copied"]["counts"]["runs"] == 6
    assert report["copied"]["counts"]["results"] == 2
    with (
        closing(open_store(old, durability="process")) as before,
        closing(open_store(new, durability="process")) as after,
    ):
        assert after.list_runs() == before.list_runs()
        assert after.read_note("limit") == b'{"a":1}'
    with Workflows(new) as engine:
        assert engine.start(migrated, (1,), run_id="done").result() == LARGE + 2
        assert engine.resume("interrupted").result() == LARGE + 2
        assert [each.id for each in engine.steps("interrupted")][:1] == ["doubled-1"]
        engine.signal("waiting", "go", "now")
        assert engine.resume("waiting").result() == "6 now"
        newest = engine.start(migrated, (9,), run_id="later")
        newest.result()
        assert engine.list(limit=1)[0].id == "later"
        assert engine.prune(older_than=0) >= 4  # the newest may be of this millisecond
    assert doubled(1) == 2


def test_a_live_owner_is_refused(holdfast: Command, fresh: FreshUrl) -> None:
    old, new = fresh("sqlite"), fresh("json")
    with Workflows(old) as engine:
        engine.start(migrated, (1,), run_id="done").result()
        done = holdfast("migrate", "workflows", old, new)
        assert done.returncode == 4, done.stderr
        assert "runs are executed by process" in done.stderr
    holdfast.migrate("workflows", old, new)


def test_other_runs_in_the_target_are_refused(holdfast: Command, fresh: FreshUrl) -> None:
    old, new = fresh("sqlite"), fresh("json")
    fill_workflows(old)
    with Workflows(new) as engine:
        engine.start(migrated, (1,), run_id="mine").result()
    done = holdfast("migrate", "workflows", old, new)
    assert done.returncode == 4
    assert "another run, mine" in json.loads(done.stderr)["error"]["message"]


def test_a_run_that_went_on_in_the_target_is_refused(holdfast: Command, fresh: FreshUrl) -> None:
    old, new = fresh("sqlite"), fresh("json")
    fill_workflows(old)
    holdfast.migrate("workflows", old, new)
    with Workflows(new) as engine:
        engine.resume("interrupted").result()
    done = holdfast("migrate", "workflows", old, new)
    assert done.returncode == 4
    assert "another state of run interrupted" in done.stderr


def test_a_torn_document_is_refused_with_its_place(holdfast: Command, fresh: FreshUrl) -> None:
    old, new = fresh("json"), fresh("sqlite")
    fill_workflows(old)
    torn = parse_url(old).require_path() / "again.json"
    torn.write_bytes(torn.read_bytes()[:-40])
    done = holdfast("migrate", "workflows", old, new)
    assert done.returncode == 3, done.stderr
    assert "again.json" in done.stderr
    assert "line" in done.stderr

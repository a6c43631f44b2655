"""Events between all engines that keep them."""

import json
import sqlite3
from contextlib import closing
from pathlib import Path

import pytest

from holdfast.engines.urls import parse_url
from holdfast.events import EventLog
from tests.migration.conftest import Command, FreshUrl
from tests.migration.filled import fill_events

ENGINES = ("sqlite", "postgresql")


@pytest.mark.parametrize("target", ENGINES)
@pytest.mark.parametrize("source", ENGINES)
def test_a_log_moves(
    holdfast: Command, fresh: FreshUrl, tmp_path: Path, source: str, target: str
) -> None:
    old, new = fresh(source), fresh(target)
    fill_events(old, tmp_path)
    report = holdfast.migrate("events", old, new)
    assert report["healthy"]
    assert report["unchanged"]
    assert not report["resumed"]
    assert report["copied"] == report["before"]
    assert report["copied"]["counts"]["events"] == 15
    with EventLog(old) as before, EventLog(new) as after:
        assert list(after.read()) == list(before.read())
        assert after.subscriptions() == before.subscriptions() == {"mailer": 3}
        assert [one.stream for one in after.archives()] == ["old"]
        assert after.append("orders", "Placed", {"again": 1}, key="k3").position == 10
        assert after.append("orders", "Placed", {}) == before.append("orders", "Placed", {})
        assert after.unarchive("old") == 1
        assert after.position() == 17


def test_a_log_that_grew_goes_on(holdfast: Command, fresh: FreshUrl, tmp_path: Path) -> None:
    old, new = fresh("sqlite"), fresh("sqlite")
    fill_events(old, tmp_path)
    holdfast.migrate("events", old, new)
    with EventLog(old) as log:
        log.append("orders", "Late", 1)
    assert holdfast.migrate("events", old, new)["copied"]["counts"]["events"] == 16


def test_another_log_is_refused(holdfast: Command, fresh: FreshUrl, tmp_path: Path) -> None:
    old, new = fresh("sqlite"), fresh("sqlite")
    fill_events(old, tmp_path)
    with EventLog(new) as log:
        log.append("mine", "Placed", 1)
    done = holdfast("migrate", "events", old, new)
    assert done.returncode == 4
    assert "another event at position 1" in json.loads(done.stderr)["error"]["message"]
    with EventLog(new) as log:
        assert log.position() == 1


def test_a_torn_event_is_refused_with_its_place(
    holdfast: Command, fresh: FreshUrl, tmp_path: Path
) -> None:
    old, new = fresh("sqlite"), fresh("sqlite")
    fill_events(old, tmp_path)
    with closing(sqlite3.connect(parse_url(old).require_path())) as connection, connection:
        connection.execute("UPDATE events SET body = substr(body, 1, 9) WHERE position = 7")
    done = holdfast("migrate", "events", old, new)
    assert done.returncode == 3, done.stderr
    assert "event 7" in done.stderr


def test_a_source_that_changes_meanwhile_is_noticed(
    holdfast: Command, fresh: FreshUrl, tmp_path: Path
) -> None:
    from threading import Thread

    old, new = fresh("sqlite"), fresh("sqlite")
    fill_events(old, tmp_path)
    found = []
    migration = Thread(
        target=lambda: found.append(
            holdfast("migrate", "events", old, new, faults="migration.copied=pause:3")
        )
    )
    migration.start()
    with EventLog(new) as log, EventLog(old) as source:
        while log.position() < 16:
            migration.join(0.01)
        source.append("orders", "Late", 1)
    migration.join()
    assert found[0].returncode == 1
    report = json.loads(found[0].stdout)
    assert not report["healthy"]
    assert not report["unchanged"]
    assert report["after"]["counts"]["events"] == report["copied"]["counts"]["events"] + 1
    assert holdfast.migrate("events", old, new)["healthy"]


def test_a_dry_run_changes_nothing(holdfast: Command, fresh: FreshUrl, tmp_path: Path) -> None:
    old, new = fresh("sqlite"), fresh("sqlite")
    fill_events(old, tmp_path)
    planned = holdfast.migrate("events", old, new, "--dry-run")
    assert planned["holds"]["counts"]["events"] == 15
    assert planned["there"] is None
    assert not parse_url(new).require_path().exists()


def test_switching_over(holdfast: Command, fresh: FreshUrl, tmp_path: Path) -> None:
    old, new = fresh("sqlite"), fresh("sqlite")
    fill_events(old, tmp_path)
    assert holdfast.migrate("events", old, new, "--switch")["switched"]
    done = holdfast("events", "streams")
    assert [row["stream"] for row in json.loads(done.stdout)] == ["orders", "s0", "s1"]


@pytest.mark.parametrize(
    ("source", "target", "status"),
    [
        ("sqlite:////nowhere/state.db", "sqlite:////tmp/x.db", 2),
        ("json:////tmp/x", "sqlite:////tmp/x.db", 2),
        ("sqlite:////tmp/x.db", "sqlite:////tmp/x.db", 2),
    ],
)
def test_wrong_ends(holdfast: Command, source: str, target: str, status: int) -> None:
    assert holdfast("migrate", "events", source, target).returncode == status

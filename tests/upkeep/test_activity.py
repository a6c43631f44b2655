"""How busy a workspace was, hour by hour."""

import time
from functools import partial
from pathlib import Path

import msgspec

from holdfast.events import EventLog
from holdfast.facade import open_workspace
from holdfast.upkeep.activity import activity
from holdfast.workflows.records import Definition, RunBody, encode
from holdfast.workflows.store import RunRow
from holdfast.workflows.stores import open_store
from holdfast.workspace.creation import create

HOUR = 3600.0
HOURS_AGO = [30.5, 23.5, 5.5, 5.4, 0.5, 0.1]


def test_runs_and_events_are_counted_in_the_hour_they_began(tmp_path: Path) -> None:
    root = create(tmp_path / "development", home=tmp_path).layout.root
    now = time.time()
    with open_workspace(root) as workspace:
        settings = workspace.settings
        body = encode(RunBody(Definition("m", "w", "w.py"), msgspec.Raw(b"[]")))
        store = open_store(settings.workflows.url, durability="process")
        for number, hours in enumerate(HOURS_AGO):
            created = int((now - hours * HOUR) * 1000)
            store.create_run(RunRow(f"run-{number}", "w", "queued", created, body))
        store.close()
        for hours in HOURS_AGO:
            with EventLog(settings.events.url, clock=partial(float, now - hours * HOUR)) as log:
                log.append("s", "e")

        found = activity(workspace)
        expected = [0] * 24
        expected[0] = 1
        expected[24 - 6] = 2
        expected[23] = 2
        assert found.runs == expected
        assert found.events == expected


def test_a_workspace_where_nothing_happened_has_none(tmp_path: Path) -> None:
    root = create(tmp_path / "development", home=tmp_path).layout.root
    with open_workspace(root) as workspace:
        found = activity(workspace)
    assert found.runs == found.events == [0] * 24

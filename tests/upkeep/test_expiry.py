"""What was moved aside is deleted for good after its time, by the schedule or by hand."""

import json
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from holdfast.facade import Workspace, open_workspace
from holdfast.upkeep.cleaning import Plan
from holdfast.workspace.creation import create
from tests.conftest import Runner


@pytest.fixture
def workspace(tmp_path: Path) -> Iterator[Workspace]:
    create(tmp_path / "development", home=tmp_path)
    with open_workspace(tmp_path / "development") as opened:
        yield opened


def clean(workspace: Workspace, name: str, days_ago: float) -> Path:
    """Clean a cache away, as if it had been so long ago; where it is in quarantine."""
    cache = workspace.layout.root / "agents" / name / "__pycache__"
    cache.mkdir(parents=True)
    (cache / "main.pyc").write_bytes(b"x")
    (entry,) = Plan(workspace).apply().quarantined
    place = workspace.quarantine.root / entry
    note = json.loads((place / "entry.json").read_text(encoding="utf-8"))
    note["takenAt"] = (datetime.now(UTC) - timedelta(days=days_ago)).isoformat()
    (place / "entry.json").write_text(json.dumps(note), encoding="utf-8")
    return place


def test_the_schedule_deletes_what_is_past_its_time(workspace: Workspace, holdfast: Runner) -> None:
    old, young = clean(workspace, "a", 31), clean(workspace, "b", 29)
    done = holdfast("schedule", "run-due", "retention", cwd=workspace.layout.root)
    assert done.returncode == 0, done.stdout + done.stderr
    assert not old.exists()
    assert young.exists()


def test_the_time_can_be_set(workspace: Workspace, holdfast: Runner) -> None:
    root = workspace.layout.root
    old, young = clean(workspace, "a", 8), clean(workspace, "b", 6)
    assert holdfast("config", "set", "quarantine.keepDays", "7", cwd=root).returncode == 0
    shown = holdfast("quarantine", "empty", "--expired", "--dry-run", "--json", cwd=root)
    assert len(json.loads(shown.stdout)["items"]) == 1
    assert old.exists()
    assert holdfast("quarantine", "empty", "--expired", cwd=root).returncode == 4
    assert holdfast("quarantine", "empty", "--expired", "--yes", cwd=root).returncode == 0
    assert not old.exists()
    assert young.exists()

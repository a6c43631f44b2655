"""Budgets and free space: measured where asked for, kept, and warned about before the end."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from holdfast.errors import UsageError
from holdfast.facade import Workspace, open_workspace
from holdfast.upkeep.space import Budget, measure_space, space_of, take_note
from holdfast.upkeep.status import workspace_status
from holdfast.upkeep.usage import measure
from holdfast.workspace.creation import create
from holdfast.workspace.sizes import parse_size
from tests.conftest import Runner

_SIZE = 1_000_000


@pytest.fixture
def root(tmp_path: Path) -> Path:
    root = create(tmp_path / "development", home=tmp_path).layout.root
    (root / "shared" / "big").write_bytes(b"x" * _SIZE)
    return root


def choose(root: Path, space: dict[str, Any]) -> None:
    (root / "configs/holdfast.json").write_text(json.dumps({"space": space}), encoding="utf-8")


@pytest.fixture
def workspace(root: Path) -> Iterator[Workspace]:
    with open_workspace(root) as opened:
        yield opened


def states(budgets: list[Budget]) -> dict[str, str]:
    return {budget.folder: budget.state for budget in budgets}


def test_folders_are_measured_when_asked_and_remembered(root: Path) -> None:
    choose(root, {"budgets": {"shared": "1MB", "agents": "1MB", "absent": 5, "..": "1GB"}})
    with open_workspace(root) as workspace:
        before = space_of(workspace)
        assert set(states(before.budgets).values()) == {"unmeasured", "absent"}
        assert before.enough
        measured = measure_space(workspace)
        assert states(measured.budgets) == {
            "shared": "over",
            "agents": "ok",
            "absent": "absent",
            "..": "ok",
        }
        assert not measured.enough
        assert any("shared exceeds its budget" in warning for warning in measured.warnings)
    with open_workspace(root) as workspace:
        assert space_of(workspace).budgets == measured.budgets


def test_there_is_a_warning_before_the_budget_is_used_up(root: Path) -> None:
    choose(root, {"budgets": {"shared": int(_SIZE * 1.2)}, "warnAt": 0.8})
    with open_workspace(root) as workspace:
        there = measure_space(workspace)
        assert states(there.budgets) == {"shared": "near"}
        assert there.enough
        assert any("comes near its budget" in warning for warning in there.warnings)


def test_what_usage_measured_counts_too(root: Path) -> None:
    choose(root, {"budgets": {"shared": "5MB", ".": "100MB"}})
    with open_workspace(root) as workspace:
        usage = measure(root)
        there = take_note(workspace, usage)
        assert states(there.budgets) == {"shared": "ok", ".": "ok"}
        sizes = {folder.path: folder.size for folder in usage.folders}
        assert [budget.size for budget in there.budgets] == [sizes["shared"], sizes[""]]


def test_the_status_shows_it_and_looks_through_no_folder(root: Path) -> None:
    choose(root, {"budgets": {"shared": 1000}})
    with open_workspace(root) as workspace:
        assert "holdfast usage --check" in workspace_status(workspace).next
        measure_space(workspace)
        (root / "shared" / "big").unlink()
        status = workspace_status(workspace)
        assert not status.healthy
        assert states(status.space.budgets) == {"shared": "over"}  # as last measured
        assert "holdfast clean" in status.next


def test_a_disk_that_is_nearly_full_is_said_once(root: Path) -> None:
    choose(root, {"keepFree": "1000000TB"})
    with open_workspace(root) as workspace:
        there = space_of(workspace)
        assert not there.enough
        assert len({disk.path for disk in there.disks}) == len(there.disks) == len(there.warnings)
        assert "nearly full" in there.warnings[0]


def test_sizes_that_cannot_be_read_are_measured_again(root: Path) -> None:
    choose(root, {"budgets": {"shared": "5MB"}})
    with open_workspace(root) as workspace:
        measure_space(workspace)
        (workspace.layout.schedule / "sizes.json").write_bytes(b"{")
        assert states(space_of(workspace).budgets) == {"shared": "unmeasured"}
        assert states(measure_space(workspace).budgets) == {"shared": "ok"}


def test_the_check_ends_with_one_and_a_log_line(holdfast: Runner, root: Path) -> None:
    done = holdfast("config", "set", "space.budgets.shared", "1kB", cwd=root)
    assert done.returncode == 0, done.stderr
    done = holdfast("usage", "--check", "--json", cwd=root)
    assert done.returncode == 1
    assert json.loads(done.stdout)["budgets"][0]["state"] == "over"
    assert "shared exceeds its budget" in (root / "logs" / "upkeep.log").read_text("utf-8")
    shown = holdfast("status", cwd=root)
    assert shown.returncode == 1
    assert "shared exceeds its budget" in shown.stdout
    assert "shared of 1.0 kB" in holdfast("usage", cwd=root).stdout


def test_the_schedule_looks(holdfast: Runner, root: Path) -> None:
    holdfast("config", "set", "space.budgets.shared", "1kB", cwd=root)
    assert holdfast("schedule", "run-due", "space", cwd=root).returncode == 1
    listed = holdfast("schedule", "list", cwd=root)
    assert listed.returncode == 1
    assert "shared exceeds its budget" in listed.stdout + listed.stderr


@pytest.mark.parametrize(
    ("text", "size"),
    [("4096", 4096), ("10MB", 10**7), ("1.5g", 15 * 10**8), ("2 KiB", 2048), (7, 7), ("0", 0)],
)
def test_sizes_are_read(text: str | int, size: int) -> None:
    assert parse_size(text) == size


@pytest.mark.parametrize("text", ["", "MB", "-1", "1XB", "1e3", "many"])
def test_what_is_no_size_is_refused(text: str, holdfast: Runner, root: Path) -> None:
    with pytest.raises(UsageError):
        parse_size(text)
    if text not in ("", "-1"):
        done = holdfast("config", "set", "space.keepFree", text, cwd=root)
        assert done.returncode == 2
        assert "right form" in done.stderr

"""Where a setting comes from: defaults, home, workspace, environment, command line."""

import json
from pathlib import Path

import pytest

from holdfast.errors import UnreadableError, UsageError
from holdfast.workspace.creation import create
from holdfast.workspace.layers import keys_of, look_up, merge
from holdfast.workspace.layout import Layout
from holdfast.workspace.settings import SettingsDocument, defaults, read_settings


@pytest.fixture
def layout(tmp_path: Path) -> Layout:
    return create(tmp_path / "development", home=tmp_path).layout


def write(path: Path, data: object) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(data), encoding="utf-8")


def test_each_layer_overrides_those_before_it(
    layout: Layout, monkeypatch: pytest.MonkeyPatch
) -> None:
    def durability(*assignments: str) -> str:
        return read_settings(layout, assignments).queues.durability

    assert durability() == "process"
    write(layout.home / ".holdfast.json", {"queues": {"durability": "power"}})
    assert durability() == "power"
    write(layout.home / ".claude" / "holdfast.json", {"queues": {"durability": "process"}})
    assert durability() == "process"
    write(layout.settings, {"queues": {"durability": "power"}})
    assert durability() == "power"
    monkeypatch.setenv("HOLDFAST_QUEUES_DURABILITY", "process")
    assert durability() == "process"
    assert durability("queues.durability=power") == "power"


def test_a_layer_says_only_what_it_says(layout: Layout) -> None:
    write(layout.home / ".holdfast.json", {"queues": {"durability": "power"}})
    write(layout.settings, {"queues": {"url": "memory://"}})
    settings = read_settings(layout)
    assert (settings.queues.url, settings.queues.durability) == ("memory://", "power")


def test_a_wrong_value_is_laid_to_the_file_it_stands_in(layout: Layout) -> None:
    write(layout.home / ".holdfast.json", {"queues": {"durability": "power"}})
    layout.settings.write_text('{\n\n "queues": {"durability": "eternal"}}', encoding="utf-8")
    with pytest.raises(UnreadableError, match=r"eternal.*queues\.durability") as caught:
        read_settings(layout)
    assert (caught.value.path, caught.value.line) == (layout.settings, 3)


@pytest.mark.parametrize("text", ["queues.durability=eternal", "queues.durability", "quues.url=x"])
def test_a_wrong_assignment_is_refused(layout: Layout, text: str) -> None:
    with pytest.raises(UsageError, match=r"durability|sets nothing"):
        read_settings(layout, (text,))


def test_a_list_of_wrong_things_is_no_name_of_a_folder(layout: Layout) -> None:
    with pytest.raises(UsageError, match=r"backups cannot be '\[1, 2\]'"):
        read_settings(layout, ("backups=[1, 2]",))
    assert read_settings(layout, ("backups=2026",)).backups.name == "2026"


def test_a_wrong_environment_variable_is_refused(
    layout: Layout, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HOLDFAST_EVENTS_DURABILITY", "7")
    with pytest.raises(UsageError, match=r"events\.durability cannot be '7'"):
        read_settings(layout)


def test_marks_of_editors_mean_nothing(layout: Layout) -> None:
    write(
        layout.settings, {"$schema": "./s.json", "queues": {"$comment": "why", "url": "memory://"}}
    )
    assert read_settings(layout).queues.url == "memory://"


def test_every_setting_has_a_default_and_a_meaning(layout: Layout) -> None:
    keys = list(keys_of(SettingsDocument))
    assert [key.name for key in keys if look_up(defaults(layout), key.path) is None] == []
    assert [key.name for key in keys if not key.meaning] == []
    assert len({key.variable for key in keys}) == len(keys)


def test_merging_goes_into_objects_only() -> None:
    weaker = {"a": {"b": 1, "c": [1]}, "d": {"e": 1}}
    stronger = {"a": {"c": [2]}, "d": 5}
    assert merge(weaker, stronger) == {"a": {"b": 1, "c": [2]}, "d": 5}

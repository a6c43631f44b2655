"""Which engine keeps what: the defaults of a workspace, and what configs/holdfast.json changes."""

from pathlib import Path

import pytest

from holdfast.engines.urls import parse_url
from holdfast.errors import UnreadableError, UsageError
from holdfast.workspace.creation import create
from holdfast.workspace.layout import Layout
from holdfast.workspace.settings import read_settings


@pytest.fixture
def layout(tmp_path: Path) -> Layout:
    return create(tmp_path / "development", home=tmp_path).layout


def test_defaults_of_a_workspace(layout: Layout) -> None:
    settings = read_settings(layout)
    assert parse_url(settings.workflows.url).path == layout.database
    assert parse_url(settings.queues.url).path == layout.queues
    assert settings.backups == layout.home / "backups" / "development"


def test_the_file_changes_only_what_it_names(layout: Layout) -> None:
    layout.settings.write_text(
        '{"queues": {"url": "memory://", "durability": "power"}, "backups": "../elsewhere"}',
        encoding="utf-8",
    )
    settings = read_settings(layout)
    assert settings.queues.url == "memory://"
    assert settings.queues.durability == "power"
    assert settings.backups.resolve() == (layout.home / "elsewhere").resolve()
    assert parse_url(settings.workflows.url).scheme == "sqlite"


def test_wrong_settings_are_refused_with_their_place(layout: Layout) -> None:
    layout.settings.write_text('{\n "queues": {"url": 5}\n}', encoding="utf-8")
    with pytest.raises(UnreadableError, match=r"line 2, column 13.*queues\.url"):
        read_settings(layout)
    layout.settings.write_text('{"queues": {"url": "mysql://x"}}', encoding="utf-8")
    with pytest.raises(UsageError, match="no engine for the URL"):
        read_settings(layout)

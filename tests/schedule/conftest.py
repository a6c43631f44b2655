"""A workspace with a schedule of its own."""

import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from holdfast.facade import Workspace, open_workspace
from holdfast.schedule.jobs import DEFAULT_JOBS
from holdfast.workspace.creation import create

Chosen = Callable[..., Workspace]


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """A workspace below a home."""
    return create(tmp_path / "home" / "development", home=tmp_path / "home").layout.root


@pytest.fixture
def scheduled(root: Path) -> Iterator[Chosen]:
    """Open the workspace with only these jobs: ``scheduled(tidy={"when": …, "run": […]})``."""
    opened: list[Workspace] = []

    def choose(**jobs: Any) -> Workspace:
        off = {name: {"enabled": False} for name in DEFAULT_JOBS if name not in jobs}
        text = json.dumps({"schedule": {**off, **jobs}})
        (root / "configs" / "holdfast.json").write_text(text, encoding="utf-8")
        opened.append(open_workspace(root))
        return opened[-1]

    yield choose
    for each in opened:
        each.close()

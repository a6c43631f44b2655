"""The engines of workflow state by name, and fresh stores of them."""

from pathlib import Path

import pytest

from holdfast.engines.urls import url_for

EMBEDDED = ("memory", "json", "sqlite")
"""Those that need no server."""

LASTING = ("json", "sqlite", "redis", "postgresql")
"""Those whose content outlives the process."""


def embedded_url(name: str, folder: Path) -> str:
    """The URL of one of `EMBEDDED` with its content in `folder`."""
    return "memory://" if name == "memory" else url_for(name, folder / "state")


def fresh_url(name: str, folder: Path, request: pytest.FixtureRequest) -> str:
    """The URL of a fresh store of any engine; those on a server are of the shared one."""
    if name in EMBEDDED:
        return embedded_url(name, folder)
    return str(request.getfixturevalue("redis_url" if name == "redis" else "postgres_url"))

"""The engines on this machine that need no server, by name."""

from pathlib import Path

from holdfast.engines.urls import url_for

EMBEDDED = ("memory", "json", "sqlite")


def embedded_url(name: str, folder: Path) -> str:
    """The URL of one of `EMBEDDED` with its content in `folder`."""
    return "memory://" if name == "memory" else url_for(name, folder / "state")

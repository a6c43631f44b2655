"""What every scheduler is told: what to run, how often, and under which name."""

import re
from dataclasses import dataclass, field
from pathlib import Path

from holdfast.schedule.pythons import windowless
from holdfast.workspace.layout import Layout

EVERY_MINUTES = 15
"""How often run-due is called: it then runs what became due since."""


@dataclass(frozen=True)
class Entry:
    """The registration of one workspace: a name for its files, and the line to be run."""

    name: str
    title: str
    arguments: tuple[str, ...]
    folder: Path


@dataclass(frozen=True)
class Command:
    """A program to run, with what it reads."""

    arguments: tuple[str, ...]
    stdin: str | None = None


@dataclass(frozen=True)
class Plan:
    """Files to write, then commands to run; to take it out, commands, then files to remove."""

    system: str
    files: dict[Path, bytes] = field(default_factory=dict)
    enable: tuple[Command, ...] = ()
    disable: tuple[Command, ...] = ()


def entry_of(layout: Layout) -> Entry:
    """The entry of the workspace at `layout`."""
    safe = re.sub(r"[^A-Za-z0-9_-]+", "-", layout.name).strip("-") or "workspace"
    return Entry(
        f"holdfast-{safe}-{layout.id[:8]}",
        f"Holdfast: keep the schedule of {layout.root}",
        (windowless(), "-P", "-m", "holdfast", "schedule", "run-due", "-w", str(layout.root)),
        layout.root,
    )

"""The settings of a workspace: which engine keeps what, and where backups go.

They are read from ``configs/holdfast.json``; without the file the defaults below hold.
"""

from pathlib import Path

import msgspec

from holdfast.durable.documents import convert, read_document
from holdfast.durable.files import Durability
from holdfast.engines.urls import parse_url, url_for
from holdfast.errors import NotFoundError
from holdfast.workspace.layout import Layout


class Store(msgspec.Struct, frozen=True):
    """Where one store lives: its engine URL, and the durability of a write."""

    url: str
    durability: Durability = "process"


class Undo(msgspec.Struct, frozen=True, rename="camel", forbid_unknown_fields=True):
    """How long undo points are kept, and how many snapshots for those of agents' tools."""

    keep_days: float = 30
    keep_snapshots: int = 200


class Job(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """One job of the schedule, or what differs from the default one of that name.

    `when` is five cron fields (local time) or ``change`` (of a file in configs/); `run` are lists
    of arguments of ``holdfast``, run one after the other until one fails.
    """

    when: str | None = None
    run: tuple[tuple[str, ...], ...] | None = None
    enabled: bool | None = None


class Settings(msgspec.Struct, frozen=True):
    """Everything that can be set for a workspace; `backups` is the folder of its vault."""

    workflows: Store
    queues: Store
    events: Store
    backups: Path
    undo: Undo = Undo()
    schedule: dict[str, Job] = {}


class _SettingsFile(msgspec.Struct, frozen=True, rename="camel"):
    """``configs/holdfast.json`` as people write it; what is left out has its default."""

    format_version: int = 1
    workflows: Store | None = None
    queues: Store | None = None
    events: Store | None = None
    backups: str | None = None
    undo: Undo = Undo()
    schedule: dict[str, Job] = {}


def read_settings(layout: Layout) -> Settings:
    """The settings of the workspace. Raises `UnreadableError`, `UsageError` for an unknown URL."""
    try:
        chosen = convert(read_document(layout.settings), _SettingsFile)
    except NotFoundError:
        chosen = _SettingsFile()
    settings = Settings(
        workflows=chosen.workflows or Store(url_for("sqlite", layout.database)),
        queues=chosen.queues or Store(url_for("file", layout.queues)),
        events=chosen.events or Store(url_for("sqlite", layout.database)),
        backups=layout.root / chosen.backups if chosen.backups else layout.backups,
        undo=chosen.undo,
        schedule=chosen.schedule,
    )
    for store in (settings.workflows, settings.queues, settings.events):
        parse_url(store.url)
    return settings

"""The settings of a workspace: every one of them, with its type, its meaning and its default.

This is the one place that declares them: `config show`, the JSON Schema and the reference are made
from it. Where values come from is `holdfast.workspace.layers`.
"""

import os
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Any, Literal

import msgspec
from msgspec import Meta

from holdfast.durable.files import Durability
from holdfast.durable.names import check_identifier
from holdfast.engines.urls import parse_url, url_for
from holdfast.errors import NotFoundError, UsageError
from holdfast.workspace.layers import Layer, convert_layers, read_layers
from holdfast.workspace.layout import Layout
from holdfast.workspace.sizes import PATTERN


class Store(msgspec.Struct, frozen=True):
    """Where one store lives: its engine URL, and the durability of a write."""

    url: Annotated[str, Meta(description="The engine, as a URL.")]
    durability: Annotated[
        Durability,
        Meta(description="What an acknowledged write survives: kill -9, or a power cut as well."),
    ] = "process"


BackupKind = Literal["snapshot", "archive", "copy"]


class Destination(msgspec.Struct, frozen=True, kw_only=True):
    """Where backups go: a folder, and how they are kept there.

    `recipients` (age public keys) or a passphrase encrypt them. The private key to read them is
    looked for in `identity` (a file) and in the system's keyring under the name `keyring`.
    `elsewhere` is what the person says: that the folder is not in this house. `declared` tells
    whether the settings name it; else it is the default.
    """

    name: str
    folder: Path
    kind: BackupKind = "snapshot"
    recipients: tuple[str, ...] = ()
    passphrase: bool = False
    passphrase_file: Path | None = None
    identity: Path | None = None
    keyring: str | None = None
    elsewhere: bool = False
    declared: bool = True


class Undo(msgspec.Struct, frozen=True, rename="camel"):
    """How long undo points are kept, and how many snapshots for those of agents' tools."""

    keep_days: Annotated[float, Meta(description="How many days undo points are kept.")] = 30
    keep_snapshots: Annotated[
        int, Meta(description="How many snapshots for the points of agents' tools are kept.")
    ] = 200


class QuarantineKeeps(msgspec.Struct, frozen=True, rename="camel"):
    """How long what was moved aside is kept."""

    keep_days: Annotated[
        float,
        Meta(ge=0, description="After how many days what was moved aside is deleted for good."),
    ] = 30


Size = int | Annotated[str, Meta(pattern=PATTERN)]
"""Bytes, or a text such as ``2GB``."""


class Space(msgspec.Struct, frozen=True, rename="camel"):
    """How much room folders may take, and how much each disk keeps free."""

    budgets: Annotated[
        dict[str, Size],
        Meta(
            description="Folders, absolute or from the workspace, and the most that each may hold,"
            ' as in {"logs": "2GB"}.'
        ),
    ] = {}
    warn_at: Annotated[
        float,
        Meta(gt=0, le=1, description="The part of a budget at which warnings begin."),
    ] = 0.9
    keep_free: Annotated[
        Size, Meta(description="There is a warning when a disk has less free than this.")
    ] = "1GB"


class Job(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """One job of the schedule, or what differs from the default one of that name."""

    when: Annotated[
        str | None,
        Meta(description="Five cron fields (local time), or change: of a file in configs/."),
    ] = None
    run: Annotated[
        tuple[tuple[str, ...], ...] | None,
        Meta(
            description="Lists of arguments of holdfast, run one after the other until one fails."
        ),
    ] = None
    enabled: Annotated[bool | None, Meta(description="Whether it is run at all.")] = None


class Settings(msgspec.Struct, frozen=True):
    """Everything that can be set for a workspace; `destinations` are those of its backups."""

    workflows: Store
    queues: Store
    events: Store
    destinations: tuple[Destination, ...]
    undo: Undo
    quarantine: QuarantineKeeps
    space: Space
    schedule: dict[str, Job]

    @property
    def vault(self) -> Destination:
        """The first destination of snapshots: where one looks when none is named.

        Raises `UsageError` when snapshots go nowhere.
        """
        for destination in self.destinations:
            if destination.kind == "snapshot":
                return destination
        hint = "add one with: holdfast backup destinations add NAME FOLDER"
        raise UsageError("no destination takes snapshots", hint=hint)

    @property
    def backups(self) -> Path:
        """The folder of the vault. Raises `UsageError` when snapshots go nowhere."""
        return self.vault.folder

    def destination(self, name: str | None) -> Destination:
        """The destination called `name`, or the vault's. Raises `NotFoundError`."""
        if name is None:
            return self.vault
        for destination in self.destinations:
            if destination.name == name:
                return destination
        known = ", ".join(each.name for each in self.destinations)
        raise NotFoundError(f"no destination {name!r} (known: {known})")


class DestinationEntry(msgspec.Struct, frozen=True, rename="camel", omit_defaults=True):
    """A destination as people write it; paths are relative to the workspace."""

    folder: Annotated[str, Meta(description="Where the backups are kept.")]
    name: Annotated[
        str, Meta(description="What commands call it; else backups, and from the second backups-2.")
    ] = ""
    kind: Annotated[
        BackupKind, Meta(description="Deduplicated snapshots, compressed files, or plain folders.")
    ] = "snapshot"
    recipients: Annotated[
        tuple[str, ...], Meta(description="The age public keys that backups are encrypted for.")
    ] = ()
    passphrase: Annotated[
        bool, Meta(description="Whether a passphrase encrypts them; it is asked for.")
    ] = False
    passphrase_file: Annotated[
        str | None, Meta(description="The file that holds the passphrase.")
    ] = None
    identity: Annotated[
        str | None, Meta(description="The file of the private key that reads them.")
    ] = None
    keyring: Annotated[
        str | None, Meta(description="The private key's name in the system's keyring.")
    ] = None
    elsewhere: Annotated[
        bool, Meta(description="Whether the folder is kept outside of this house.")
    ] = False


class SettingsDocument(msgspec.Struct, frozen=True, rename="camel"):
    """``configs/holdfast.json``, and its siblings in the home; any key may be left out."""

    workflows: Annotated[Store, Meta(description="Where runs and their steps are kept.")]
    queues: Annotated[Store, Meta(description="Where messages are kept.")]
    events: Annotated[Store, Meta(description="Where streams of events are kept.")]
    backups: Annotated[
        str | DestinationEntry | list[str | DestinationEntry],
        Meta(description="Where backups go: a folder, or one or more destinations."),
    ]
    undo: Annotated[Undo, Meta(description="How long undo points are kept.")]
    quarantine: Annotated[
        QuarantineKeeps, Meta(description="How long what was moved aside is kept.")
    ]
    space: Annotated[Space, Meta(description="How much room there is for what.")]
    schedule: Annotated[
        dict[str, Job], Meta(description="Jobs by name, or what differs from the default ones.")
    ]
    format_version: Annotated[int, Meta(description="The version of this format.")] = 1


def defaults(layout: Layout) -> dict[str, Any]:
    """What holds where nothing else is said, as a document."""
    return {
        "workflows": {"url": url_for("sqlite", layout.database), "durability": "process"},
        "queues": {"url": url_for("file", layout.queues), "durability": "process"},
        "events": {"url": url_for("sqlite", layout.database), "durability": "process"},
        "backups": str(layout.backups),
        "undo": {"keepDays": 30, "keepSnapshots": 200},
        "quarantine": {"keepDays": 30},
        "space": {"budgets": {}, "warnAt": 0.9, "keepFree": "1GB"},
        "schedule": {},
    }


def settings_layers(layout: Layout, assignments: Sequence[str] = ()) -> list[Layer]:
    """Where values come from, the weakest first; `assignments` are those of this call.

    Raises `UnreadableError`, `UsageError`.
    """
    return read_layers(layout, SettingsDocument, defaults(layout), assignments)


def read_settings(layout: Layout, assignments: Sequence[str] = ()) -> Settings:
    """The settings of the workspace. Raises `UnreadableError`, `UsageError` for an unknown URL."""
    layers = settings_layers(layout, assignments)
    chosen = convert_layers(layers, SettingsDocument)
    for store in (chosen.workflows, chosen.queues, chosen.events):
        parse_url(store.url)
    return Settings(
        workflows=chosen.workflows,
        queues=chosen.queues,
        events=chosen.events,
        destinations=_destinations(layout, layers, chosen),
        undo=chosen.undo,
        quarantine=chosen.quarantine,
        space=chosen.space,
        schedule=chosen.schedule,
    )


def _destinations(
    layout: Layout, layers: list[Layer], chosen: SettingsDocument
) -> tuple[Destination, ...]:
    if not any("backups" in layer.data for layer in layers[1:]):
        return (Destination(name="backups", folder=layout.backups, declared=False),)
    written = chosen.backups
    entries = written if isinstance(written, list) else [written]
    found = tuple(_destination(layout, entry, n) for n, entry in enumerate(entries, start=1))
    names = [each.name for each in found]
    if len(set(names)) < len(names):
        raise UsageError("two destinations have one name", path=layout.settings)
    return found


def _destination(layout: Layout, entry: str | DestinationEntry, number: int) -> Destination:
    if isinstance(entry, str):
        entry = DestinationEntry(folder=entry)
    name = entry.name or ("backups" if number == 1 else f"backups-{number}")
    return Destination(
        name=check_identifier(name, "destination's name"),
        folder=_place(layout, entry.folder),
        kind=entry.kind,
        recipients=entry.recipients,
        passphrase=entry.passphrase or entry.passphrase_file is not None,
        passphrase_file=_place(layout, entry.passphrase_file) if entry.passphrase_file else None,
        identity=_place(layout, entry.identity) if entry.identity else None,
        keyring=entry.keyring,
        elsewhere=entry.elsewhere,
    )


def _place(layout: Layout, written: str) -> Path:
    return Path(os.path.normpath(layout.root / Path(written).expanduser()))

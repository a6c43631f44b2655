"""The settings of a workspace: which engine keeps what, and where backups go.

They are read from ``configs/holdfast.json``; without the file the defaults below hold.
"""

import os
from pathlib import Path
from typing import Literal

import msgspec

from holdfast.durable.documents import convert, read_document
from holdfast.durable.files import Durability
from holdfast.durable.names import check_identifier
from holdfast.engines.urls import parse_url, url_for
from holdfast.errors import NotFoundError, UsageError
from holdfast.workspace.layout import Layout


class Store(msgspec.Struct, frozen=True):
    """Where one store lives: its engine URL, and the durability of a write."""

    url: str
    durability: Durability = "process"


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


class Settings(msgspec.Struct, frozen=True):
    """Everything that can be set for a workspace; `destinations` are those of its backups."""

    workflows: Store
    queues: Store
    events: Store
    destinations: tuple[Destination, ...]

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

    folder: str
    name: str = ""
    kind: BackupKind = "snapshot"
    recipients: tuple[str, ...] = ()
    passphrase: bool = False
    passphrase_file: str | None = None
    identity: str | None = None
    keyring: str | None = None
    elsewhere: bool = False


class _SettingsFile(msgspec.Struct, frozen=True, rename="camel"):
    """``configs/holdfast.json`` as people write it; what is left out has its default."""

    format_version: int = 1
    workflows: Store | None = None
    queues: Store | None = None
    events: Store | None = None
    backups: str | DestinationEntry | list[str | DestinationEntry] | None = None


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
        destinations=_destinations(layout, chosen),
    )
    for store in (settings.workflows, settings.queues, settings.events):
        parse_url(store.url)
    return settings


def _destinations(layout: Layout, chosen: _SettingsFile) -> tuple[Destination, ...]:
    written = chosen.backups
    if not written:
        return (Destination(name="backups", folder=layout.backups, declared=False),)
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

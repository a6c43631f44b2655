"""Changing the destinations in ``configs/holdfast.json``; every other key stays as it is."""

import os
from collections.abc import Callable
from typing import Any

import msgspec

from holdfast.durable.documents import read_document, write_document
from holdfast.durable.files import make_folder
from holdfast.durable.locks import Lock
from holdfast.errors import ConflictError, NotFoundError
from holdfast.workspace.layout import Layout
from holdfast.workspace.settings import DestinationEntry, read_settings

Change = Callable[[list[dict[str, Any]]], None]


def add_destination(layout: Layout, entry: DestinationEntry) -> None:
    """Add a destination. Raises `ConflictError` when its name is taken, `UnreadableError`."""

    def change(entries: list[dict[str, Any]]) -> None:
        if any(each["name"] == entry.name for each in entries):
            raise ConflictError(f"there is a destination {entry.name!r} already")
        entries.append(msgspec.to_builtins(entry))

    _change(layout, change)


def remove_destination(layout: Layout, name: str) -> None:
    """Take a destination out of the settings; what it holds stays. Raises `NotFoundError`."""

    def change(entries: list[dict[str, Any]]) -> None:
        entries.remove(_named(entries, name))

    _change(layout, change)


def set_recipients(layout: Layout, name: str, recipients: list[str]) -> None:
    """Name the recipients of a destination. Raises `NotFoundError`."""

    def change(entries: list[dict[str, Any]]) -> None:
        _named(entries, name)["recipients"] = recipients

    _change(layout, change)


def _named(entries: list[dict[str, Any]], name: str) -> dict[str, Any]:
    for entry in entries:
        if entry["name"] == name:
            return entry
    raise NotFoundError(f"no destination {name!r} in the settings")


def _change(layout: Layout, change: Change) -> None:
    make_folder(layout.locks)
    with Lock(layout.locks / "settings.lock", purpose="change the settings"):
        settings = read_settings(layout)
        try:
            document = read_document(layout.settings).data
        except NotFoundError:
            document = {"formatVersion": 1}
        written = document.get("backups")
        entries = written if isinstance(written, list) else [written]
        made = []
        for entry, destination in zip(entries, settings.destinations, strict=True):
            if not entry:
                folder = os.path.relpath(destination.folder, layout.root)
                made.append({"name": destination.name, "folder": folder.replace(os.sep, "/")})
            else:
                entry = {"folder": entry} if isinstance(entry, str) else entry
                made.append({**entry, "name": destination.name})
        change(made)
        write_document(layout.settings, {**document, "backups": made or None})

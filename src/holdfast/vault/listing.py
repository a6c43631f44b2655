"""What destinations and snapshots hold, as plain data ready for JSON."""

from typing import Any

import msgspec

from holdfast.errors import NotFoundError
from holdfast.vault.coverage import shown
from holdfast.vault.entries import Entry, Header, printable
from holdfast.vault.naming import kept_backups
from holdfast.vault.sites import Site
from holdfast.vault.vault import Vault


def backups_of(site: Site) -> list[dict[str, Any]]:
    """What a destination holds, oldest first; nothing before the first backup.

    Raises `NotFoundError` when its medium is away, `UnreadableError`, `StorageError`.
    """
    about = {"destination": site.name, "kind": site.destination.kind}
    if site.destination.kind != "snapshot":
        if site.is_absent():
            site.prepare_folder()  # says why
        return [
            {**about, "id": path.name, "path": str(path), "startedAt": moment.isoformat()}
            for path, moment in kept_backups(site.folder, site.destination.kind)
        ]
    try:
        vault = Vault(site.open())
    except NotFoundError:
        return []
    return [{**msgspec.to_builtins(info), **about} for info in vault.snapshots()]


def entry_document(entry: Entry, header: Header) -> dict[str, Any]:
    """One path of a snapshot, named as people name it."""
    document: dict[str, Any] = msgspec.to_builtins(entry)
    document["path"] = shown(entry, header.roots)
    if entry.target is not None:
        document["target"] = printable(entry.target)
    return document

"""Taking the servers of a client, or of a file, into the registry."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import msgspec

from holdfast.claude.masking import literal_secrets
from holdfast.errors import NotFoundError, UsageError
from holdfast.registry.clients.blocks import ServerBlock, blocks_of
from holdfast.registry.server_entries import (
    CLIENTS,
    OWN_KEYS,
    check_server_name,
    new_server_entry,
    type_of,
)
from holdfast.registry.servers import ServerRegistry
from holdfast.workspace.layout import Layout


class ImportReport(msgspec.Struct, frozen=True, rename="camel"):
    """What an import found, by server name, and did.

    `different` are registered already with other settings, and stay so unless they are replaced.
    `notes` are about what could not be taken, and about literal secrets.
    """

    sources: list[str]
    added: list[str]
    replaced: list[str]
    unchanged: list[str]
    different: list[str]
    notes: list[str]


def import_servers(
    registry: ServerRegistry,
    layout: Layout,
    source: str | None = None,
    *,
    group: str = "production",
    replace: bool = False,
    dry_run: bool = False,
) -> ImportReport:
    """Register the servers of `source`: ``code``, ``desktop``, a file, or (None) both clients.

    Where a name stands in several scopes, the strongest counts, as for the client. Raises
    `UnreadableError` when a file cannot be read, `NotFoundError` for a file that is not there.
    """
    blocks = list(_blocks(source, layout))
    present = {server.id: server for server in registry.list()}
    report = ImportReport([], [], [], [], [], [])
    entries: dict[str, dict[str, Any]] = {}
    seen: dict[str, ServerBlock] = {}
    spelt = {name.casefold(): name for name in present}
    for block in blocks:
        servers = block.read()
        if servers:
            report.sources.append(f"{block.path} ({block.scope})")
        for name, settings in servers.items():
            if name in seen:
                report.notes.append(f"{name}: also in the {block.scope} scope, which is weaker")
                continue
            seen[name] = block
            twin = spelt.setdefault(name.casefold(), name)
            if twin != name:
                report.notes.append(f"{name}: not taken: {twin} differs from it in case only")
                continue
            entry = _entry(name, settings, report)
            if entry is None:
                continue
            known = present.get(name)
            if known is None:
                report.added.append(name)
                entries[name] = entry
            elif _same(known.settings, entry):
                report.unchanged.append(name)
            elif replace:
                report.replaced.append(name)
                entries[name] = entry
            else:
                report.different.append(name)
    if entries and not dry_run:
        registry.add_many(entries, group=group, replace=replace)
    return report


def _blocks(source: str | None, layout: Layout) -> Iterator[ServerBlock]:
    if source is None:
        for client in CLIENTS:
            yield from blocks_of(client, layout)
    elif source in CLIENTS:
        yield from blocks_of(source, layout)
    else:
        path = Path(source)
        if not path.is_file():
            hint = f"name a file, or one of {', '.join(CLIENTS)}"
            raise NotFoundError("there is no such file", path=path, hint=hint)
        yield ServerBlock("file", "file", path, "none")


def _entry(name: str, settings: Any, report: ImportReport) -> dict[str, Any] | None:
    """The entry that a client's settings make; what is wrong with them is noted."""
    try:
        if not isinstance(settings, dict):
            raise UsageError("its settings are no object")
        check_server_name(name)
        foreign = {key: value for key, value in settings.items() if key not in OWN_KEYS}
        entry = new_server_entry(foreign)
    except UsageError as error:
        report.notes.append(f"{name}: not taken: {error.message}")
        return None
    for keys in literal_secrets(entry):
        place = ".".join(keys)
        report.notes.append(f"{name}: {place} is a literal secret; write a reference (${{…}})")
    return entry


def _same(settings: dict[str, Any], entry: dict[str, Any]) -> bool:
    def essence(each: dict[str, Any]) -> dict[str, Any]:
        return {key: value for key, value in each.items() if value not in ({}, [], None)}

    return essence({"type": type_of(settings), **settings}) == essence(entry)

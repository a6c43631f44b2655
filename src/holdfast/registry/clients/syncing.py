"""Writing the registry's servers into the clients' files, key by key."""

import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import msgspec

from holdfast.claude.former_versions import FormerVersions
from holdfast.claude.guest_file import Difference, Edit
from holdfast.claude.places import claude_places
from holdfast.claude.splicing import Change, Put, Remove
from holdfast.durable.documents import write_document
from holdfast.durable.faults import fault_point
from holdfast.durable.locks import Lock
from holdfast.errors import ConflictError, UsageError
from holdfast.registry.clients.blocks import Scope, ServerBlock, block_for_scope, blocks_of
from holdfast.registry.clients.memory import (
    Memory,
    Servers,
    digests_of,
    read_memory,
    settings_digest,
    write_memory,
)
from holdfast.registry.clients.rendering import rendered, why_not
from holdfast.registry.server_entries import CLIENTS, Server
from holdfast.registry.servers import ServerRegistry
from holdfast.workspace.layout import Layout

_MANAGED = ("type", "command", "args", "env", "url", "headers")
_SETTLING = 0.3  # seconds after which a writer that knew only the old file has written
_ATTEMPTS = 4
_SYNCED = "synced"


class SyncedFile(msgspec.Struct, frozen=True, rename="camel"):
    """What a sync does to one file: the differences by key, and what is noteworthy.

    `former_version` is the number under which the bytes before it are kept, if any were.
    """

    client: str
    scope: Scope
    path: str
    differences: list[Difference]
    notes: list[str]
    former_version: int | None = None


class SyncReport(msgspec.Struct, frozen=True, rename="camel"):
    """What a sync does, file by file; `generated` are the files in ``configs/mcp/``."""

    dry_run: bool
    files: list[SyncedFile]
    generated: list[str]


def sync_servers(
    registry: ServerRegistry,
    layout: Layout,
    to: str | None = None,
    *,
    scope: Scope = "user",
    dry_run: bool = False,
) -> SyncReport:
    """Bring the clients' files up to date with the registry.

    `to` is ``code`` or ``desktop``; None means both, Desktop only if it is installed. `scope`
    chooses Claude Code's block. Servers that nobody registered stay; those that an earlier sync
    wrote, and are registered no more, go, unless somebody changed them since. The bytes before
    each change are kept.

    Raises `UnreadableError` before anything is written when a file cannot be read; `BusyError`,
    `ConflictError`, `StorageError`; then the files before it in the report are written.
    """
    if to is not None and to not in CLIENTS:
        raise UsageError(f"unknown client {to!r}", hint=f"known: {', '.join(CLIENTS)}")
    servers = registry.list()
    blocks = list(_targets(to, scope, layout))
    sync = _Sync(servers, layout)
    planned = [sync.plan(block) for block in blocks]
    if dry_run:
        return SyncReport(True, planned, [])
    with Lock(layout.locks / "guests.lock", purpose="sync the clients", timeout=60.0):
        sync.memory = read_memory(guests_folder(layout), _SYNCED)
        done = [sync.write(block) for block in blocks]
    return SyncReport(False, done, list(_generate(servers, layout)))


def guests_folder(layout: Layout) -> Path:
    """Where Holdfast keeps what it knows of the clients' files."""
    return layout.state / "guests"


def former_versions(layout: Layout, path: Path) -> FormerVersions:
    """The kept former versions of a client's file."""
    return FormerVersions(layout.generations / "guests", path)


def vanished(layout: Layout) -> dict[Path, list[str]]:
    """Servers that a sync wrote and that somebody took away or overwrote since, by file.

    Raises `UnreadableError`.
    """
    memory = read_memory(guests_folder(layout), _SYNCED)
    lost: dict[Path, list[str]] = {}
    for client in CLIENTS:
        for block in blocks_of(client, layout):
            present = block.read()
            names = [name for name in memory.servers(block.path, block.keys) if name not in present]
            if names:
                lost.setdefault(block.path, []).extend(names)
    return lost


def _targets(to: str | None, scope: Scope, layout: Layout) -> Iterator[ServerBlock]:
    if to in (None, "code"):
        yield block_for_scope(scope, layout)
    if to == "desktop":
        yield from blocks_of("desktop", layout)
    elif to is None:
        paths = claude_places(layout.home).desktop_configs()
        installed = {path for path in paths if path.parent.is_dir()}
        yield from (each for each in blocks_of("desktop", layout) if each.path in installed)


class _Sync:
    def __init__(self, servers: list[Server], layout: Layout) -> None:
        self.servers = servers
        self.layout = layout
        self.memory: Memory = read_memory(guests_folder(layout), _SYNCED)

    def plan(self, block: ServerBlock) -> SyncedFile:
        edit = block.file.plan(list(self._changes(block, block.read())))
        return SyncedFile(
            block.client,
            block.scope,
            str(block.path),
            [*edit.differences],
            list(self._notes(block)),
        )

    def write(self, block: ServerBlock) -> SyncedFile:
        kept: list[int] = []

        def keep(edit: Edit) -> None:
            if edit.before is not None:
                kept.append(former_versions(self.layout, block.path).add(edit.before).number)

        def changes(before: bytes | None) -> list[Change]:
            present = {} if before is None else block.in_content(before)
            return list(self._changes(block, present))

        notes = list(self._notes(block))
        wanted = digests_of(_wanted(self.servers, block.client, self.layout.root))
        known = self.memory.servers(block.path, block.keys)
        self._remember(block, {**wanted, **known})  # a crash in between leaves nothing unknown
        edit = block.file.edit(changes, keep=keep)
        fault_point("sync.written")
        if block.lock == "none" and edit.changed:
            self._insist(block, changes, notes)
        self._remember(block, wanted)
        former = kept[-1] if kept else None
        return SyncedFile(
            block.client, block.scope, str(block.path), [*edit.differences], notes, former
        )

    def _insist(self, block: ServerBlock, changes: Any, notes: list[str]) -> None:
        """Write again what a program without a lock, that had read before us, overwrote."""
        for _ in range(_ATTEMPTS):
            time.sleep(_SETTLING)
            if not block.file.edit(changes).changed:
                return
            notes.append("another program overwrote the file meanwhile; written again")
        raise ConflictError("another program keeps overwriting the file", path=block.path)

    def _changes(self, block: ServerBlock, present: dict[str, Any]) -> Iterator[Change]:
        wanted = _wanted(self.servers, block.client, self.layout.root)
        for name, settings in wanted.items():
            yield from _bring(block, name, present.get(name), settings)
        for name, digest in self.memory.servers(block.path, block.keys).items():
            gone = name not in wanted and name in present
            if gone and settings_digest(present[name]) == digest:
                yield Remove((*block.keys, name))

    def _notes(self, block: ServerBlock) -> Iterator[str]:
        for server in self.servers:
            reason = why_not(server, block.client) if server.is_for(block.client) else None
            if reason:
                yield f"{server.id}: {reason}"
        present = block.read()
        wanted = _wanted(self.servers, block.client, self.layout.root)
        for name, digest in self.memory.servers(block.path, block.keys).items():
            if name in present and name not in wanted and settings_digest(present[name]) != digest:
                yield f"{name}: registered no more, but changed since it was synced; it stays"

    def _remember(self, block: ServerBlock, servers: Servers) -> None:
        if self.memory.servers(block.path, block.keys) != servers:
            self.memory.remember(block.path, block.keys, servers)
            write_memory(guests_folder(self.layout), _SYNCED, self.memory)


def _wanted(servers: list[Server], client: str, root: Path) -> dict[str, dict[str, Any]]:
    return {
        server.id: rendered(server, client, root)
        for server in servers
        if server.is_for(client) and why_not(server, client) is None
    }


def _bring(
    block: ServerBlock, name: str, present: Any, settings: dict[str, Any]
) -> Iterator[Change]:
    """Make a server's settings so; keys of it that Holdfast does not know stay."""
    if not isinstance(present, dict):
        yield Put((*block.keys, name), settings)
        return
    for key, value in settings.items():
        if present.get(key) != value and not (key == "env" and not value and key not in present):
            yield Put((*block.keys, name, key), value)
    for key in _MANAGED:
        if key in present and key not in settings and key != "type":
            yield Remove((*block.keys, name, key))


def _generate(servers: list[Server], layout: Layout) -> Iterator[str]:
    """The files that the workspace keeps of what each client is given."""
    for client in CLIENTS:
        path = layout.server_registry.with_name(f"claude-{client}-updated.json")
        write_document(path, {"mcpServers": _wanted(servers, client, layout.root)})
        yield str(path)

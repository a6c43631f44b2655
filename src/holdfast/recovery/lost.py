"""Agents that a snapshot has and the workspace has no more: what somebody may want back."""

import os
from collections.abc import Iterator, Mapping
from typing import Any

import msgspec

from holdfast.durable.documents import parse_object
from holdfast.durable.names import long_path
from holdfast.errors import HoldfastError, NotFoundError, UnreadableError
from holdfast.facade import Workspace
from holdfast.recovery.registries import AGENTS_PATH, KINDS
from holdfast.recovery.source import Source
from holdfast.registry import GROUPS
from holdfast.vault import Vault

_LARGEST = 64 << 20  # bytes of a registry that is looked at


class LostAgent(msgspec.Struct, frozen=True, rename="camel"):
    """An agent that is gone: its files at `path`, or its registry entry, or both.

    One that was `registered` comes back by `recovery.components`, another by its path.
    """

    name: str
    path: str
    files_gone: bool
    entry_gone: bool
    registered: bool


class Lost(msgspec.Struct, frozen=True, rename="camel"):
    """The agents that are gone since a snapshot, by name."""

    snapshot: str
    agents: list[LostAgent]


def lost_agents(workspace: Workspace, vault: Vault, ref: str = "latest") -> Lost:
    """The agents that the snapshot `ref` has and that are gone since.

    Raises as `Vault.resolve` and `Vault.read` do.
    """
    source = Source(vault, ref)
    then = _registered(source)
    try:
        now = {agent.id for agent in workspace.registry.list()}
    except HoldfastError:
        now = set(then)  # it cannot be read, which is told elsewhere
    lost, places = [], set()
    for name, entry in then.items():
        path = _path(source, entry)
        places.add(path)
        files_gone = source.has(path) and not _is_there(workspace, path)
        if files_gone or name not in now:
            lost.append(LostAgent(name, path, files_gone, name not in now, registered=True))
    for path in _where_agents_lie(source):
        name = path.rpartition("/")[2].removesuffix(".py")
        if path not in places and name not in then and not _is_there(workspace, path):
            lost.append(LostAgent(name, path, True, entry_gone=False, registered=False))
    return Lost(source.id, sorted(lost, key=lambda each: each.name))


def _registered(source: Source) -> dict[str, Mapping[str, Any]]:
    """The entries of the registry as it was, by id; none when it could not be read then."""
    try:
        content = source.vault.beginning(source.id, AGENTS_PATH, _LARGEST).beginning
        groups = parse_object(content, source.vault.path).get(KINDS[AGENTS_PATH].root_key)
    except (NotFoundError, UnreadableError):
        return {}
    found: dict[str, Mapping[str, Any]] = {}
    for entries in groups.values() if isinstance(groups, dict) else ():
        for name, entry in entries.items() if isinstance(entries, dict) else ():
            found[name] = entry if isinstance(entry, dict) else {}
    return found


def _path(source: Source, entry: Mapping[str, Any]) -> str:
    path = entry.get("path")
    return (source.relative(path) if isinstance(path, str) else None) or ""


def _where_agents_lie(source: Source) -> Iterator[str]:
    """Python files and folders where discovery looks: in ``agents/`` and its groups' folders."""
    folders = {"agents", *(f"agents/{group}" for group in GROUPS)}
    for path, entry in source.entries.items():
        parent, _, name = path.rpartition("/")
        if parent not in folders or path in folders or name.startswith((".", "_")):
            continue
        if entry.kind == "folder" or (entry.kind == "file" and name.endswith(".py")):
            yield path


def _is_there(workspace: Workspace, path: str) -> bool:
    return os.path.lexists(long_path(workspace.layout.root / path))

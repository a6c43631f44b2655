"""One agent or one MCP server back: its files, and its registry entry exactly as it was."""

import copy
from collections.abc import Iterator, Mapping
from difflib import get_close_matches
from pathlib import Path
from typing import Any, Literal, NamedTuple

import msgspec

from holdfast.durable.faults import fault_point
from holdfast.errors import NotFoundError
from holdfast.recovery.registries import AGENTS_PATH, KINDS, SERVERS_PATH, registry_at
from holdfast.recovery.source import Source
from holdfast.registry import GROUPS
from holdfast.vault import RestoreReport
from holdfast.vault.reports import Consent
from holdfast.workspace.layout import Layout

Kind = Literal["agent", "server"]
Entry = dict[str, Any]


class ComponentReport(msgspec.Struct, frozen=True, rename="camel"):
    """What a restore of one component did, or with `dry_run` would do.

    `entry` is what becomes of its registry entry; ``none``: the snapshot has none of it.
    """

    kind: Kind
    name: str
    dry_run: bool
    paths: list[str]
    entry: Literal["added", "changed", "unchanged", "none"]
    group: str | None
    files: RestoreReport | None

    @property
    def healthy(self) -> bool:
        return self.files is not None and self.files.healthy


class Component(NamedTuple):
    """What a snapshot has of a component: its files' paths, its entry and the group of it."""

    kind: Kind
    name: str
    paths: list[str]
    group: str | None
    entry: Entry | None

    @property
    def registry(self) -> str:
        return AGENTS_PATH if self.kind == "agent" else SERVERS_PATH


def find_component(source: Source, layout: Layout, kind: Kind, name: str) -> Component:
    """What the snapshot has of `name`. Raises `NotFoundError` that names similar ones."""
    registry = AGENTS_PATH if kind == "agent" else SERVERS_PATH
    document = source.document(registry, layout.state)
    groups: Mapping[str, Any] = document.data.get(KINDS[registry].root_key, {}) if document else {}
    group = next((group for group, entries in groups.items() if name in entries), None)
    entry = None if group is None else groups[group][name]
    named = _agent_paths(source, name, entry) if kind == "agent" else _server_paths(name, entry)
    candidates = [source.relative(path) for path in named]
    paths = list(dict.fromkeys(p for p in candidates if p and p != "." and source.has(p)))
    if entry is None and not paths:
        known = [known for entries in groups.values() for known in entries]
        close = get_close_matches(name, known, n=3)
        hint = f"did you mean {' or '.join(close)}?" if close else "look with: holdfast backup show"
        raise NotFoundError(f"the snapshot has no {kind} {name!r}", hint=hint)
    return Component(kind, name, paths[:1], group, entry)


def restore_component(
    source: Source,
    layout: Layout,
    component: Component,
    *,
    to: Path | None = None,
    dry_run: bool = False,
    consent: Consent | None = None,
    quarantine: Any = None,
) -> ComponentReport:
    """Bring the files of `component` back, then its entry; what is replaced goes to `quarantine`.

    With another folder `to`, only the files, there. Interrupted, the same call completes it.
    Raises as `Vault.restore` and the registry do.
    """
    files = None
    if component.paths:
        files = source.vault.restore(
            source.id,
            component.paths,
            to=to or layout.root,
            quarantine=quarantine,
            dry_run=dry_run,
            consent=consent,
        )
    fault_point("recovery.component.files")
    entry = _placed(source, layout, component)
    change: Literal["added", "changed", "unchanged", "none"] = "none"
    if entry is not None and component.group is not None and to is None:
        registry = registry_at(layout, component.registry)
        change = _change(registry.read().groups, component, entry)
        if not dry_run:
            registry.put_back(component.name, component.group, entry)
    return ComponentReport(
        kind=component.kind,
        name=component.name,
        dry_run=dry_run,
        paths=component.paths,
        entry=change,
        group=component.group,
        files=files,
    )


def _change(
    groups: Mapping[str, Mapping[str, Entry]], component: Component, entry: Entry
) -> Literal["added", "changed", "unchanged"]:
    homes = [group for group, entries in groups.items() if component.name in entries]
    if not homes:
        return "added"
    same = homes == [component.group] and groups[homes[0]][component.name] == entry
    return "unchanged" if same else "changed"


def _placed(source: Source, layout: Layout, component: Component) -> Entry | None:
    """The entry as it was; if the workspace lies elsewhere now, with its path there."""
    entry = copy.deepcopy(component.entry)
    if entry and component.kind == "agent" and source.root != str(layout.root):
        path = source.relative(entry.get("path") or "")
        if path and source.has(path):
            entry["path"] = str(layout.root / path)
    return entry


def _agent_paths(source: Source, name: str, entry: Entry | None) -> Iterator[str]:
    """Where an agent may have been: where its entry says, else where discovery looks."""
    if entry and isinstance(entry.get("path"), str):
        yield entry["path"]
    for folder in ("agents", *(f"agents/{group}" for group in GROUPS)):
        yield f"{folder}/{name}.py"
        yield f"{folder}/{name}"


def _server_paths(name: str, entry: Entry | None) -> Iterator[str]:
    """Where a server may have been: its own folder, else that of what its command names."""
    yield f"mcp-servers/{name}"
    yield f"mcp-servers/{name}.py"
    for word in _words(entry or {}):
        parts = word.replace("\\", "/").split("/")
        if "mcp-servers" in parts[:-1]:
            yield "/".join(parts[parts.index("mcp-servers") :][:2])


def _words(entry: Entry) -> Iterator[str]:
    service = entry.get("service")
    command = service.get("command") if isinstance(service, dict) else None
    for value in (entry.get("command"), *(entry.get("args") or ()), *(command or ())):
        if isinstance(value, str):
            yield value

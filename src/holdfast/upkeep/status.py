"""The status of a workspace: every store, what is unprotected, and what to do next."""

import os
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, Literal

import msgspec

from holdfast.durable.documents import read_document
from holdfast.durable.trees import walk
from holdfast.engines.urls import parse_url
from holdfast.errors import HoldfastError, UnreadableError, UsageError
from holdfast.facade import Workspace
from holdfast.schedule.overview import Overview, overview
from holdfast.upkeep.protection import Protection, protect, protection
from holdfast.upkeep.space import Space, space_of
from holdfast.vault.reports import Proof
from holdfast.vault.rule import ThreeTwoOne, evaluate
from holdfast.vault.sites import SiteState, site_state
from holdfast.workspace.creation import missing_parts
from holdfast.workspace.layout import Layout
from holdfast.workspace.settings import Store

Health = Literal["ok", "absent", "unreadable"]

# Files of the home that snapshots hold too.
_HOME_FILES = (
    ".claude.json",
    ".mcp.json",
    ".claude/CLAUDE.md",
    ".gitconfig",
    ".bashrc",
    ".bash_profile",
)


class StoreStatus(msgspec.Struct, rename="camel"):
    """One store: where it is, how big (bytes), what it holds, whether it can be read.

    `changed` is when its files last changed, `backed_up` the start of the newest snapshot that
    holds them, `proven` when a file of it, or in a drill all of it, last came back rightly from a
    snapshot (all UTC), and `proven_by` which of the two.
    """

    name: str
    engine: str
    location: str
    size: int = 0
    holds: str = ""
    health: Health = "ok"
    problem: str | None = None
    changed: datetime | None = None
    backed_up: datetime | None = None
    proven: datetime | None = None
    proven_by: Literal["sample", "full", "drill", "sealed"] | None = None


class Status(msgspec.Struct, rename="camel"):
    """The whole workspace; healthy when all can be read, no job failed and there is room."""

    workspace: str
    home: str
    healthy: bool
    stores: list[StoreStatus]
    destinations: list[SiteState]
    rule: ThreeTwoOne
    unprotected: list[str]
    next: list[str]
    schedule: Overview
    protection: Protection
    space: Space
    fixed: list[str] = []


class _Backups(msgspec.Struct):
    """When the newest snapshot was begun, and the newest with the home's files; the proofs."""

    status: StoreStatus
    oldest: datetime | None = None
    newest: datetime | None = None
    newest_of_home: datetime | None = None
    proven: datetime | None = None
    proofs: list[Proof] = []


def workspace_status(workspace: Workspace, *, fix: bool = False) -> Status:
    """Look at every store of the workspace; nothing is changed, but with `fix` what is too open.

    A store that cannot be read is reported, never an error.
    """
    layout = workspace.layout
    closed = protection(workspace)
    fixed = protect(workspace, closed) if fix else []
    if fixed:
        closed = protection(workspace)
    backups = _backups(workspace)
    stores = store_statuses(workspace)
    paths = workspace.store_paths()
    for store in stores:
        if store.name in paths:
            store.backed_up = backups.newest
            _prove(store, paths[store.name], backups.proofs)
    stores.append(backups.status)
    sites = workspace.sites
    states = [site_state(site) for site in sites]
    schedule = overview(workspace)
    there = space_of(workspace)
    readable = all(store.health != "unreadable" for store in stores)
    return Status(
        workspace=str(layout.root),
        home=str(layout.home),
        healthy=schedule.healthy and readable and there.enough,
        stores=stores,
        destinations=states,
        rule=evaluate(layout.root, sites, states),
        unprotected=[*_unprotected(layout, stores, backups), *_missing(states)],
        next=[
            *_next_commands(layout, stores, backups),
            *["holdfast status --fix"] * bool(closed.too_open or closed.git.missing),
            *_commands_for_space(there),
        ],
        schedule=schedule,
        protection=closed,
        space=there,
        fixed=fixed,
    )


def store_statuses(workspace: Workspace) -> list[StoreStatus]:
    """What each store holds, and whether it can be read; without its backups."""
    layout, settings = workspace.layout, workspace.settings
    return [
        _store("agents", "json", layout.agent_registry, lambda: _agents(workspace)),
        _store("servers", "json", layout.server_registry, lambda: _servers(layout)),
        _engine_store("workflows", settings.workflows, lambda: _runs(workspace)),
        _engine_store("queues", settings.queues, lambda: _messages(workspace)),
        _engine_store("events", settings.events, lambda: _events(workspace)),
        _store("logs", "json lines", layout.logs, lambda: _log_files(layout)),
    ]


def _prove(store: StoreStatus, path: str, proofs: list[Proof]) -> None:
    """Say when the store at `path` of the workspace was last proven, if ever."""
    for proof in reversed(proofs):  # the newest first
        if proof.how in ("drill", "full") or path in proof.paths:
            store.proven, store.proven_by = proof.proven_at, proof.how
            return


def _store(name: str, engine: str, path: Path, count: Callable[[], str]) -> StoreStatus:
    """Measure what is at `path`, and let `count` read it to say what it holds."""
    status = StoreStatus(name, engine, str(path))
    if not path.exists():
        status.health = "absent"
        return status
    status.size, status.changed = _measure(path)
    try:
        status.holds = count()
    except HoldfastError as error:
        status.health, status.problem = "unreadable", str(error)
    return status


def _engine_store(name: str, store: Store, count: Callable[[], str]) -> StoreStatus:
    """A store whose engine is chosen by URL; it may be elsewhere than on this disk."""
    url = parse_url(store.url)
    if url.path is None:
        return StoreStatus(name, url.scheme, str(url))
    return _store(name, f"{url.scheme} ({store.durability})", url.path, count)


def _measure(path: Path) -> tuple[int, datetime]:
    """The bytes below `path` and its last change."""
    statuses = [os.lstat(path)]
    if path.is_dir():
        statuses += [entry.status for entry in walk(path, on_error=lambda *_: None)]
    files = [status for status in statuses if not _is_folder(status)] or statuses
    newest = max(status.st_mtime for status in files)
    size = sum(status.st_size for status in files if not _is_folder(status))
    return size, datetime.fromtimestamp(newest, UTC)


def _is_folder(status: os.stat_result) -> bool:
    return (status.st_mode & 0o170000) == 0o040000


def _agents(workspace: Workspace) -> str:
    return _count(len(workspace.registry.list()), "agent")


def _servers(layout: Layout) -> str:
    document = read_document(layout.server_registry)
    groups: Any = document.data.get("mcpRegistry", {})
    if not isinstance(groups, dict) or not all(isinstance(each, dict) for each in groups.values()):
        raise UnreadableError("mcpRegistry is not an object of groups", path=layout.server_registry)
    return _count(sum(map(len, groups.values())), "server")


def _runs(workspace: Workspace) -> str:
    counts = workspace.workflows.count_by_status()
    return _count(sum(counts.values()), "run") + _breakdown(counts)


def _messages(workspace: Workspace) -> str:
    names = workspace.queue_names()
    waiting = dead = 0
    for name in names:
        stats = workspace.queue(name).stats()
        waiting += stats.ready + stats.delayed + stats.leased
        dead += stats.dead
    for name in workspace.topic_names():
        waiting += sum(one.lag for one in workspace.topic(name).subscriptions())
    return _count(len(names), "queue") + _breakdown({"waiting": waiting, "dead": dead})


def _events(workspace: Workspace) -> str:
    return _count(workspace.events.position(), "event")


def _log_files(layout: Layout) -> str:
    return _count(sum(path.is_file() for path in layout.logs.glob("*.log*")), "file")


def _count(number: int, what: str) -> str:
    return f"{number} {what}" + ("" if number == 1 else "s")


def _breakdown(counts: dict[str, int]) -> str:
    parts = [f"{number} {name}" for name, number in counts.items() if number]
    return f" ({', '.join(parts)})" if parts else ""


def _backups(workspace: Workspace) -> _Backups:
    backups = _Backups(StoreStatus("backups", "vault", ""))
    status = backups.status
    try:
        place = workspace.settings.backups
        status.location = str(place)
        vault = workspace.vault
        snapshots, backups.proofs = vault.snapshots(), vault.proofs()
        sound = [each for each in snapshots if not each.damage and not each.partial]
        backups.oldest = min((each.started_at for each in sound), default=None)
        backups.newest = max((each.started_at for each in sound), default=None)
        backups.newest_of_home = max(
            (each.started_at for each in sound if each.home == str(workspace.layout.home)),
            default=None,
        )
        if backups.proofs:
            backups.proven = backups.proofs[-1].proven_at
            status.proven_by = backups.proofs[-1].how
        status.size, status.changed = _measure(place)
        status.holds = _count(len(snapshots), "snapshot")
        status.backed_up, status.proven = backups.newest, backups.proven
        if bad := sum(each.damage is not None and not each.locked for each in snapshots):
            damaged = _count(bad, "damaged snapshot")
            status.health, status.problem = "unreadable", f"{damaged}: holdfast backup verify"
    except UsageError:
        status.health = "absent"  # no snapshot yet, or snapshots go nowhere
    except HoldfastError as error:
        status.health, status.problem = "unreadable", str(error)
    return backups


def _unprotected(layout: Layout, stores: list[StoreStatus], backups: _Backups) -> Iterator[str]:
    if backups.newest is None:
        yield f"{layout.root} has never been backed up"
    else:
        names = [each.name for each in stores if _changed_since_backup(each)]
        if names:
            yield f"changed since the last snapshot: {', '.join(names)}"
    at_home = [
        name
        for name in _HOME_FILES
        if (layout.home / name).is_file()
        and _changed_since(layout.home / name, backups.newest_of_home)
    ]
    if at_home:
        yield f"in the home, not as they are now in a snapshot: {', '.join(at_home)}"


def _missing(states: list[SiteState]) -> Iterator[str]:
    """Destinations that get no backups now."""
    for state in states:
        if state.state == "absent":
            yield f"the destination {state.name} is not there: {state.folder}"
        elif state.state == "unreadable":
            yield f"the destination {state.name} cannot be read: {state.problem}"


def _changed_since(path: Path, moment: datetime | None) -> bool:
    return moment is None or path.stat().st_mtime > moment.timestamp()


def _changed_since_backup(store: StoreStatus) -> bool:
    if store.name == "backups" or store.changed is None or store.backed_up is None:
        return False
    return store.changed > store.backed_up


def _next_commands(layout: Layout, stores: list[StoreStatus], backups: _Backups) -> Iterator[str]:
    by_name = {store.name: store for store in stores}
    if by_name["agents"].health == "unreadable":
        yield "holdfast agents undo"
    if missing_parts(layout):
        yield f"holdfast init {layout.root}"
    if backups.newest is None or any(map(_changed_since_backup, stores)):
        yield "holdfast backup create"
    if backups.newest is not None and _is_stale(backups.proven):
        yield "holdfast backup verify"
    drilled = [proof.proven_at for proof in backups.proofs if proof.how == "drill"]
    if backups.oldest is not None and _is_stale(max([backups.oldest, *drilled])):
        yield "holdfast backup drill"
    if by_name["agents"].holds == "0 agents":
        yield "holdfast agents discover"


def _commands_for_space(there: Space) -> Iterator[str]:
    if any(budget.state == "unmeasured" for budget in there.budgets):
        yield "holdfast usage --check"
    if there.warnings:
        yield "holdfast clean"


def _is_stale(proven: datetime | None) -> bool:
    return proven is None or datetime.now(UTC) - proven > timedelta(days=30)

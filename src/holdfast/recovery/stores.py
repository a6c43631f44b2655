"""One store back, and nothing else: the workflows, queues, events, registries or logs.

Stores in SQLite share a file: of it only the tables of that room are replaced, in one transaction,
which is safe while other processes use it. Stores that are folders are exchanged whole.
"""

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Literal, NamedTuple

import msgspec

from holdfast.durable.faults import fault_point
from holdfast.durable.files import make_folder, move, remove_tree
from holdfast.durable.locks import Lock
from holdfast.durable.quarantine import Quarantine
from holdfast.engines.sqlite_restore import count_rows, replace_rows
from holdfast.engines.urls import parse_url, url_for
from holdfast.errors import NotFoundError, RefusedError, UsageError
from holdfast.facade import Workspace
from holdfast.recovery.holders import refuse_if_held
from holdfast.recovery.journals import ENGINES
from holdfast.recovery.registries import KINDS, registry_at
from holdfast.recovery.source import Source
from holdfast.vault import RestoreReport
from holdfast.vault.in_use import keep_database

StoreName = Literal["workflows", "queues", "events", "registry", "logs"]
STORES: tuple[StoreName, ...] = ("workflows", "queues", "events", "registry", "logs")


class StoreReport(msgspec.Struct, frozen=True, rename="camel"):
    """What a restore of one store did: in a line, and what went to quarantine (ids)."""

    store: StoreName
    snapshot: str
    summary: str
    changed: bool
    quarantined: list[str] = []


class StorePlan(msgspec.Struct, frozen=True, rename="camel"):
    """What a restore of one store would change: its files, or the rows of its tables.

    `now` and `then` count the rows of each table at present and in the snapshot.
    """

    store: StoreName
    snapshot: str
    files: RestoreReport | None = None
    now: dict[str, int] = {}
    then: dict[str, int] = {}


class _Room(NamedTuple):
    """A room whose tables may share a file: their prefix, and what keeps old claims invalid.

    Whoever executes a run, or holds a message, from before the restore must not go on with what
    came back: every number that such a claim is checked by becomes larger than all before.
    """

    prefix: str
    opens: Callable[[str, str], None]  # both, so that they have the same tables
    keep: Sequence[str] = ()
    before: Sequence[str] = ()
    after: Sequence[str] = ()


def plan_store(source: Source, workspace: Workspace, name: StoreName) -> StorePlan:
    """What `restore_store` would do; nothing is changed. Raises as it does."""
    layout = workspace.layout
    if name == "registry":
        paths = [path for path in KINDS if source.has(path)]
    elif name == "logs":
        paths = [_inside(layout.logs, workspace)]
    else:
        scheme, place = _place(workspace, name)
        inner = _inside(place, workspace)
        if scheme == "sqlite":
            prefix = _ROOMS[name].prefix
            with source.fetched([inner], layout.state) as folder:
                then = count_rows(folder / inner, prefix=prefix)
            now = count_rows(place, prefix=prefix)
            return StorePlan(name, source.id, now=now, then=then)
        paths = [inner]
    files = source.vault.restore(source.id, paths, to=layout.root, dry_run=True)
    return StorePlan(name, source.id, files)


def restore_store(source: Source, workspace: Workspace, name: StoreName) -> StoreReport:
    """Make the store `name` what it was; the present one goes to quarantine.

    Interrupted, the same call completes it. Raises `RefusedError` while processes use a store that
    is exchanged as a folder, `NotFoundError` when the snapshot has none, `UsageError` when the
    store is not kept in the workspace.
    """
    state = workspace.layout.state
    with Lock(state / "recovery" / "recovery.lock", purpose=f"restore the {name}", timeout=0):
        if name == "registry":
            return _registries(source, workspace)
        if name == "logs":
            return _logs(source, workspace)
        scheme, place = _place(workspace, name)
        if scheme == "sqlite":
            return _rows(source, workspace, name, place)
        return _folder(source, workspace, name, place)


def _place(workspace: Workspace, name: StoreName) -> tuple[str, Path]:
    """The engine and the place of a store. Raises `UsageError` when it is a server's."""
    engine = parse_url(getattr(workspace.settings, name).url)
    if engine.scheme in ("sqlite", *ENGINES):
        return engine.scheme, engine.require_path()
    raise UsageError(
        f"the {name} are kept on {engine.scheme}://, and snapshots hold no servers",
        hint="restore them with that server's own means",
    )


def _registries(source: Source, workspace: Workspace) -> StoreReport:
    layout = workspace.layout
    changed = []
    for path in KINDS:
        if not source.has(path):
            continue
        with source.fetched([path], layout.state) as folder:
            content = (folder / path).read_bytes()
        purpose = f"replaced by that of snapshot {source.id[:12]}"
        if registry_at(layout, path).publish(content, purpose):
            changed.append(path)
    summary = f"replaced: {', '.join(changed)}" if changed else "nothing differs"
    return StoreReport("registry", source.id, summary, changed=bool(changed))


def _logs(source: Source, workspace: Workspace) -> StoreReport:
    layout = workspace.layout
    refuse_if_held([layout.logs], "logs")
    path = _inside(layout.logs, workspace)
    report = source.vault.restore(
        source.id, [path], to=layout.root, quarantine=workspace.quarantine
    )
    summary = f"{report.created} created, {report.replaced} replaced, {report.unchanged} unchanged"
    if report.problems:
        raise RefusedError(f"not all of it: {report.problems[0].reason}", path=layout.logs)
    changed = bool(report.created or report.replaced)
    return StoreReport("logs", source.id, summary, changed, report.quarantined)


def _rows(source: Source, workspace: Workspace, name: StoreName, path: Path) -> StoreReport:
    inner = _inside(path, workspace)
    if not source.has(inner):
        raise NotFoundError(f"the snapshot has no {inner}")
    room = _ROOMS[name]
    with source.fetched([inner], workspace.layout.state) as folder:
        # Opened by its room, each is brought up to date, and one of a newer Holdfast is refused.
        room.opens(url_for("sqlite", folder / inner), url_for("sqlite", path))
        reason = f"the database before its {name} were restored"
        kept = keep_database(path, workspace.quarantine, reason=reason)
        fault_point("recovery.store.kept")
        count = replace_rows(
            folder / inner,
            path,
            prefix=room.prefix,
            keep=room.keep,
            before=room.before,
            after=room.after,
        )
    return StoreReport(
        name, source.id, f"{count} rows in {inner}", changed=True, quarantined=[kept]
    )


def _folder(source: Source, workspace: Workspace, name: StoreName, path: Path) -> StoreReport:
    inner = _inside(path, workspace)
    exchanged = workspace.layout.state / "recovery" / f"{name}-{source.id[:12]}"
    quarantined: list[str] = []
    if not (exchanged.is_dir() and not path.exists()):  # else killed between the two renames
        if not source.has(inner):
            raise NotFoundError(f"the snapshot has no {inner}")
        remove_tree(exchanged)
        refuse_if_held([path], name)
        with source.fetched([inner], workspace.layout.state) as folder:
            move(folder / inner, exchanged)
        fault_point("recovery.store.fetched")
        if path.exists():
            quarantined = [_aside(workspace.quarantine, path, name)]
    fault_point("recovery.store.aside")
    make_folder(path.parent)
    move(exchanged, path)
    fault_point("recovery.store.exchanged")
    return StoreReport(name, source.id, f"exchanged: {inner}", True, quarantined)


def _aside(quarantine: Quarantine, path: Path, name: str) -> str:
    return quarantine.take(path, reason=f"the {name} before they were restored").id


def _inside(path: Path, workspace: Workspace) -> str:
    """`path` relative to the workspace. Raises `UsageError` when it lies elsewhere."""
    try:
        return path.relative_to(workspace.layout.root).as_posix()
    except ValueError:
        raise UsageError(
            "it lies outside of the workspace, so no snapshot has it", path=path
        ) from None


def _open_workflows(*urls: str) -> None:
    from holdfast.workflows.stores import open_store

    for url in urls:
        open_store(url, durability="process").close()


def _open_events(*urls: str) -> None:
    from holdfast.events.stores import open_store

    for url in urls:
        open_store(url, durability="process").close()


def _open_queues(*urls: str) -> None:
    from holdfast.queues.opening import list_queues, open_store

    # A store is one queue: one that the snapshot has. Without any, none is to be there.
    for name in list_queues(urls[0])[:1]:
        for url in urls:
            open_store(url, name, "process").close()


_ROOMS = {
    "workflows": _Room(
        "workflow_",
        _open_workflows,
        keep=("workflow_owners",),  # who is alive now
        before=(
            "CREATE TEMP TABLE fence AS"
            " SELECT coalesce(max(epoch), 0) + 1 AS number FROM main.workflow_runs",
        ),
        after=(
            "UPDATE main.workflow_runs SET owner = NULL,"
            " epoch = epoch + (SELECT number FROM temp.fence) WHERE finished IS NULL",
        ),
    ),
    "events": _Room("event", _open_events),
    "queues": _Room(
        "queue",
        _open_queues,
        before=(
            "CREATE TEMP TABLE fence AS"
            " SELECT coalesce(max(leases), 0) + 1 AS number FROM main.queue_messages",
        ),
        after=("UPDATE main.queue_messages SET leases = leases + (SELECT number FROM temp.fence)",),
    ),
}

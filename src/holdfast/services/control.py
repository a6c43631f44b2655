"""Starting, stopping and looking at services: what commands and programs call."""

import sys
import time
from collections.abc import Callable, Collection, Iterable, Mapping
from typing import Literal

import msgspec

from holdfast.durable.files import read_bytes
from holdfast.errors import HoldfastError, NotFoundError
from holdfast.facade import Workspace
from holdfast.services import processes
from holdfast.services.declared import (
    Service,
    declared_services,
    in_order,
    no_such_service,
    with_dependents,
)
from holdfast.services.records import Record, Records, State, Wish

START_LIMIT = 60.0
"""Seconds that `start` waits for all to be ready."""

_KILL_TIME = 10.0  # seconds that the end of a killed process may take
_SUPERVISORS = 4  # attempts to have one
_FIRST_PATIENCE = 0.5  # seconds until the second attempt, doubled for each next
_PAUSE = 0.05

Told = Callable[["ServiceStatus"], None]


class ServiceStatus(msgspec.Struct, frozen=True, rename="camel"):
    """One service now: `cpu` is its share of one processor (0 to 1 and more) since it was started,
    `memory` in bytes, `age` in seconds; all of them with the processes it started itself.
    """

    name: str
    kind: Literal["agent", "server"]
    state: State
    wanted: bool
    healthy: bool
    reason: str
    pid: int | None = None
    age: float | None = None
    cpu: float | None = None
    memory: int | None = None
    restarts: int = 0
    exit_status: int | None = None
    log: str = ""


def start(
    workspace: Workspace,
    names: Collection[str] = (),
    *,
    limit: float = START_LIMIT,
    told: Told | None = None,
) -> list[ServiceStatus]:
    """Start `names`, or all that start by themselves, with what they depend on; then wait.

    Returns when each is ready, has failed, or `limit` seconds went by; `told` hears of each once.
    What runs already is left as it is. Raises `NotFoundError`, `UsageError`, `UnreadableError`.
    """
    return _begin(workspace, names, anew=False, limit=limit, told=told)


def restart(
    workspace: Workspace,
    names: Collection[str] = (),
    *,
    limit: float = START_LIMIT,
    told: Told | None = None,
) -> list[ServiceStatus]:
    """Stop and start `names`, or all that are wanted; see `start`."""
    if not names:
        names = [name for name, wish in Records(workspace.layout).wanted().items() if wish.up]
    return _begin(workspace, names, anew=True, limit=limit, told=told)


def stop(workspace: Workspace, names: Collection[str] = ()) -> list[ServiceStatus]:
    """Stop `names` and all that depend on them, or everything; returns when they have ended.

    Raises `NotFoundError`, and `HoldfastError` when one could not even be killed.
    """
    records = Records(workspace.layout)
    try:
        services = declared_services(workspace)
    except HoldfastError:
        if names:
            raise
        services = {}  # everything can be stopped whatever the registry says
    chosen = with_dependents(services, names) if names else [*records.wanted(), *records.names()]
    with records.changing_wanted() as wanted:
        for name in chosen:
            if name in wanted and wanted[name].up:
                wanted[name] = Wish(up=False, turn=wanted[name].turn)
    running = [name for name in dict.fromkeys(chosen) if records.read(name).process is not None]
    limits = [services[name].entry.stop_timeout for name in running if name in services]
    deadline = time.monotonic() + sum(limits, _KILL_TIME)
    supervision = _Supervision(workspace, records)
    while any(records.read(name).process is not None for name in running):
        supervision.ensure()
        if time.monotonic() > deadline:
            still = [name for name in running if _runs(records.read(name))]
            if not still:  # they have ended, and the disk is too full to write it down
                break
            raise HoldfastError(f"still running: {', '.join(still)}", hint="look with: holdfast ps")
        time.sleep(_PAUSE)
    return [status for status in statuses(workspace) if status.name in chosen]


def statuses(workspace: Workspace, names: Collection[str] = ()) -> list[ServiceStatus]:
    """All services, or `names`, in the registries' order. Raises `NotFoundError`."""
    records = Records(workspace.layout)
    declared = declared_services(workspace)
    wanted = records.wanted()
    known = list(dict.fromkeys([*declared, *(n for n in records.names() if n in wanted)]))
    for name in names:
        if name not in known:
            raise no_such_service(name, known)
    return [
        _status(workspace, declared.get(name), records.read(name), wanted.get(name))
        for name in known
        if not names or name in names
    ]


def _begin(
    workspace: Workspace, names: Collection[str], *, anew: bool, limit: float, told: Told | None
) -> list[ServiceStatus]:
    services = declared_services(workspace)
    roots = list(names) or [name for name, each in services.items() if each.starts_by_itself]
    order = in_order(services, roots)
    if not order:
        return []
    records = Records(workspace.layout)
    with records.changing_wanted() as wanted:
        for name in order:
            before = wanted.get(name)
            restarted = anew and name in roots
            if before is None:
                wanted[name] = Wish(up=True, turn=records.read(name).turn + 1)
            elif restarted or not before.up or records.read(name).state in ("failed", "ended"):
                wanted[name] = Wish(up=True, turn=before.turn + 1)
        turns = {name: wanted[name].turn for name in order}
    return _wait(workspace, services, turns, limit, told)


def _wait(
    workspace: Workspace,
    services: Mapping[str, Service],
    turns: Mapping[str, int],
    limit: float,
    told: Told | None,
) -> list[ServiceStatus]:
    records = Records(workspace.layout)
    supervision = _Supervision(workspace, records)
    deadline = time.monotonic() + limit
    unsettled = list(turns)
    while unsettled and time.monotonic() < deadline:
        supervision.ensure()
        lost: set[str] = set()
        settled = [name for name in turns if _is_settled(records, name, turns, services, lost)]
        settled = [name for name in settled if name in unsettled]
        for status in statuses(workspace, settled) if settled and told is not None else ():
            assert told is not None
            told(status)
        unsettled = [name for name in unsettled if name not in settled]
        time.sleep(_PAUSE if unsettled else 0)
    found = {status.name: status for status in statuses(workspace, list(turns))}
    if told is not None:
        for name in unsettled:
            told(found[name])
    return [found[name] for name in turns]


def _is_settled(
    records: Records,
    name: str,
    turns: Mapping[str, int],
    services: Mapping[str, Service],
    lost: set[str],
) -> bool:
    """Whether waiting longer changes nothing; `lost` collects those that will not be ready.

    Called in the order of dependencies: what needs a lost one is lost itself.
    """
    record = records.read(name)
    if record.turn == turns[name] and record.state in ("ready", "ended"):
        return True
    failed = record.turn == turns[name] and record.state == "failed"
    blocked = record.state == "waiting" and not lost.isdisjoint(services[name].entry.depends_on)
    if failed or blocked:
        lost.add(name)
    return failed or blocked


class _Supervision:
    """Sees to it that a supervisor is alive."""

    def __init__(self, workspace: Workspace, records: Records) -> None:
        self._workspace = workspace
        self._records = records
        self._begun = 0
        self._next = 0.0

    def ensure(self) -> None:
        """Start a supervisor if there is none. Raises `HoldfastError` when none stays alive."""
        if time.monotonic() < self._next or self._records.supervised():
            return
        if self._begun == _SUPERVISORS:
            raise HoldfastError(
                f"the supervisor of the services does not stay alive: {self._last_words()}",
                path=self._records.supervisor_output,
            )
        self._next = time.monotonic() + _FIRST_PATIENCE * 2**self._begun
        self._begun += 1
        root = self._workspace.layout.root
        processes.spawn_detached(
            [sys.executable, "-P", "-m", "holdfast.services.supervisor", str(root)],
            cwd=root,
            output=self._records.supervisor_output,
        )

    def _last_words(self) -> str:
        try:
            text = read_bytes(self._records.supervisor_output).decode("utf-8", "replace")
        except NotFoundError:
            return "it said nothing"
        return text.strip()[-500:] or "it said nothing"


def _status(
    workspace: Workspace, service: Service | None, record: Record, wish: Wish | None
) -> ServiceStatus:
    up = wish is not None and wish.up
    kind = service.kind if service is not None else "agent"
    state: State = record.state
    reason = record.reason
    runs = _runs(record)
    if state in ("ready", "starting", "stopping") and not runs:
        state, reason = "failed", "its process is gone: run holdfast start"
    if not up and not runs and (wish is None or record.state != "failed"):
        state, reason = "stopped", record.reason
    status = ServiceStatus(
        name=record.name,
        kind=kind,
        state=state,
        wanted=up,
        healthy=state in ("ready", "ended") if up else not runs,
        reason=reason,
        restarts=record.restarts,
        exit_status=record.exit_status,
        log=str(workspace.layout.logs / f"{kind}-{record.name}.log"),
    )
    return _measured(status, record) if runs else status


def _runs(record: Record) -> bool:
    return record.process is not None and processes.alive(record.process)


def _measured(status: ServiceStatus, record: Record) -> ServiceStatus:
    import psutil  # type: ignore[import-untyped,unused-ignore]

    assert record.process is not None
    seconds, memory = 0.0, 0
    for process in processes.family(record.process):
        try:
            with process.oneshot():
                times = process.cpu_times()
                seconds += times.user + times.system
                memory += process.memory_info().rss
        except psutil.Error:
            continue  # ended meanwhile
    age = max(0.0, time.time() - record.since)
    return msgspec.structs.replace(
        status,
        pid=record.process.pid,
        age=age,
        cpu=seconds / age if age else 0.0,
        memory=memory,
    )


def unhealthy(found: Iterable[ServiceStatus]) -> list[ServiceStatus]:
    """Those that are not as they are wanted."""
    return [status for status in found if not status.healthy]

"""Full recovery, as a durable workflow: files, dependencies, configurations, services.

Its run is kept in ``.holdfast/recovery/`` of the target, which no snapshot holds. Killed anywhere,
the same command goes on; a step that failed is reported, and those after it are done all the same.
"""

import sys
from collections.abc import Callable
from contextvars import ContextVar, copy_context
from pathlib import Path

from holdfast.durable.files import make_folder
from holdfast.durable.locks import Lock
from holdfast.engines.sqlite_copy import COMPANIONS
from holdfast.engines.urls import url_for
from holdfast.errors import NewerFormatError, UnreadableError
from holdfast.recovery import steps
from holdfast.recovery.holders import refuse_if_held
from holdfast.recovery.journals import changed_journals
from holdfast.recovery.order import (
    Order,
    RecoveryReport,
    StepReport,
    Told,
    order_for,
    plan,
    quarantine_of,
    state_of,
)
from holdfast.recovery.programs import end_orphan, run
from holdfast.recovery.source import Source, check_is_workspace
from holdfast.vault import RestoreReport
from holdfast.vault.reports import Progress
from holdfast.workflows import RunInfo, Workflows, workflow
from holdfast.workspace.layout import STATE_FOLDER, marker_of

_told: ContextVar[Told] = ContextVar("recovery_told", default=lambda _: None)


@workflow(name="recover", version="1")
def recover_workspace(order: Order) -> list[StepReport]:
    """Bring a whole workspace back; the reports of all steps."""
    done: list[StepReport] = []

    def keep(report: StepReport) -> None:
        done.append(report)
        _told.get()(report)

    if order.stores:
        keep(steps.set_aside(order))
    keep(steps.restore_files(order))
    if order.former_root:
        keep(steps.move_registry(order))
    keep(steps.install_python(order))
    for name in steps.list_servers(order):
        keep(steps.install_server(order, name))
    keep(steps.verify_configuration(order))
    keep(steps.start_services(order))
    return done


def recover(
    source: Source,
    target: Path,
    *,
    home: Path | None = None,
    all_of_home: bool = False,
    consent: Callable[[RestoreReport], None] | None = None,
    told: Told | None = None,
    progress: Progress | None = None,
) -> RecoveryReport:
    """Recover the workspace of `source` to the folder `target`, or go on with that.

    Files of the home go below `home`: those that are missing there, or all with `all_of_home`.
    `consent` is shown the plan before files are changed, and what it raises ends the recovery
    there. What is replaced goes to the target's quarantine. `told` hears of each step as it ends.

    Raises `NotFoundError` when the snapshot is of no workspace, `RefusedError` while processes use
    what is to be replaced, `BusyError` beside another recovery, `StepError` when the disk is full
    (the same call goes on from there).
    """
    check_is_workspace(source)
    folder = state_of(target)
    make_folder(folder, private=True)
    lock = Lock(folder / "recovery.lock", purpose="recover the workspace", timeout=0)
    with lock, _engine(target) as engine:
        end_orphan(folder / "program.json")
        planned = plan(source, target, home, all_of_home=all_of_home)
        begun = _unfinished(engine, source.id, planned)
        if consent is not None and not (begun and _has_files(engine, begun)):
            consent(planned)
        _come_to_rest(target, planned)
        context = copy_context()
        context.run(_told.set, told or (lambda _: None))
        context.run(steps.vault.set, source.vault)
        context.run(steps.progress.set, progress)
        if begun is None:
            run_id = _new_id(engine, source.id)
            order = order_for(source, target, home, planned)
            result = context.run(engine.run, recover_workspace, (order,), run_id=run_id)
        else:
            run_id = begun.id
            result = context.run(engine.retry, run_id, inline=True).result()
    return RecoveryReport(
        run=run_id,
        snapshot=source.id,
        target=str(target),
        resumed=begun is not None,
        healthy=all(each.ok for each in result),
        steps=result,
    )


def _engine(target: Path) -> Workflows:
    """The recoveries of `target`. A torn state is begun anew: every step may be repeated."""
    path = state_of(target) / "state.db"
    try:
        return Workflows(url_for("sqlite", path))
    except NewerFormatError:
        raise
    except UnreadableError:
        for name in (path.name, *(path.name + suffix for suffix in COMPANIONS)):
            if (path.parent / name).exists():
                quarantine_of(target).take(path.parent / name, reason="unreadable")
        return Workflows(url_for("sqlite", path))


def _unfinished(engine: Workflows, snapshot: str, planned: RestoreReport) -> RunInfo | None:
    """The recovery of `snapshot` that was interrupted, or ended by a full disk.

    Not one that had brought the files back, when some are missing again: then all begins anew.
    """
    for info in engine.list(name="recover", text=snapshot, limit=1):
        harmed_again = planned.created > 0 and _has_files(engine, info)
        if info.status not in ("succeeded", "cancelled") and not harmed_again:
            return info
    return None


def _has_files(engine: Workflows, info: RunInfo) -> bool:
    """Whether the run had brought all files back."""
    first = f"{steps.restore_files.name}-1"
    return any(e.id == first and e.status == "succeeded" for e in engine.steps(info.id))


def _new_id(engine: Workflows, snapshot: str) -> str:
    count = len(engine.list(name="recover", text=snapshot, limit=1000))
    return f"recover-{snapshot[:12]}-{count + 1}"


def _come_to_rest(target: Path, planned: RestoreReport) -> None:
    """End the services of `target`, and refuse while others use what is to be replaced.

    Databases are safe while they are used: their content is replaced, not their file.
    """
    if not marker_of(target).is_file():
        return
    if (target / STATE_FOLDER / "services").is_dir():
        command = [sys.executable, "-m", "holdfast", "stop", "-w", str(target)]
        run(command, cwd=target, note=state_of(target) / "program.json")
    journals = changed_journals(target, planned)
    if journals:
        refuse_if_held([target / folder for folder in journals], "queues and other stores")

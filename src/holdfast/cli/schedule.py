"""``holdfast schedule``: the jobs, the system's scheduler, the watcher."""

from datetime import datetime
from typing import TYPE_CHECKING, Any

import click
import msgspec

from holdfast.cli.terminal import Terminal, command

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from holdfast.facade import Workspace
    from holdfast.schedule.registration import Registered

_COLUMNS = {
    "name": "Job",
    "when": "When",
    "last": "Last",
    "outcome": "Outcome",
    "next": "Next",
    "said": "Problem or note",
}
_SYSTEM = click.option(
    "--system",
    type=click.Choice(["task-scheduler", "systemd", "launchd", "cron"]),
    help="Which scheduler; else the one this system has.",
)
_DRY_RUN = click.option("--dry-run", is_flag=True, help="Show what would be written and run.")
_START = click.option("--start/--no-start", default=True, help="Only write or remove the files.")


@click.group()
def schedule() -> None:
    """What is done by the clock and on change: snapshots, commits, archives, drills, clean-up."""


@command(schedule, "list", examples=["holdfast schedule list", "holdfast schedule list --json"])
def list_(terminal: Terminal) -> int:
    """Show each job: when it last ran, how that went, when it runs next. Exits 1 on trouble.

    The jobs and their times can be changed in configs/holdfast.json, under "schedule".
    """
    from holdfast.schedule.overview import overview

    found = overview(terminal.open())
    rows: list[dict[str, Any]] = [msgspec.to_builtins(job) for job in found.jobs]
    if not terminal.json:
        for row, job in zip(rows, found.jobs, strict=True):
            row["last"], row["next"] = _moment(job.last), _moment(job.next)
            row["next"] = row["next"] if job.enabled else "off"
            said = job.problem or job.note
            row["said"] = said.splitlines()[0] if said else ""
    terminal.emit_rows(rows, _COLUMNS, empty="No jobs.")
    for problem in found.problems:
        terminal.note(f"PROBLEM: {problem}")
    return 0 if found.healthy else 1


@command(
    schedule,
    "run-due",
    examples=["holdfast schedule run-due", "holdfast schedule run-due snapshots"],
)
@click.argument("names", nargs=-1, metavar="[JOB]...")
def run_due(terminal: Terminal, names: tuple[str, ...]) -> int:
    """Run what is due, or the jobs named. Never twice at once; exits 1 when a job failed."""
    from holdfast.schedule.running import run_due as run

    report = run(terminal.open(), names)
    lines = [
        f"{each.name}: {each.outcome} in {each.seconds:.1f} s"
        + "".join(f"\n  {said}" for said in (each.problem, each.note) if said)
        for each in report.runs
    ]
    nothing = f"nothing done: {report.busy}" if report.busy else "nothing is due"
    document = {"healthy": report.healthy, **msgspec.to_builtins(report)}
    terminal.emit(document, "\n".join(lines) or nothing)
    return 0 if report.healthy else 1


@command(
    schedule,
    "install",
    examples=["holdfast schedule install --dry-run", "holdfast schedule install --system cron"],
)
@_SYSTEM
@_DRY_RUN
@_START
def install(terminal: Terminal, system: str | None, dry_run: bool, start: bool) -> None:
    """Let the system's own scheduler call run-due every 15 minutes, for this user."""
    from holdfast.schedule.registration import install as register

    _emit(terminal, register(terminal.open(), system, dry_run=dry_run, enable=start), "written")


@command(schedule, "uninstall", examples=["holdfast schedule uninstall"])
@_SYSTEM
@_DRY_RUN
@_START
def uninstall(terminal: Terminal, system: str | None, dry_run: bool, start: bool) -> None:
    """Take it out of the system's scheduler again."""
    from holdfast.schedule.registration import uninstall as unregister

    _emit(terminal, unregister(terminal.open(), system, dry_run=dry_run, enable=start), "removed")


@command(schedule, "watch", examples=["holdfast schedule watch"])
def watch(terminal: Terminal) -> None:
    """Follow changes until ended with Ctrl-C: run what is due, save changed configuration.

    With it running, the guard's hook need not look at every file. One watcher a workspace.
    """
    import threading

    from holdfast.guard.recording import answer
    from holdfast.schedule.watch import Watcher

    workspace = terminal.open()
    watcher = Watcher(workspace, answer, alarms=[_look_at_clients], say=terminal.note)
    terminal.note(f"watching {workspace.layout.root}; end it with Ctrl-C")
    try:
        watcher.run(threading.Event())
    except KeyboardInterrupt:
        terminal.note("ended")


def _look_at_clients(workspace: "Workspace", changed: "Sequence[Path]") -> list[str]:
    """The alarms about other programs' files; there are few, so all are looked at."""
    from holdfast.registry.clients.watching import look

    del changed
    return [f"{alarm.path}: {alarm.message}" for alarm in look(workspace.layout)]


def _emit(terminal: Terminal, made: "Registered", verb: str) -> None:
    would = "would be " if made.dry_run else ""
    lines = [f"scheduler: {made.system}"]
    for path, content in made.files.items():
        lines.append(f"{would}{verb}: {path}")
        if made.dry_run and verb == "written":
            lines += [f"    {line}" for line in content.splitlines()]
    lines += [f"{'would run' if made.dry_run else 'ran'}: {line}" for line in made.commands]
    terminal.emit(made, "\n".join(lines))


def _moment(moment: datetime | None) -> str:
    return "" if moment is None else f"{moment.astimezone():%Y-%m-%d %H:%M}"

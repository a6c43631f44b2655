"""``holdfast workflows``: run, look at, resume, fork, signal and work off durable workflows."""

import time
from collections import Counter
from datetime import UTC
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click
import msgspec

from holdfast.cli.places import Place
from holdfast.cli.terminal import Terminal, command
from holdfast.errors import HoldfastError, NotFoundError, UsageError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from holdfast.durable.quarantine import QuarantineEntry
    from holdfast.facade import Workspace
    from holdfast.workflows import Run, RunInfo, StepInfo, Workflow, Workflows

_STATUS = click.Choice(["queued", "running", "waiting", "succeeded", "failed", "cancelled"])
_SHOWN = 20  # runs that a prune names
_MOMENT = click.DateTime(["%Y-%m-%d", "%Y-%m-%dT%H:%M", "%Y-%m-%dT%H:%M:%S"])


@click.group()
def workflows() -> None:
    """Durable workflows: each finished step is kept, an interrupted run goes on where it was."""


@command(
    workflows,
    "list",
    examples=[
        "holdfast workflows list --status failed --limit 20",
        "holdfast workflows list --since 2026-11-23 --text bees",
    ],
)
@click.option("--status", type=_STATUS, help="Only runs of this status.")
@click.option("--name", help="Only runs of this workflow.")
@click.option("--since", type=_MOMENT, help="Only runs started then or later (UTC).")
@click.option("--until", type=_MOMENT, help="Only runs started before then (UTC).")
@click.option("--text", help="Only runs with this in their input.")
@click.option(
    "--limit", type=click.IntRange(1), default=100, show_default=True, help="How many at most."
)
def list_(terminal: Terminal, **wanted: Any) -> None:
    """List runs, the newest first."""
    for edge in ("since", "until"):
        wanted[edge] = wanted[edge] and wanted[edge].replace(tzinfo=UTC)
    with terminal.open().workflows as engine:
        runs = engine.list(**wanted)
    columns = {"id": "Id", "name": "Workflow", "status": "Status", "createdAt": "Started"}
    rows = [{**_facts(run), "status": _status(run)} for run in runs]
    terminal.emit_rows(rows, columns, empty="There are no runs.")


@command(workflows, "show", examples=["holdfast workflows show bees-2026"])
@click.argument("run_id", metavar="RUN")
def show(terminal: Terminal, run_id: str) -> None:
    """Show a run and its finished steps."""
    with terminal.open().workflows as engine:
        run, steps = engine.get(run_id), list(engine.steps(run_id))
    document = {**_facts(run), "status": _status(run), "steps": msgspec.to_builtins(steps)}
    terminal.emit(document, lambda: "\n".join(_described(run, steps)))


@command(
    workflows,
    "run",
    examples=[
        "holdfast workflows run research.py --input '[\"bees\"]' --id bees-2026",
        'holdfast workflows run research.py:research --input \'{"topic": "bees"}\'',
        "holdfast workflows run nightly-report",
    ],
)
@click.argument("target", metavar="NAME|FILE[:NAME]")
@click.option("--input", "given", default="[]", help="JSON: an array of arguments or an object.")
@click.option("--id", "run_id", help="The run's id: the same one again is the same run.")
def run(terminal: Terminal, target: str, given: str, run_id: str | None) -> None:
    """Run a declared workflow, or one of a Python file (this runs its code), to its end."""
    workspace = terminal.open()
    if target.endswith(".py") or ":" in target:
        workflow, (args, kwargs) = _workflow_of(target), _arguments(given)
        name = workflow.name
    else:
        from holdfast.workflows.tasks import run_declared

        workflow, kwargs, name = run_declared.known_as(target), {}, target
        args = (workspace.declared_workflow(target), _json(given))
    from holdfast.workflows.naming import new_run_id

    run_id = run_id or new_run_id(name)
    terminal.note(f"run {run_id}")
    with workspace.workflows as engine:
        engine.run(workflow, args, kwargs, run_id=run_id)
        _tell(terminal, engine, run_id)


@command(
    workflows,
    "resume",
    examples=["holdfast workflows resume bees-2026", "holdfast workflows resume"],
)
@click.argument("run_id", metavar="[RUN]", required=False)
def resume(terminal: Terminal, run_id: str | None) -> int:
    """Go on with an interrupted or failed run, or with all interrupted ones.

    A failed run goes on from the step that failed. This runs the code of their files.
    """
    with terminal.open().workflows as engine:
        if run_id is not None:
            failed = engine.get(run_id).status == "failed"
            go_on = engine.retry if failed else engine.resume
            go_on(run_id, load=True, inline=True).result()
            _tell(terminal, engine, run_id)
            return 0
        outcomes = [_awaited(started) for started in engine.recover(load=True)]
        terminal.emit_rows(
            outcomes,
            {"id": "Id", "status": "Status", "error": "Error"},
            empty="There is no interrupted run.",
        )
    return 1 if any(outcome["error"] for outcome in outcomes) else 0


@command(workflows, "cancel", examples=["holdfast workflows cancel bees-2026"])
@click.argument("run_id", metavar="RUN")
def cancel(terminal: Terminal, run_id: str) -> None:
    """Cancel a run for good, wherever it is executed; it ends at its next step."""
    with terminal.open().workflows as engine:
        engine.cancel(run_id)
    terminal.emit({"id": run_id, "status": "cancelled"}, f"Cancelled {run_id}")


@command(
    workflows,
    "fork",
    examples=["holdfast workflows fork bees-2026 --from publish-1", "holdfast workflows fork b"],
)
@click.argument("run_id", metavar="RUN")
@click.option("--from", "step", metavar="STEP", help="Begin before this step; else after all.")
@click.option("--id", "new_id", help="The new run's id.")
def fork(terminal: Terminal, run_id: str, step: str | None, new_id: str | None) -> None:
    """Run anew with the first steps of another run; this runs the code of its file."""
    with terminal.open().workflows as engine:
        forked = engine.fork(run_id, from_step=step, new_id=new_id, load=True, inline=True)
        forked.result()
        _tell(terminal, engine, forked.id)


@command(
    workflows,
    "signal",
    examples=['holdfast workflows signal bees-2026 approved --value \'{"by": "Ada"}\''],
)
@click.argument("run_id", metavar="RUN")
@click.argument("name")
@click.option("--value", default="null", help="JSON; what wait_for gives the run.")
def signal(terminal: Terminal, run_id: str, name: str, value: str) -> None:
    """Send a run a signal that it waits for, or will."""
    with terminal.open().workflows as engine:
        engine.signal(run_id, name, _json(value, "--value"))
    terminal.emit({"id": run_id, "signal": name}, f"Sent {name} to {run_id}")


@command(
    workflows,
    "worker",
    examples=["holdfast workflows worker", "holdfast workflows worker research.py --poll 1"],
)
@click.argument("files", nargs=-1, type=Place(), metavar="[FILE]...")
@click.option(
    "--poll",
    type=click.FloatRange(0, min_open=True),
    default=0.5,
    show_default=True,
    help="Seconds between two looks at the store.",
)
@click.option(
    "--threads",
    type=click.IntRange(1),
    default=32,
    show_default=True,
    help="Runs at once, at most.",
)
def worker(terminal: Terminal, files: tuple[Path, ...], poll: float, threads: int) -> None:
    """Execute what is queued, due, interrupted or scheduled, until it is stopped.

    Schedules are those of the workflows in the given files. Ctrl-C or SIGTERM ends it: what was
    being executed goes on in the next worker.
    """
    from holdfast.workflows.loading import load_file
    from holdfast.workflows.serving import serve

    for file in files:
        load_file(file)
    terminal.note("working; end it with Ctrl-C")
    settings = terminal.open().settings.workflows
    serve(settings.url, durability=settings.durability, poll=poll, threads=threads)


@command(
    workflows,
    "prune",
    examples=[
        "holdfast workflows prune --older-than 30 --dry-run",
        "holdfast workflows prune --older-than 30 --yes",
    ],
)
@click.option(
    "--older-than",
    type=click.FloatRange(0),
    required=True,
    metavar="DAYS",
    help="Runs that finished before then.",
)
@click.option("--dry-run", is_flag=True, help="Only say which.")
@click.option("--yes", is_flag=True, help="Do not ask.")
def prune(terminal: Terminal, older_than: float, dry_run: bool, yes: bool) -> None:
    """Delete finished runs and their steps, and show before which. Unfinished ones stay.

    A list of the runs with their steps' results goes to quarantine first, to be read with jq; the
    runs themselves do not come back. The children of a run that has not finished stay as well.
    """
    seconds = older_than * 86_400
    workspace = terminal.open()
    with workspace.workflows as engine:
        began = time.monotonic()
        doomed = engine.prunable(older_than=seconds)
        if dry_run or not doomed:
            ids = [run.id for run in doomed]
            terminal.emit({"dryRun": dry_run, "wouldDelete": ids}, lambda: _plan_of(doomed))
            return
        terminal.note(_plan_of(doomed))
        terminal.require_consent("Delete them for good?", yes=yes)
        entry = _keep_list(engine, workspace, doomed)
        # No run that came of age meanwhile, as it is not in the list.
        deleted = engine.prune(older_than=seconds + time.monotonic() - began + 0.001)
    terminal.emit(
        {"deleted": deleted, "quarantine": entry.id},
        f"Deleted {deleted} run(s); their list is in quarantine as {entry.id}",
    )


def _keep_list(
    engine: "Workflows", workspace: "Workspace", doomed: "Sequence[RunInfo]"
) -> "QuarantineEntry":
    """Put what is known of the runs to be deleted in quarantine, as JSON Lines."""
    from holdfast.durable import points
    from holdfast.durable.journal import JournalWriter

    path = workspace.layout.state / "pruned-runs.jsonl"
    writer = JournalWriter(path, durability="power")
    try:
        for run in doomed:
            steps = [msgspec.to_builtins(step) for step in engine.steps(run.id)]
            writer.append(msgspec.json.encode({"run": msgspec.to_builtins(run), "steps": steps}))
    finally:
        writer.close()
    with points.unrecorded():  # putting the list back would undo nothing
        return workspace.quarantine.take(path, reason=f"list of {len(doomed)} pruned runs")


def _plan_of(doomed: "Sequence[RunInfo]") -> str:
    """What a prune deletes: how many of each workflow and status, and the newest of them."""
    counts = Counter((run.name, run.status) for run in doomed)
    lines = [f"Would delete {len(doomed)} run(s)"]
    lines += [f"  {count:>6}  {name} {status}" for (name, status), count in sorted(counts.items())]
    lines += [f"  {run.id}" for run in doomed[:_SHOWN]]
    if len(doomed) > _SHOWN:
        lines.append(f"  and {len(doomed) - _SHOWN} more")
    return "\n".join(lines)


def _workflow_of(target: str) -> "Workflow[..., Any]":
    """The workflow that ``FILE`` or ``FILE:NAME`` names. Raises `NotFoundError`, `UsageError`."""
    from holdfast.workflows.loading import load_file

    file, colon, name = target.rpartition(":")
    if not colon or Path(target).is_file() or "/" in name or "\\" in name:
        file, name = target, ""  # also the colon of a drive, as in D:\\work\\research.py
    found = {workflow.name: workflow for workflow in load_file(Path(file))}
    if name:
        found = {key: value for key, value in found.items() if key == name}
    if not found:
        raise NotFoundError(f"no workflow {name}".rstrip() + " in this file", path=file)
    if len(found) > 1:
        names = ", ".join(sorted(found))
        raise UsageError(
            f"several workflows: {names}", path=file, hint=f"name one: {file}:{min(found)}"
        )
    return next(iter(found.values()))


def _arguments(given: str) -> tuple[tuple[Any, ...], dict[str, Any]]:
    data = _json(given)
    if isinstance(data, dict):
        return (), data
    if isinstance(data, list):
        return tuple(data), {}
    raise UsageError("--input is a JSON array of arguments or a JSON object of named ones")


def _json(given: str, option: str = "--input") -> Any:
    try:
        return msgspec.json.decode(given.encode())
    except msgspec.DecodeError as error:
        raise UsageError(
            f"{option} is not JSON: {error}", hint="for example '[\"bees\"]'"
        ) from error


def _tell(terminal: Terminal, engine: "Workflows", run_id: str) -> None:
    facts = _facts(engine.get(run_id))
    result = msgspec.json.encode(facts["result"]).decode()
    terminal.emit(facts, f"{run_id} {facts['status']}: {result}")


def _awaited(run: "Run[Any]") -> dict[str, Any]:
    try:
        run.result()
    except HoldfastError as error:
        return {"id": run.id, "status": run.status, "error": str(error)}
    return {"id": run.id, "status": run.status, "error": None}


def _facts(run: "RunInfo") -> dict[str, Any]:
    facts: dict[str, Any] = msgspec.to_builtins(run)
    return facts


def _status(run: "RunInfo") -> str:
    return "interrupted" if run.interrupted else run.status


def _described(run: "RunInfo", steps: "Sequence[StepInfo]") -> list[str]:
    from holdfast.workflows.declarations import given_to

    lines = [
        f"{run.id}  {run.name}  {_status(run)}",
        f"  started   {run.created_at:%Y-%m-%d %H:%M:%S} UTC",
        f"  input     {msgspec.json.encode(given_to(run)).decode()}",
    ]
    if run.finished_at is not None:
        lines.append(f"  finished  {run.finished_at:%Y-%m-%d %H:%M:%S} UTC")
    if run.status == "succeeded":
        lines.append(f"  result    {msgspec.json.encode(run.result).decode()}")
    if run.error is not None:
        lines += [f"  error     {run.error}", *_indented(run.error.traceback)]
    if run.due_at is not None:
        lines.append(f"  due       {run.due_at:%Y-%m-%d %H:%M:%S} UTC")
    if run.interrupted:
        lines.append(f"  go on with: holdfast workflows resume {run.id}")
    lines.append(f"  steps     {len(steps)}")
    for step in steps:
        times = "" if step.attempts == 1 else f"  {step.attempts} attempts"
        error = "" if step.error is None else f"  {step.error}"
        lines.append(f"    {step.id}  {step.status}  {step.seconds:.3f} s{times}{error}")
    return lines


def _indented(text: str) -> list[str]:
    return [f"    {line}" for line in text.rstrip().splitlines()]

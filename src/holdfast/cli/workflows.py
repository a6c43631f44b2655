"""``holdfast workflows``: run, look at, resume and cancel durable workflows."""

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click
import msgspec

from holdfast.cli.terminal import Terminal, command
from holdfast.errors import HoldfastError, NotFoundError, UsageError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from holdfast.workflows import Run, RunInfo, StepInfo, Workflow, Workflows

_STATUS = click.Choice(["running", "succeeded", "failed", "cancelled"])


@click.group()
def workflows() -> None:
    """Durable workflows: each finished step is kept, an interrupted run goes on where it was."""


@command(
    workflows,
    "list",
    examples=["holdfast workflows list", "holdfast workflows list --status failed --limit 20"],
)
@click.option("--status", type=_STATUS, help="Only runs of this status.")
@click.option("--name", help="Only runs of this workflow.")
@click.option("--limit", type=click.IntRange(1), default=100, show_default=True)
def list_(terminal: Terminal, status: Any, name: str | None, limit: int) -> None:
    """List runs, the newest first."""
    with terminal.open().workflows as engine:
        runs = engine.list(status=status, name=name, limit=limit)
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
    ],
)
@click.argument("target", metavar="FILE[:NAME]")
@click.option("--input", "given", default="[]", help="JSON: an array of arguments or an object.")
@click.option("--id", "run_id", help="The run's id: the same one again is the same run.")
def run(terminal: Terminal, target: str, given: str, run_id: str | None) -> None:
    """Run a workflow of a Python file to its end; this runs the file's code."""
    args, kwargs = _arguments(given)
    workflow = _workflow_of(target)
    from holdfast.workflows.naming import new_run_id

    run_id = run_id or new_run_id(workflow.name)
    terminal.note(f"run {run_id}")
    with terminal.open().workflows as engine:
        engine.run(workflow, args, kwargs, run_id=run_id)
        _tell(terminal, engine, run_id)


@command(
    workflows,
    "resume",
    examples=["holdfast workflows resume bees-2026", "holdfast workflows resume"],
)
@click.argument("run_id", metavar="[RUN]", required=False)
def resume(terminal: Terminal, run_id: str | None) -> int:
    """Go on with an interrupted run, or with all of them; this runs the code of their files."""
    with terminal.open().workflows as engine:
        if run_id is not None:
            engine.resume(run_id, load=True, inline=True).result()
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


@command(workflows, "prune", examples=["holdfast workflows prune --older-than 30 --yes"])
@click.option("--older-than", type=click.FloatRange(0), required=True, metavar="DAYS")
@click.option("--yes", is_flag=True, help="Do not ask.")
def prune(terminal: Terminal, older_than: float, yes: bool) -> None:
    """Delete finished runs and their steps. Unfinished ones stay."""
    question = f"Delete the runs that finished more than {older_than:g} days ago for good?"
    terminal.require_consent(question, yes=yes)
    with terminal.open().workflows as engine:
        deleted = engine.prune(older_than=older_than * 86_400)
    terminal.emit({"deleted": deleted}, f"Deleted {deleted} run(s)")


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
    try:
        data = msgspec.json.decode(given.encode())
    except msgspec.DecodeError as error:
        raise UsageError(
            f"--input is not JSON: {error}", hint="for example '[\"bees\"]'"
        ) from error
    if isinstance(data, dict):
        return (), data
    if isinstance(data, list):
        return tuple(data), {}
    raise UsageError("--input is a JSON array of arguments or a JSON object of named ones")


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
    lines = [
        f"{run.id}  {run.name}  {_status(run)}",
        f"  started   {run.created_at:%Y-%m-%d %H:%M:%S} UTC",
        f"  input     {msgspec.json.encode(run.input).decode()}",
    ]
    if run.finished_at is not None:
        lines.append(f"  finished  {run.finished_at:%Y-%m-%d %H:%M:%S} UTC")
    if run.status == "succeeded":
        lines.append(f"  result    {msgspec.json.encode(run.result).decode()}")
    if run.error is not None:
        lines += [f"  error     {run.error}", *_indented(run.error.traceback)]
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

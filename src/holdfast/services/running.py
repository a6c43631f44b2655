"""Runs executed in a process of their own, which outlives whoever started them."""

import sys
import time
from pathlib import Path
from typing import Any

from holdfast.durable.files import remove
from holdfast.errors import HoldfastError
from holdfast.facade import Workspace, open_workspace
from holdfast.services.processes import spawn_detached
from holdfast.workflows import RunInfo

_LOOK = 0.1  # seconds
_MODULE = "holdfast.services.running"


def start_declared(
    workspace: Workspace, name: str, value: Any, *, run_id: str | None = None, wait: float = 0.0
) -> RunInfo:
    """Start a run of the declared workflow `name`; what is known of it after `wait` seconds.

    The same `run_id` again is the same run. Raises `NotFoundError`, `UsageError`, `ConflictError`
    when that run has another input.
    """
    from holdfast.workflows.tasks import run_declared

    declaration = workspace.declared_workflow(name)
    engine = workspace.workflows
    run = engine.enqueue(run_declared.known_as(name), (declaration, value), run_id=run_id)
    return _executed(workspace, engine.get(run.id), wait)


def resume_run(workspace: Workspace, run_id: str, *, wait: float = 0.0) -> RunInfo:
    """Go on with an interrupted or failed run; what is known of it after `wait` seconds.

    One that succeeded, was cancelled or is being executed is only looked at. Raises
    `NotFoundError`.
    """
    return _executed(workspace, workspace.workflows.get(run_id), wait)


def _executed(workspace: Workspace, run: RunInfo, wait: float) -> RunInfo:
    """Let a process go on with the run if nobody does, and wait for its end."""
    layout = workspace.layout
    to_do = run.status in ("queued", "waiting", "failed") or run.interrupted
    if not to_do:
        return _awaited(workspace, run, wait, None)
    arguments = [sys.executable, "-P", "-m", _MODULE, str(layout.root), run.id]
    store = workspace.settings.workflows
    settings = [f"workflows.url={store.url}", f"workflows.durability={store.durability}"]
    spawn_detached([*arguments, *settings], cwd=layout.root, output=_output(layout.state, run.id))
    return _awaited(workspace, run, wait, run.status)


def _awaited(workspace: Workspace, run: RunInfo, wait: float, before: str | None) -> RunInfo:
    """The run once it has ended, or after `wait` seconds; `before` is its status before."""
    deadline = time.monotonic() + wait
    while time.monotonic() < deadline:
        run = workspace.workflows.get(run.id)
        taken_up = before != "failed" or run.status != "failed"
        if run.finished_at is not None and taken_up:
            return run
        if taken_up:
            before = None
        time.sleep(_LOOK)
    return workspace.workflows.get(run.id)


def _output(state: Path, run_id: str) -> Path:
    """What the process prints; it stays when that process dies, and only then."""
    return state / "runs" / f"{run_id}.out"


def main() -> int:
    """Execute one run to its end: ``python -m holdfast.services.running ROOT RUN [SETTING]...``."""
    root, run_id, *settings = sys.argv[1:]
    with open_workspace(root, settings) as workspace:
        engine = workspace.workflows
        failed = engine.get(run_id).status == "failed"
        try:
            (engine.retry if failed else engine.resume)(run_id, load=True, inline=True).result()
        except HoldfastError as error:
            print(error, file=sys.stderr)  # noqa: T201  kept with the run's output
            if engine.get(run_id).finished_at is None:
                return error.exit_status
        remove(_output(workspace.layout.state, run_id))
    return 0


if __name__ == "__main__":
    sys.exit(main())

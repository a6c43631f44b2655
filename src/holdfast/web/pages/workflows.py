"""Workflows: the runs, by all that they can be filtered by; what can be done with one."""

import time
from collections.abc import Callable, Sequence
from typing import Any, cast, get_args

from starlette.routing import Route

from holdfast.errors import HoldfastError, NotFoundError, UsageError
from holdfast.facade import Workspace
from holdfast.web.errands import Errand, Errands
from holdfast.web.page import Asked, Done, Page, act, show
from holdfast.web.pages.run import is_resumable, run
from holdfast.web.rendering import link
from holdfast.workflows import Workflows
from holdfast.workflows.naming import new_run_id
from holdfast.workflows.records import Status

PAGE = Page("Workflows", "/workflows", "workflows")

_ROWS = 50
_STATUSES = [status for status in get_args(Status) if status != "unreadable"]
_PATIENCE = 15.0  # seconds in which a command should have begun with a run
_PAUSE = 0.05


def routes() -> Sequence[Route]:
    return [
        show("/workflows", "workflows.html", runs),
        show("/workflows/{run}", "run.html", run),
        act("/workflows/{run}/resume", resume),
        act("/workflows/{run}/cancel", cancel),
        act("/workflows/{run}/fork", fork),
    ]


def runs(workspace: Workspace, asked: Asked) -> dict[str, Any]:
    """A page of runs, the newest first; ``before`` is the serial of the last one shown."""
    engine = workspace.workflows
    found = engine.list(
        status=_status(asked),
        name=asked.text("name"),
        since=asked.moment("since"),
        until=asked.moment("until"),
        text=asked.text("text"),
        before=asked.number("before"),
        limit=_ROWS + 1,
    )
    counts = engine.count_by_status()
    return {
        "runs": found[:_ROWS],
        "next": found[_ROWS - 1].serial if len(found) > _ROWS else None,
        "counts": [(status, counts.get(status, 0)) for status in _STATUSES],
        "total": sum(counts.values()),
    }


def resume(workspace: Workspace, asked: Asked) -> Done:
    """Go on with an interrupted or failed run."""
    engine, run_id = workspace.workflows, asked.path["run"]
    if not is_resumable(engine.get(run_id)):
        raise UsageError(f"run {run_id} is neither interrupted nor failed")
    errand = asked.start(["workflows", "resume", run_id])
    return _once(
        asked.errands, errand, run_id, lambda: not is_resumable(engine.get(run_id)), "Resumed"
    )


def cancel(workspace: Workspace, asked: Asked) -> Done:
    """Cancel a run for good."""
    run_id = asked.path["run"]
    workspace.workflows.cancel(run_id)
    return Done(link("/workflows", run_id), f"Cancelled {run_id}")


def fork(workspace: Workspace, asked: Asked) -> Done:
    """Run anew with the first steps of a run."""
    engine, run_id = workspace.workflows, asked.path["run"]
    new_id = new_run_id(engine.get(run_id).name)
    step = asked.text("step")
    before = ["--from", step] if step else []
    errand = asked.start(["workflows", "fork", run_id, "--id", new_id, *before])
    return _once(asked.errands, errand, new_id, lambda: _is_there(engine, new_id), "Forked as")


def _once(
    errands: Errands, errand: Errand, run_id: str, begun: Callable[[], bool], told: str
) -> Done:
    """To the run once its command has begun with it; to the command when it ended before."""
    deadline = time.monotonic() + _PATIENCE
    while time.monotonic() < deadline:
        if begun():
            return Done(link("/workflows", run_id), f"{told} {run_id}")
        if errands.wait(errand, _PAUSE) and not begun():
            break
    return Done(link("/errands", errand.id))


def _is_there(engine: Workflows, run_id: str) -> bool:
    try:
        engine.get(run_id)
    except NotFoundError:
        return False
    except HoldfastError:
        return True
    return True


def _status(asked: Asked) -> Status | None:
    text = asked.text("status")
    if text is not None and text not in _STATUSES:
        raise UsageError(f"no status is called {text!r}", hint=f"one of: {', '.join(_STATUSES)}")
    return cast("Status | None", text)

"""Workflows: the runs, by all that they can be filtered by."""

from collections.abc import Sequence
from typing import Any, cast, get_args

from starlette.routing import Route

from holdfast.errors import UsageError
from holdfast.facade import Workspace
from holdfast.web.page import Asked, Page, show
from holdfast.workflows.records import Status

PAGE = Page("Workflows", "/workflows", "workflows")

_ROWS = 50
_STATUSES = [status for status in get_args(Status) if status != "unreadable"]


def routes() -> Sequence[Route]:
    return [show("/workflows", "workflows.html", runs)]


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


def _status(asked: Asked) -> Status | None:
    text = asked.text("status")
    if text is not None and text not in _STATUSES:
        raise UsageError(f"no status is called {text!r}", hint=f"one of: {', '.join(_STATUSES)}")
    return cast("Status | None", text)

"""The overview: is all well, is all backed up and proven, what needs doing."""

from collections.abc import Sequence
from datetime import timedelta
from itertools import islice
from typing import Any

from starlette.routing import Route

from holdfast.errors import HoldfastError, UsageError
from holdfast.facade import Workspace
from holdfast.upkeep.activity import Activity, activity
from holdfast.upkeep.status import workspace_status
from holdfast.web.charts import bars
from holdfast.web.page import Asked, Done, Page, act, show
from holdfast.web.rendering import link

PAGE = Page("Overview", "/", "overview")

# What may be run by a button: what asks nothing and destroys nothing.
_RUNNABLE = {
    "holdfast backup create": ("backup", "create"),
    "holdfast backup verify": ("backup", "verify"),
    "holdfast backup drill": ("backup", "drill"),
    "holdfast agents discover": ("agents", "discover"),
    "holdfast status --fix": ("status", "--fix"),
}
_ERRANDS = 5
_FAILED = 5


def routes() -> Sequence[Route]:
    return [show("/", "overview.html", overview), act("/do", do)]


def overview(workspace: Workspace, asked: Asked) -> dict[str, Any]:
    """Everything at a glance."""
    status = workspace_status(workspace)
    return {
        "status": status,
        "unreadable": [store for store in status.stores if store.health == "unreadable"],
        "backups": next(store for store in status.stores if store.name == "backups"),
        "todo": [(line, line in _RUNNABLE) for line in status.next],
        "charts": _charts(workspace),
        "failed": _failed(workspace),
        "errands": list(islice(asked.errands.newest_first(), _ERRANDS)),
    }


def do(workspace: Workspace, asked: Asked) -> Done:
    """Run one of the commands that the overview proposes."""
    line = asked.text("command") or ""
    if line not in _RUNNABLE:
        raise UsageError(f"no button runs {line!r}", hint="run it in a terminal")
    errand = asked.start(_RUNNABLE[line])
    return Done(link("/errands", errand.id))


def _charts(workspace: Workspace) -> list[dict[str, Any]]:
    """Runs and events hour by hour; nothing when a store cannot be read, which is told above."""
    try:
        found = activity(workspace)
    except HoldfastError:
        return []
    return [
        _chart("Runs begun", "/workflows", found, found.runs),
        _chart("Events appended", "/events", found, found.events),
    ]


def _chart(title: str, path: str, found: Activity, counts: list[int]) -> dict[str, Any]:
    moments = [found.since + timedelta(seconds=found.seconds * n) for n in range(len(counts))]
    return {
        "title": title,
        "path": path,
        "total": sum(counts),
        "since": found.since,
        "bars": list(zip(bars(counts), moments, strict=True)),
    }


def _failed(workspace: Workspace) -> list[Any]:
    try:
        return workspace.workflows.list(status="failed", limit=_FAILED)
    except HoldfastError:
        return []

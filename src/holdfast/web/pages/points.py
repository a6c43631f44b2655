"""Undo points: what each command, or an agent's tool, destroyed; and it comes back.

In no navigation: Backups leads to it.
"""

from collections.abc import Sequence
from typing import Any

from starlette.routing import Route

from holdfast.facade import Workspace
from holdfast.upkeep.undo import list_points
from holdfast.upkeep.undo import undo as plan_or_undo
from holdfast.web.page import Asked, Done, act, after, show
from holdfast.web.paging import page_of
from holdfast.web.plans import check_agreed, digest_of

_ROWS = 100


def routes() -> Sequence[Route]:
    return [
        show("/backups/points", "points.html", points),
        show("/backups/points/{point}", "point.html", point),
        act("/backups/points/{point}/undo", undo),
    ]


def points(workspace: Workspace, asked: Asked) -> dict[str, Any]:
    """A page of the points, the newest first."""
    text = (asked.text("text") or "").casefold()
    known = [each for each in list_points(workspace) if text in each.command.casefold()]
    return page_of(known, asked, _ROWS)


def point(workspace: Workspace, asked: Asked) -> dict[str, Any]:
    """What undoing one point would do."""
    plan = plan_or_undo(workspace, asked.path["point"], dry_run=True)
    known = {each.id: each for each in list_points(workspace)}
    return {
        "plan": plan,
        "point": known[plan.point],
        **page_of([*plan.steps, *plan.left], asked, _ROWS),
        "digest": digest_of(plan.steps),
    }


def undo(workspace: Workspace, asked: Asked) -> Done:
    """Undo what was planned, as an errand. Raises `ConflictError` for another plan by now."""
    plan = plan_or_undo(workspace, asked.path["point"], dry_run=True)
    check_agreed(asked, plan.steps)
    return after(asked, asked.start(["undo", plan.point, "--yes"]), "/backups/points")

"""Disk: what takes the space, what of it can go, and what has gone to quarantine."""

import time
from collections.abc import Sequence
from datetime import datetime
from pathlib import PurePosixPath
from typing import Any

from starlette.routing import Route

from holdfast.errors import UsageError
from holdfast.facade import Workspace
from holdfast.upkeep.cleaning import CleanItem, CleanReport
from holdfast.upkeep.clutter import KINDS
from holdfast.upkeep.usage import Usage
from holdfast.web.errands import Errands
from holdfast.web.page import Asked, Done, Page, act, show
from holdfast.web.rendering import link
from holdfast.web.treemap import subtrees, treemap

PAGE = Page("Disk", "/disk", "disk")

_MEASURE = ("usage", "--depth", "12", "--large", "1MB", "--top", "30")
_PLAN = ("clean",)
_FOLDERS = 200
_ITEMS = 200
_DAY = 86_400.0


def routes() -> Sequence[Route]:
    return [
        show("/disk", "disk.html", disk),
        act("/disk/measure", measure),
        act("/disk/clean", clean),
        act("/disk/quarantine/empty", empty),
        act("/disk/quarantine/{entry}/restore", restore),
    ]


def disk(workspace: Workspace, asked: Asked) -> dict[str, Any]:
    """What takes the space of one folder of the workspace, and what can go from all of it."""
    surveys, cleaned = asked.errands.surveys, _last_cleaned(asked.errands)
    usage = surveys.get(_MEASURE, Usage, since=cleaned)
    plan = surveys.get(_PLAN, CleanReport, since=cleaned)
    return {
        "usage": usage,
        "folder": None if usage.answer is None else _folder(usage.answer, asked),
        "plan": plan,
        "kinds": _by_kind(plan.answer.items if plan.answer else []),
        "most": _ITEMS,
        "quarantine": workspace.quarantine.list_entries()[::-1],
    }


def measure(workspace: Workspace, asked: Asked) -> Done:
    """Measure again, and look again for what can go."""
    asked.errands.surveys.renew(_MEASURE, Usage)
    asked.errands.surveys.renew(_PLAN, CleanReport)
    return Done(link("/disk", folder=asked.fields.get("folder")))


def clean(workspace: Workspace, asked: Asked) -> Done:
    """Move what is of the chosen kinds to quarantine."""
    kinds = asked.fields.getlist("kind")
    if not kinds or not set(kinds) <= set(KINDS):
        raise UsageError("no kind of clutter is chosen", hint=f"one of: {', '.join(KINDS)}")
    chosen = [word for kind in kinds for word in ("--kind", kind)]
    errand = asked.start(["clean", "--apply", "--yes", *chosen])
    return Done(link("/errands", errand.id))


def restore(workspace: Workspace, asked: Asked) -> Done:
    """Put one thing back where it was."""
    place = workspace.quarantine.restore(asked.path["entry"])
    return Done("/disk#quarantine", f"Put back to {place}")


def empty(workspace: Workspace, asked: Asked) -> Done:
    """Delete for good what was listed, or what of it is older than some days."""
    newest, days = asked.moment("newest"), asked.number("days", 0) or 0
    if newest is None:
        raise UsageError("it is not told what was listed", hint="go back, load the page again")
    # What came to quarantine since the list was shown was not agreed to.
    age = max(time.time() - newest.timestamp(), days * _DAY)
    gone = workspace.quarantine.empty(older_than=age)
    return Done("/disk#quarantine", f"Deleted {len(gone)} of the quarantine for good")


def _folder(usage: Usage, asked: Asked) -> dict[str, Any]:
    path = asked.fields.get("folder", "")
    tree = usage.below(path)
    folders = [each[0] for each in subtrees(tree)]
    parts = PurePosixPath(path).parts
    return {
        "whole": tree[0],
        "blocks": treemap(tree),
        "folders": folders[:_FOLDERS],
        "more": len(folders) - _FOLDERS,
        "above": [(part, "/".join(parts[:n])) for n, part in enumerate(parts, start=1)],
    }


def _by_kind(items: list[CleanItem]) -> list[dict[str, Any]]:
    found: dict[str, dict[str, Any]] = {}
    for item in items:
        row = found.setdefault(
            item.kind, {"kind": item.kind, "why": KINDS[item.kind], "count": 0, "size": 0}
        )
        row["count"] += 1
        row["size"] += item.size
    return list(found.values())


def _last_cleaned(errands: Errands) -> datetime | None:
    ended = (each.ended for each in errands.newest_first() if each.line[1] == "clean")
    return max(filter(None, ended), default=None)

"""Logs: found by all that lines can be found by, or followed as they are written."""

from collections.abc import Sequence
from typing import Any

from starlette.routing import Route

from holdfast.errors import NotFoundError, UsageError
from holdfast.facade import Workspace
from holdfast.logs.lines import LEVELS
from holdfast.logs.paging import newest_page, place_from
from holdfast.logs.query import Query
from holdfast.logs.sources import list_logs
from holdfast.logs.times import parse_time
from holdfast.web.page import Asked, Page, show
from holdfast.web.tailing import Line, tail_route

PAGE = Page("Logs", "/logs", "logs")

_ROWS = 100
_MOST_ROWS = 1_000


def routes() -> Sequence[Route]:
    return [
        show("/logs", "logs.html", lines),
        show("/logs/tail", "logs_tail.html", tail),
        tail_route("/logs/tail/lines", query_of),
    ]


def lines(workspace: Workspace, asked: Asked) -> dict[str, Any]:
    """A page of lines, the newest first; ``before`` is the place of the last one shown."""
    given: dict[str, Any] = {"lines": [], "older": None, "unreadable": 0, "problem": None}
    try:
        rows = min(asked.number("limit") or _ROWS, _MOST_ROWS)
        before = asked.text("before")
        place = None if before is None else place_from(before)
        found = newest_page(workspace.layout.logs, query_of(asked), rows, place)
        given["lines"] = [Line(record) for record in found.records]
        given |= {"older": found.older, "unreadable": found.unreadable}
    except (UsageError, NotFoundError) as error:
        given["problem"] = error
    return {**given, **_choices(workspace)}


def tail(workspace: Workspace, asked: Asked) -> dict[str, Any]:
    """The window in which new lines appear."""
    problem = None
    try:
        query_of(asked)
    except UsageError as error:
        problem = error
    return {"problem": problem, **_choices(workspace)}


def query_of(asked: Asked) -> Query:
    """What is looked for. Raises `UsageError`."""
    since, until = asked.text("since"), asked.text("until")
    return Query(
        components=tuple((asked.text("component") or "").replace(",", " ").split()),
        level=asked.text("level"),
        since=None if since is None else parse_time(since),
        until=None if until is None else parse_time(until),
        task=asked.text("task"),
        grep=asked.fields.get("grep") or None,  # blanks around it count
    )


def _choices(workspace: Workspace) -> dict[str, Any]:
    try:
        components = sorted({name.component for name in list_logs(workspace.layout.logs).values()})
    except NotFoundError:
        components = []
    return {"levels": list(LEVELS), "components": components}

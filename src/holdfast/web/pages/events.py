"""Events: the streams, and what happened in one or in all of them, live."""

from collections.abc import Iterator, Sequence
from itertools import islice
from typing import Any

from starlette.routing import Route

from holdfast.errors import NotFoundError
from holdfast.events import Event, EventLog
from holdfast.facade import Workspace
from holdfast.web.page import Asked, Page, show

PAGE = Page("Events", "/events", "events")

_STREAMS = 50
_EVENTS = 100
_STRETCH = 10_000  # places that are looked through first for events of one type
_LOOKS = 20  # at ever longer stretches


def routes() -> Sequence[Route]:
    # A stream's name may have any character, so it stands in the query.
    return [
        show("/events", "events.html", events),
        show("/events/stream", "stream.html", stream),
    ]


def events(workspace: Workspace, asked: Asked) -> dict[str, Any]:
    """The streams by name, and the newest events of all of them."""
    log = workspace.events
    found = list(
        islice(
            log.streams(asked.text("prefix") or "", after=asked.text("after") or ""), _STREAMS + 1
        )
    )
    head = log.position()
    shown, older = _newest_first(log, None, asked.number("before", head + 1) or 1, _types(asked))
    return {
        "streams": found[:_STREAMS],
        "next": found[_STREAMS - 1].name if len(found) > _STREAMS else None,
        "head": head,
        "events": shown,
        "older": older,
    }


def stream(workspace: Workspace, asked: Asked) -> dict[str, Any]:
    """The events of one stream, the newest first."""
    log, name = workspace.events, asked.text("name") or ""
    version = log.version(name)
    if not version:
        raise NotFoundError(f"there is no stream {name!r}", hint="it may be archived")
    shown, older = _newest_first(log, name, asked.number("before", version + 1) or 1, _types(asked))
    return {"name": name, "stream_version": version, "events": shown, "older": older}


def _types(asked: Asked) -> list[str] | None:
    text = asked.text("type")
    return None if text is None else [text]


def _newest_first(
    log: EventLog, name: str | None, before: int, types: list[str] | None
) -> tuple[list[Event], int | None]:
    """Up to `_EVENTS` events below the place `before`, and the place to go on at, if any.

    A place is a version in a stream, a position in all of them. Looks back over stretches that
    double, so that a rare type is found without reading everything.
    """
    found: list[Event] = []
    size = _EVENTS if types is None else _STRETCH
    for _ in range(_LOOKS):
        start = max(1, before - size)
        found += list(_between(log, name, start, before, types))[::-1]
        before, size = start, size * 2
        if start == 1 or len(found) >= _EVENTS:
            break
    if len(found) > _EVENTS:
        return found[:_EVENTS], _place(found[_EVENTS - 1], name)
    return found, before if before > 1 else None


def _between(
    log: EventLog, name: str | None, start: int, end: int, types: list[str] | None
) -> Iterator[Event]:
    for event in log.read(name, from_=start, types=types):
        if _place(event, name) >= end:
            return
        yield event


def _place(event: Event, name: str | None) -> int:
    return event.position if name is None else event.version

"""Logs from the newest line back, page by page, without reading all that is older."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import NamedTuple

from holdfast.errors import UsageError
from holdfast.logs.query import Query
from holdfast.logs.reading import Record, Search

_FIRST_LOOK = timedelta(minutes=15)
_WIDER = 16  # times, when there was too little
_LOOKS = 4  # the next one is at everything
_INSTANT = timedelta(microseconds=1)


class Place(NamedTuple):
    """How far a reader came: an instant, and how many lines of that instant were shown."""

    instant: datetime
    shown: int

    def __str__(self) -> str:
        return f"{self.instant.isoformat().replace('+00:00', 'Z')}~{self.shown}"


class Page(NamedTuple):
    """Lines, the newest first; where older ones begin; how many lines could not be read."""

    records: list[Record]
    older: Place | None
    unreadable: int


def place_from(text: str) -> Place:
    """The place that `str` made a text of. Raises `UsageError`."""
    instant, _, shown = text.partition("~")
    try:
        return Place(datetime.fromisoformat(instant).astimezone(UTC), min(int(shown), 1_000_000))
    except (ValueError, OverflowError) as error:
        raise UsageError(f"{text!r} is no place in the logs") from error


def newest_page(directory: Path, query: Query, rows: int, before: Place | None = None) -> Page:
    """The newest `rows` lines that meet `query`, or those that come before a place.

    Raises as `holdfast.logs.search`. Only as much is read as it takes to find them.
    """
    shown = 0
    if before is not None:
        shown = before.shown
        query = replace(query, until=before.instant + _INSTANT)
    found, search = _look_back(directory, query, shown + rows + 1)
    records = found[::-1][shown:]
    older = _place_behind(records[:rows], before) if len(records) > rows else None
    return Page(records[:rows], older, sum(search.unreadable.values()))


def _look_back(directory: Path, query: Query, count: int) -> tuple[list[Record], Search]:
    """The newest `count` lines, oldest first: looked for in longer and longer times."""
    end, time = query.until or datetime.now(UTC), _FIRST_LOOK
    for _ in range(_LOOKS):
        try:
            since = end - time
        except OverflowError:
            break
        if query.since is not None and since <= query.since:
            break
        search = Search(directory, replace(query, since=since), limit=count)
        found = list(search)
        if len(found) == count:
            return found, search
        time *= _WIDER
    search = Search(directory, query, limit=count)
    return list(search), search


def _place_behind(records: list[Record], before: Place | None) -> Place:
    """The place of the last of the lines just shown."""
    instant = _instant(records[-1])
    shown = sum(_instant(record) == instant for record in records)
    if before is not None and before.instant == instant:
        shown += before.shown
    return Place(instant, shown)


def _instant(record: Record) -> datetime:
    return datetime.fromisoformat(f"{record.key[:26]}+00:00")

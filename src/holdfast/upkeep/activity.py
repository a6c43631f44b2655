"""How busy a workspace was, hour by hour, told without reading what was done.

Runs are numbered in the order they began, events in the order they were appended: two numbers at
two times say how many there were in between.
"""

from bisect import bisect_left
from datetime import UTC, datetime, timedelta
from itertools import pairwise

import msgspec

from holdfast.events import EventLog
from holdfast.facade import Workspace
from holdfast.workflows import Workflows


class Activity(msgspec.Struct, frozen=True, rename="camel"):
    """Runs begun and events appended in each span of `seconds`, the oldest first."""

    since: datetime
    seconds: float
    runs: list[int]
    events: list[int]


def activity(
    workspace: Workspace, *, spans: int = 24, span: timedelta = timedelta(hours=1)
) -> Activity:
    """The last `spans` spans, up to now. Raises `StorageError`, `UnreadableError`."""
    now = datetime.now(UTC)
    edges = [now - span * (spans - number) for number in range(spans + 1)]
    return Activity(
        edges[0],
        span.total_seconds(),
        _between(_runs_before(workspace.workflows, edges)),
        _between(_events_before(workspace.events, edges)),
    )


def _between(numbers: list[int]) -> list[int]:
    return [max(0, after - before) for before, after in pairwise(numbers)]


def _runs_before(workflows: Workflows, edges: list[datetime]) -> list[int]:
    """The number of the last run that began before each edge; looked for from the newest on."""
    numbers: list[int] = []
    before: int | None = None
    began: datetime | None = None
    for edge in reversed(edges):
        if not numbers or (began is not None and began >= edge):
            found = workflows.list(until=edge, before=before, limit=1)
            before = found[0].serial + 1 if found else None
            began = found[0].created_at if found else None
        numbers.append(0 if before is None else before - 1)
    return numbers[::-1]


def _events_before(log: EventLog, edges: list[datetime]) -> list[int]:
    """The position of the last event that was recorded before each edge."""
    positions = range(1, log.position() + 1)

    def recorded_at(position: int) -> float:
        found = next(log.read(from_=position, limit=1), None)
        return float("inf") if found is None else found.recorded_at

    numbers: list[int] = []
    for edge in edges:
        low = numbers[-1] if numbers else 0
        numbers.append(bisect_left(positions, edge.timestamp(), lo=low, key=recorded_at))
    return numbers

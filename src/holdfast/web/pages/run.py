"""One run: its steps on a line of time, its input and outcome, what it logged."""

from datetime import UTC, datetime, timedelta
from itertools import islice
from typing import Any, NamedTuple

from holdfast.errors import HoldfastError, NotFoundError
from holdfast.facade import Workspace
from holdfast.logs.reading import search
from holdfast.upkeep.timeline import timeline
from holdfast.web.charts import Span, span_of
from holdfast.web.page import Asked
from holdfast.workflows import RunInfo, StepInfo

_STEPS = 300
_LINES = 200
# Log lines and runs are stamped by different hands; what a run started may log after its end.
_BEFORE, _AFTER = timedelta(seconds=1), timedelta(minutes=5)


class Lane(NamedTuple):
    """A step, and where it lies on the line of time: nowhere when another run performed it."""

    step: StepInfo
    span: Span | None


def run(workspace: Workspace, asked: Asked) -> dict[str, Any]:
    """A run. Steps that went on at the same time lie below each other on the line of time."""
    engine, run_id = workspace.workflows, asked.path["run"]
    found = engine.get(run_id)
    first = asked.number("first") or 0
    steps = list(islice(engine.steps(run_id), first, first + _STEPS + 1))
    end = _end(found, steps)
    whole = (end - found.created_at).total_seconds()
    problems: list[HoldfastError] = []
    return {
        "run": found,
        "resumable": is_resumable(found),
        "whole": whole,
        "lanes": [_lane(step, found.created_at, whole) for step in steps[:_STEPS]],
        "first": first,
        "later": first + _STEPS if len(steps) > _STEPS else None,
        "open": None if len(steps) > _STEPS else _open(found, steps, end, whole),
        "chosen": _chosen(workspace, asked),
        "records": _lines(workspace, found, asked.text("step"), problems),
        "problems": problems,
        "errands": [each for each in asked.errands.newest_first() if run_id in each.line],
    }


def is_resumable(found: RunInfo) -> bool:
    """Whether there is something to go on with."""
    return found.interrupted or found.status == "failed"


def _end(found: RunInfo, steps: list[StepInfo]) -> datetime:
    """When the line of time ends: a run's end is kept in whole milliseconds, a step's is not."""
    last = max((_ended(step) for step in steps), default=found.created_at)
    return max(last, found.finished_at or (found.created_at if found.interrupted else _now()))


def _lane(step: StepInfo, start: datetime, whole: float) -> Lane:
    taken_over = step.started_at < start  # by a fork
    return Lane(step, None if taken_over else span_of(step.started_at, step.seconds, start, whole))


def _open(found: RunInfo, steps: list[StepInfo], end: datetime, whole: float) -> Span | None:
    """The time since the last step ended, of a run that goes on."""
    if found.status != "running" or found.interrupted:
        return None
    since = max((_ended(step) for step in steps), default=found.created_at)
    return span_of(since, (end - since).total_seconds(), found.created_at, whole)


def _chosen(workspace: Workspace, asked: Asked) -> StepInfo | None:
    wanted, run_id = asked.text("step"), asked.path["run"]
    if wanted is None:
        return None
    for step in workspace.workflows.steps(run_id):
        if step.id == wanted:
            return step
    raise NotFoundError(f"run {run_id} has no finished step {wanted!r}")


def _lines(
    workspace: Workspace, found: RunInfo, step: str | None, problems: list[HoldfastError]
) -> list[Any]:
    """What the run, or one step, logged, and what the other stores say of it."""
    task = f"{found.id}:{step}" if step else found.id
    logged = search(
        workspace.layout.logs,
        task=task,
        since=found.created_at - _BEFORE,
        until=found.finished_at and found.finished_at + _AFTER,
        limit=_LINES,
    )
    try:
        return list(timeline(workspace, logged, task, problems))
    except HoldfastError as error:
        problems.append(error)
        return []


def _ended(step: StepInfo) -> datetime:
    return step.started_at + timedelta(seconds=step.seconds)


def _now() -> datetime:
    return datetime.now(UTC)

"""Starting workflows by the clock: at each minute of a schedule, once in the whole store.

The run's id is made of the workflow's name and the minute, so however many workers see the minute
come, and whichever way the clock is stepped, it is started once. The store keeps the last minute
that was seen to, so that the next worker knows what passed while none was there; the workflow's
`catch_up` says what becomes of that.
"""

from collections.abc import Callable, Iterable, Iterator
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any, Literal
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

import msgspec

from holdfast.errors import HoldfastError, UsageError

if TYPE_CHECKING:
    from holdfast.workflows.definitions import Workflow
    from holdfast.workflows.store import WorkflowStore

CatchUp = Literal["once", "each", "none"]
"""What to start for the minutes that passed without a worker: the last of them, each, or none."""

_FAR = timedelta(hours=1)  # a minute seen to that far ahead was of a clock that went wrong


def check_schedule(name: str, cron: str, timezone: str) -> None:
    """Raise `UsageError` unless the schedule of the workflow `name` is understood."""
    next_minute(name, cron, timezone, datetime.now(UTC))


def next_minute(name: str, cron: str, timezone: str, after: datetime) -> datetime:
    """The first minute of the schedule after then, in UTC."""
    return _first(name, cron, timezone, after, backwards=False)


def last_minute(name: str, cron: str, timezone: str, until: datetime) -> datetime:
    """The last minute of the schedule that had come by then, in UTC."""
    after = until.replace(second=0, microsecond=0) + timedelta(minutes=1)
    return _first(name, cron, timezone, after, backwards=True)


def _first(name: str, cron: str, timezone: str, after: datetime, *, backwards: bool) -> datetime:
    from cronsim import CronSim, CronSimError

    try:
        zone = UTC if timezone == "UTC" else ZoneInfo(timezone)
        minutes = CronSim(cron, after.astimezone(zone), reverse=backwards)
        return next(minutes).astimezone(UTC)
    except (CronSimError, ZoneInfoNotFoundError, ValueError, StopIteration) as error:
        raise UsageError(
            f"the schedule of workflow {name} is not understood: {cron!r} in {timezone}",
            hint='five fields as in crontab, e.g. cron="0 3 * * *", timezone="Europe/Berlin"',
        ) from error


class Schedule:
    """The minutes that one worker sees to, of the workflows it knows. `since` is when it began."""

    def __init__(self, store: "WorkflowStore", since: datetime) -> None:
        self._store = store
        self._since = since
        self._looked: dict[str, tuple[datetime, datetime]] = {}  # when, and until when not again

    def start_due(
        self,
        workflows: Iterable["Workflow[..., Any]"],
        now: datetime,
        start: Callable[["Workflow[..., Any]", str], object],
    ) -> None:
        """Call `start` with each workflow whose minute has come, and the id of that run.

        What it raises keeps none of the others; it is raised at the end, and due again.
        """
        failed: HoldfastError | None = None
        for workflow in workflows:
            if workflow.cron is None:
                continue
            looked, upcoming = self._looked.get(workflow.name, (now, now))
            if looked <= now < upcoming:
                continue
            try:
                self._see_to(workflow, workflow.cron, now, start)
            except HoldfastError as error:
                failed = failed or error
                continue
            upcoming = next_minute(workflow.name, workflow.cron, workflow.timezone, now)
            self._looked[workflow.name] = now, upcoming
        if failed is not None:
            raise failed

    def _see_to(
        self,
        workflow: "Workflow[..., Any]",
        cron: str,
        now: datetime,
        start: Callable[["Workflow[..., Any]", str], object],
    ) -> None:
        note = f"cron-{workflow.name}"
        before = self._store.read_note(note)
        done = self._since if before is None else msgspec.json.decode(before, type=datetime)
        if done > now + _FAR or workflow.catch_up == "none":
            done = min(max(done, self._since), now)
        for minute in self._missed(workflow, cron, done, now):
            start(workflow, f"{workflow.name}-{minute:%Y%m%dT%H%MZ}")
            done = minute
        after = msgspec.json.encode(done)
        if after != before:
            self._store.swap_note(note, before, after)

    def _missed(
        self, workflow: "Workflow[..., Any]", cron: str, done: datetime, now: datetime
    ) -> Iterator[datetime]:
        if workflow.catch_up != "each":
            last = last_minute(workflow.name, cron, workflow.timezone, now)
            if last > done:
                yield last
            return
        minute = next_minute(workflow.name, cron, workflow.timezone, done)
        while minute <= now:
            yield minute
            minute = next_minute(workflow.name, cron, workflow.timezone, minute)

"""Starting workflows by the clock: at each minute of a schedule, once in the whole store.

The run's id is made of the workflow's name and the minute, so however many workers see the minute
come, and whichever way the clock is stepped, it is started once. A minute that passed while no
worker was there is not made up for.
"""

from collections.abc import Iterable
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from holdfast.errors import UsageError

if TYPE_CHECKING:
    from holdfast.workflows.definitions import Workflow


def check_schedule(name: str, cron: str, timezone: str) -> None:
    """Raise `UsageError` unless the schedule of the workflow `name` is understood."""
    next_minute(name, cron, timezone, datetime.now(UTC))


def next_minute(name: str, cron: str, timezone: str, after: datetime) -> datetime:
    """The first minute of the schedule after then, in UTC."""
    from cronsim import CronSim, CronSimError

    try:
        zone = UTC if timezone == "UTC" else ZoneInfo(timezone)
        return next(CronSim(cron, after.astimezone(zone))).astimezone(UTC)
    except (CronSimError, ZoneInfoNotFoundError, ValueError, StopIteration) as error:
        raise UsageError(
            f"the schedule of workflow {name} is not understood: {cron!r} in {timezone}",
            hint='five fields as in crontab, e.g. cron="0 3 * * *", timezone="Europe/Berlin"',
        ) from error


class Schedule:
    """The workflows that have a schedule, and the minutes since it was last asked."""

    def __init__(self, since: datetime) -> None:
        self._since = since

    def due(
        self, workflows: Iterable["Workflow[..., Any]"], now: datetime
    ) -> list[tuple["Workflow[..., Any]", str]]:
        """Each workflow whose minute came since the last call, with the id of that run.

        Of several minutes that came (the machine slept) it is the last one.
        """
        found = []
        since, self._since = min(self._since, now), now
        for workflow in workflows:
            if workflow.cron is None:
                continue
            came, minute = None, since
            while True:
                minute = next_minute(workflow.name, workflow.cron, workflow.timezone, minute)
                if minute > now:
                    break
                came = minute
            if came is not None:
                found.append((workflow, f"{workflow.name}-{came:%Y%m%dT%H%MZ}"))
        return found

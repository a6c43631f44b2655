"""What is due: once for all the times that passed, also after sleep and when the clock jumped."""

import os
from datetime import UTC, datetime, timedelta
from pathlib import Path

from cronsim import CronSim

from holdfast.durable.names import long_path
from holdfast.durable.trees import walk
from holdfast.schedule.jobs import CHANGE, Planned
from holdfast.schedule.state import JobState

_RETRY = timedelta(hours=1)  # after a failure; doubled by each further one
_LONGEST_RETRY = timedelta(days=1)
_SETTLED = timedelta(seconds=2)  # file systems count in steps of up to that


def time_before(when: str, now: datetime) -> datetime:
    """The last time of `when` (cron, local time) that is not after `now`."""
    local = now.astimezone().replace(tzinfo=None) + timedelta(microseconds=1)
    return next(CronSim(when, local, reverse=True)).astimezone(UTC)


def time_after(when: str, now: datetime) -> datetime | None:
    """The next time of `when`; None for a job that has none."""
    if when == CHANGE:
        return None
    return next(CronSim(when, now.astimezone().replace(tzinfo=None))).astimezone(UTC)


def due_time(job: Planned, state: JobState, now: datetime, configs: Path) -> datetime | None:
    """The time for which the job is to be run now; None when it is not due."""
    if not job.enabled:
        return None
    if state.outcome in ("interrupted", "running"):
        return state.due or now
    if state.outcome == "failed" and state.ended_at is not None:
        waited = now - state.ended_at
        # A negative wait is a clock that was set back.
        if waited >= retry_after(state) or waited < timedelta(0):
            return state.due or now
    if job.when == CHANGE:
        return _change_time(state, configs)
    last = state.due or state.known_since
    time = time_before(job.when, now)
    if last > now + _SETTLED:  # the clock was ahead when it ran: what passed since counts from now
        return time if (state.started_at or last) > now else None
    return time if time > last else None


def retry_after(state: JobState) -> timedelta:
    """How long after its end a failed job is tried again."""
    doubled: int = 2 ** min(max(state.failures - 1, 0), 10)
    return min(_RETRY * doubled, _LONGEST_RETRY)


def _change_time(state: JobState, configs: Path) -> datetime | None:
    """The time of the newest change below `configs` that the last run cannot have seen."""
    newest = newest_change(configs)
    if newest is None or newest <= (state.due or state.known_since):
        return None
    return newest


def newest_change(folder: Path) -> datetime | None:
    """When anything in `folder` last changed; None when there is no such folder."""
    try:
        times = [os.stat(long_path(folder)).st_mtime]  # noqa: PTH116  as in walk
    except FileNotFoundError:
        return None
    times += [each.status.st_mtime for each in walk(folder, on_error=lambda *_: None)]
    return datetime.fromtimestamp(max(times), UTC)

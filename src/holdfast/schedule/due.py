"""What is due: once for all the times that passed, also after sleep and when the clock jumped."""

import os
from collections.abc import Iterator, Sequence
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


def due_time(
    job: Planned, state: JobState, now: datetime, configurations: Sequence[Path]
) -> datetime | None:
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
        return _change_time(state, configurations)
    last = state.due or state.known_since
    time = time_before(job.when, now)
    if last > now + _SETTLED:  # the clock was ahead when it ran: what passed since counts from now
        return time if (state.started_at or last) > now else None
    return time if time > last else None


def retry_after(state: JobState) -> timedelta:
    """How long after its end a failed job is tried again."""
    doubled: int = 2 ** min(max(state.failures - 1, 0), 10)
    return min(_RETRY * doubled, _LONGEST_RETRY)


def _change_time(state: JobState, configurations: Sequence[Path]) -> datetime | None:
    """The time of the newest change of a configuration that the last run cannot have seen."""
    newest = max((t for each in configurations for t in _change_times(each)), default=None)
    if newest is None:
        return None
    moment = datetime.fromtimestamp(newest, UTC)
    return None if moment <= (state.due or state.known_since) else moment


def _change_times(place: Path) -> Iterator[float]:
    """When the file or folder `place`, and what is in it, last changed."""
    try:
        yield os.stat(long_path(place)).st_mtime  # noqa: PTH116  as in walk
    except (FileNotFoundError, NotADirectoryError):
        return
    if place.is_dir():
        yield from (each.status.st_mtime for each in walk(place, on_error=lambda *_: None))

"""The schedule at a glance: when each job ran, how it went, when it runs next, what is wrong."""

from datetime import UTC, datetime, timedelta

import msgspec

from holdfast.durable.asking import is_watched
from holdfast.errors import HoldfastError
from holdfast.facade import Workspace
from holdfast.schedule.due import retry_after, time_after, time_before
from holdfast.schedule.jobs import CHANGE, Planned, planned_jobs
from holdfast.schedule.state import JobState, Outcome, StateFile

_LATE = timedelta(hours=2)  # beyond a job's time; by then whoever runs the jobs should have come


class JobOverview(msgspec.Struct, frozen=True, rename="camel"):
    """One job. `next` is None for a job that runs on change or is switched off."""

    name: str
    when: str
    run: list[str]
    enabled: bool
    last: datetime | None
    outcome: Outcome | None
    problem: str | None
    note: str | None
    succeeded_at: datetime | None
    next: datetime | None


class Overview(msgspec.Struct, frozen=True, rename="camel"):
    """All jobs; `problems` is what must be seen: failures, and jobs that nobody runs."""

    jobs: list[JobOverview]
    watched: bool
    next: datetime | None
    problems: list[str]

    @property
    def healthy(self) -> bool:
        return not self.problems


def overview(workspace: Workspace, *, now: datetime | None = None) -> Overview:
    """Look at the jobs and what came of them; nothing is run. Never raises for what it reads."""
    moment = now or datetime.now(UTC)
    watched = is_watched(str(workspace.layout.schedule))
    try:
        jobs = planned_jobs(workspace.settings.schedule)
        states = StateFile(workspace.layout.schedule / "state.json").read()
    except HoldfastError as error:
        return Overview([], watched, None, [str(error)])
    rows = [_row(job, states.get(job.name), moment) for job in jobs]
    coming = [row.next for row in rows if row.next is not None]
    problems = [problem for job in jobs for problem in _problems(job, states, moment)]
    return Overview(rows, watched, min(coming, default=None), problems)


def _row(job: Planned, state: JobState | None, now: datetime) -> JobOverview:
    planned = time_after(job.when, now) if job.enabled else None
    if state is not None and state.outcome == "failed" and state.ended_at and job.enabled:
        again = state.ended_at + retry_after(state)
        planned = again if planned is None else min(planned, again)
    return JobOverview(
        job.name,
        job.when,
        [f"holdfast {' '.join(line)}" for line in job.run],
        job.enabled,
        state.started_at if state else None,
        state.outcome if state else None,
        state.problem if state else None,
        state.note if state else None,
        state.succeeded_at if state else None,
        planned,
    )


def _problems(job: Planned, states: dict[str, JobState], now: datetime) -> list[str]:
    state = states.get(job.name)
    if state is None or not job.enabled:
        return []
    if state.outcome == "failed":
        times = f"{state.failures} times in a row: " if state.failures > 1 else ""
        first_line = (state.problem or "").splitlines()[0] if state.problem else ""
        return [f"the job {job.name} failed {times}{first_line}"]
    if job.when == CHANGE or state.outcome == "running":
        return []
    time = time_before(job.when, now)
    if time > (state.due or state.known_since) and now - time > _LATE:
        return [f"the job {job.name} was due at {time:%Y-%m-%d %H:%M} UTC and did not run"]
    return []

"""What is due: missed times once, failures again later, clocks that jump."""

import os
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from holdfast.errors import UsageError
from holdfast.schedule.due import due_time, time_after, time_before
from holdfast.schedule.jobs import DEFAULT_JOBS, Planned, planned_jobs
from holdfast.schedule.state import JobState
from holdfast.workspace.settings import Job

START = datetime(2026, 11, 25, 10, 30, tzinfo=UTC)
HOURLY = Planned("hourly", "0 * * * *", (("status",),))
NOWHERE = Path("/nowhere/at/all")
HOUR = timedelta(hours=1)


def due(state: JobState, now: datetime) -> datetime | None:
    return due_time(HOURLY, state, now, [NOWHERE])


def test_a_new_job_waits_for_its_first_time() -> None:
    state = JobState(known_since=START)
    assert due(state, START) is None
    assert due(state, START + timedelta(minutes=29)) is None
    assert due(state, START + timedelta(minutes=30)) == START + timedelta(minutes=30)


@given(st.floats(0, 2_000))
def test_all_missed_times_are_made_up_for_once(hours: float) -> None:
    state = JobState(known_since=START)
    now = START + timedelta(hours=hours)
    runs = 0
    while (time := due(state, now)) is not None:
        state.due, state.started_at, state.ended_at, state.outcome = time, now, now, "ok"
        runs += 1
    assert runs == (hours >= 0.5)


def test_a_clock_that_was_ahead_does_not_stop_a_job() -> None:
    ahead = START + timedelta(days=400)
    state = JobState(START, due=ahead, started_at=ahead, ended_at=ahead, outcome="ok")
    assert due(state, START) is not None
    state.due, state.started_at = due(state, START), START
    assert due(state, START) is None
    assert due(state, START + HOUR) is not None


def test_a_failed_job_is_tried_again_after_an_hour_then_ever_later() -> None:
    state = JobState(START, due=START, started_at=START, ended_at=START, outcome="failed")
    state.failures = 1
    assert due(state, START + timedelta(minutes=59)) is not None  # its next time came
    state.due = START + timedelta(minutes=45)
    state.failures = 3
    monthly = Planned("monthly", "0 0 1 * *", (("status",),))
    assert due_time(monthly, state, START + 3 * HOUR, [NOWHERE]) is None
    assert due_time(monthly, state, START + 4 * HOUR, [NOWHERE]) is not None


def test_an_interrupted_job_is_due_at_once() -> None:
    state = JobState(START, due=START, started_at=START, outcome="running")
    assert due(state, START + timedelta(seconds=1)) == START


def test_a_job_on_change_is_due_when_something_changed(tmp_path: Path) -> None:
    job = Planned("configuration", "change", (("status",),))
    now = datetime.now(UTC)
    state = JobState(known_since=now)
    (tmp_path / "a.json").write_text("{}", encoding="utf-8")
    os.utime(tmp_path / "a.json", (now.timestamp() - 9, now.timestamp() - 9))
    os.utime(tmp_path, (now.timestamp() - 9, now.timestamp() - 9))
    assert due_time(job, state, now, [tmp_path]) is None
    os.utime(tmp_path / "a.json", (now.timestamp() + 5, now.timestamp() + 5))
    state.due = due_time(job, state, now, [tmp_path])
    assert state.due is not None
    assert due_time(job, state, now, [tmp_path]) is None


def test_a_job_switched_off_is_never_due() -> None:
    off = Planned("off", "* * * * *", (("status",),), enabled=False)
    assert due_time(off, JobState(START), START + timedelta(days=1), [NOWHERE]) is None


def test_times_are_before_and_after() -> None:
    for job in planned_jobs({}):
        if job.when != "change":
            after = time_after(job.when, START)
            assert after is not None
            assert time_before(job.when, START) <= START < after
            assert time_before(job.when, after) == after


def test_the_defaults_are_those_of_the_seed() -> None:
    jobs = {job.name: job for job in planned_jobs({})}
    assert set(jobs) == set(DEFAULT_JOBS)
    assert jobs["configuration"].when == "change"
    weekdays = time_after(jobs["archive"].when, START)
    assert weekdays is not None
    assert weekdays.astimezone().weekday() == 6


@pytest.mark.parametrize("when", ["", "every day", "61 * * * *", "0 0 31 2 *", "* * * *"])
def test_a_time_that_cannot_be_is_refused(when: str) -> None:
    with pytest.raises(UsageError, match="mine"):
        planned_jobs({"mine": Job(when, (("status",),))})


@pytest.mark.parametrize("job", [Job("* * * * *"), Job(None, (("status",),)), Job("change", ((),))])
def test_a_job_without_a_time_or_work_is_refused(job: Job) -> None:
    with pytest.raises(UsageError, match="needs a time"):
        planned_jobs({"mine": job})

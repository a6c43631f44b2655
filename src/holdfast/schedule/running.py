"""Running what is due: one process at a time, each job once, its outcome on disk."""

import os
import subprocess
from collections.abc import Callable, Sequence
from datetime import UTC, datetime

import msgspec

from holdfast.durable.faults import fault_point
from holdfast.durable.locks import Lock
from holdfast.errors import BusyError, HoldfastError, NotFoundError
from holdfast.facade import Workspace
from holdfast.history.history import configuration_places
from holdfast.schedule.due import due_time
from holdfast.schedule.grounds import nothing_to_do
from holdfast.schedule.jobs import Planned, planned_jobs
from holdfast.schedule.pythons import for_children
from holdfast.schedule.state import JobState, Outcome, StateFile
from holdfast.workflows.processes import identity_of, is_gone

_TIMEOUT = 6 * 3600.0  # seconds for one line of a job
_TAIL = 2000  # characters of what a failing line said
_NO_WINDOW = getattr(subprocess, "CREATE_NO_WINDOW", 0)

Clock = Callable[[], datetime]


class JobRun(msgspec.Struct, frozen=True, rename="camel"):
    """A job that was run now; `note` says for what of it there was nothing to do."""

    name: str
    outcome: Outcome
    seconds: float
    problem: str | None = None
    note: str | None = None


class RunReport(msgspec.Struct, frozen=True, rename="camel"):
    """What `run_due` did; `busy` says who is at it already, and then nothing was done."""

    runs: list[JobRun]
    busy: str | None = None

    @property
    def healthy(self) -> bool:
        return all(run.outcome == "ok" for run in self.runs)


def run_due(
    workspace: Workspace, names: Sequence[str] = (), *, clock: Clock = lambda: datetime.now(UTC)
) -> RunReport:
    """Run every job that is due, or those of `names` whether due or not.

    Running it again does nothing; times missed are made up for once. While another process is at
    it, nothing is done. A job that fails does not keep the others from being run. Raises
    `NotFoundError`, `UsageError`, `UnreadableError` when the state cannot be read.
    """
    jobs = planned_jobs(workspace.settings.schedule)
    unknown = set(names) - {job.name for job in jobs}
    if unknown:
        raise NotFoundError(f"no job is called {min(unknown)!r}", hint="holdfast schedule list")
    lock = Lock(workspace.layout.locks / "schedule.lock", purpose="run what is due", timeout=0.0)
    try:
        with lock:
            return RunReport(_Runner(workspace, clock).run(jobs, names))
    except BusyError as error:
        if error.path != lock.path:
            raise
        return RunReport([], busy=error.message)


class _Runner:
    def __init__(self, workspace: Workspace, clock: Clock) -> None:
        self._workspace = workspace
        self._clock = clock
        self._file = StateFile(workspace.layout.schedule / "state.json")
        self._states = self._file.read()
        self._log = workspace.logger("schedule")

    def run(self, jobs: Sequence[Planned], names: Sequence[str]) -> list[JobRun]:
        now = self._clock()
        known = self._states.keys() >= {job.name for job in jobs}
        for job in jobs:
            self._states.setdefault(job.name, JobState(known_since=now))
        if not known:
            self._file.write(self._states)
        layout = self._workspace.layout
        configurations = configuration_places(layout.root, layout.home)
        runs = []
        for job in jobs:
            state = self._states[job.name]
            if _is_working(state):
                continue  # an earlier run-due was killed, what it started goes on
            due = due_time(job, state, self._clock(), configurations)
            if job.name in names or (due is not None and not names):
                runs.append(self._run(job, state, due or self._clock()))
        return runs

    def _run(self, job: Planned, state: JobState, due: datetime) -> JobRun:
        state.due, state.started_at = due, self._clock()
        state.ended_at, state.outcome, state.problem, state.note = None, "running", None, None
        self._file.write(self._states)
        fault_point("schedule.started")
        problem = self._run_lines(job, state)
        note = self._states[job.name].note
        fault_point("schedule.ran")
        state.ended_at, state.process = self._clock(), None
        state.outcome, state.problem = ("failed" if problem else "ok"), problem
        state.failures = state.failures + 1 if problem else 0
        if not problem:
            state.succeeded_at = state.ended_at
        self._file.write(self._states)
        seconds = (state.ended_at - state.started_at).total_seconds()
        if problem:
            self._log.error("Job failed", job=job.name, problem=problem, failures=state.failures)
        else:
            self._log.info("Job done", job=job.name, seconds=round(seconds, 3), note=note)
        return JobRun(job.name, state.outcome, seconds, problem, note)

    def _run_lines(self, job: Planned, state: JobState) -> str | None:
        """Run the job's lines until one fails; what was wrong then."""
        for line in job.run:
            try:
                if (reason := nothing_to_do(self._workspace, line)) is not None:
                    state.note = f"nothing to do: {reason}"
                    continue
                status, said = self._run_line(line, state)
            except (HoldfastError, OSError) as error:
                return f"holdfast {' '.join(line)}: {error}"
            if status != 0:
                return f"holdfast {' '.join(line)} ended with {status}: {said}"
        return None

    def _run_line(self, line: Sequence[str], state: JobState) -> tuple[int, str]:
        root = self._workspace.layout.root
        with subprocess.Popen(
            [for_children(), "-P", "-m", "holdfast", *line],
            cwd=root,
            env={**os.environ, "HOLDFAST_WORKSPACE": str(root), "PYTHONUTF8": "1"},
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            creationflags=_NO_WINDOW,
        ) as process:
            state.process = identity_of(process.pid)
            self._file.write(self._states)
            try:
                output, _ = process.communicate(timeout=_TIMEOUT)
            except subprocess.TimeoutExpired:
                process.kill()
                output, _ = process.communicate()
                output += b"\nended: it took longer than 6 hours"
            except BaseException:
                process.kill()
                raise
        said = output.decode("utf-8", "replace").strip()
        return process.returncode, said[-_TAIL:]


def _is_working(state: JobState) -> bool:
    """Whether the process that worked on it last may still be alive."""
    return state.process is not None and not is_gone(state.process, shared_by_hosts=False)

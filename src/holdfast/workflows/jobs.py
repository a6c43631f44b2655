"""The runs that this process executes: each at most once, in a thread or in the caller's."""

import threading
from collections.abc import Callable
from concurrent.futures import Future
from contextvars import copy_context
from functools import partial
from typing import TYPE_CHECKING, Any

from holdfast.errors import ConflictError, UsageError
from holdfast.workflows.definitions import Workflow
from holdfast.workflows.drive import drive
from holdfast.workflows.execution import Execution, ParkedError
from holdfast.workflows.growing_pool import GrowingPool
from holdfast.workflows.store import WorkflowStore

if TYPE_CHECKING:
    from holdfast.workflows.limits import Gate


class ElsewhereError(Exception):
    """The run is not executed here now: it is finished, it waits, or another process has it."""


class Job:
    """A run that this process executes, or is about to take."""

    def __init__(
        self, workflow: Workflow[..., Any], run_id: str, given: bytes, parent: str | None = None
    ) -> None:
        self.workflow = workflow
        self.parent = parent
        self.run_id = run_id
        self.given = given
        self.execution: Execution | None = None
        self.gate: Gate | None = None
        """What the run leaves by when it is executed no longer, if its workflow has a limit."""
        self.future: Future[Any] = Future()

    def check_same(self, other: "Job") -> None:
        """Raise `ConflictError` unless `other` is the same call."""
        check_same_call(
            self.run_id,
            (self.workflow.name, self.given),
            (other.workflow.name, other.given),
        )


def check_same_call(run_id: str, first: tuple[str, bytes], second: tuple[str, bytes]) -> None:
    """Raise `ConflictError` unless both are the same workflow with the same input."""
    if first[0] != second[0]:
        raise ConflictError(
            f"run {run_id} is one of the workflow {first[0]}, not of {second[0]}",
            hint="choose another id",
        )
    if first[1] != second[1]:
        raise ConflictError(
            f"run {run_id} was started with another input", hint="choose another id"
        )


class Jobs:
    """The jobs of one `Workflows`; at most `threads` started ones are executed at once."""

    def __init__(
        self,
        store: WorkflowStore,
        *,
        threads: int,
        parked: Callable[[str], None],
        ended: Callable[[str, str | None], None],
    ) -> None:
        """`parked` is told the id of a run that waits in the store now, `ended` that of one that
        ended and its parent's."""
        self._store = store
        self._parked = parked
        self._ended = ended
        self._threads = threads
        self._pool = GrowingPool(threads, "holdfast-run")
        self._lock = threading.Lock()
        self._jobs: dict[str, Job] = {}
        self._closed = False

    def enter(
        self, job: Job, claim: Callable[[Job], Execution | None], *, inline: bool
    ) -> "Future[Any]":
        """Execute `job` if `claim` gets the run, unless it is executed here already.

        The future fails with `ElsewhereError` when `claim` returned None. With `inline` it is done
        on return. Raises what `claim` raises, and `ConflictError` when this process executes
        another call under the same id.
        """
        present = self._place(job)
        if present is not job:
            present.check_same(job)
            return present.future
        try:
            job.execution = claim(job)
        except BaseException as error:
            self._leave(job, error)
            raise
        if job.execution is None:
            self._leave(job, ElsewhereError())
        elif inline:
            self._execute(job, job.execution)
        else:
            begin = partial(copy_context().run, self._execute, job, job.execution)
            self._submit(job, begin)
        return job.future

    def running(self, run_id: str) -> bool:
        """Whether this process executes the run."""
        return run_id in self._jobs

    def free_threads(self) -> int:
        """How many more runs could be executed at once."""
        return max(0, self._threads - len(self._jobs))

    def stop(self, run_id: str) -> None:
        """Make the run end at its next step, if it is executed here."""
        job = self._jobs.get(run_id)
        if job is not None and job.execution is not None:
            job.execution.stop()

    def put_down(self) -> None:
        """Make every run leave at its next step and wait in the store for who takes it up."""
        for job in list(self._jobs.values()):
            if job.execution is not None:
                job.execution.put_down()

    def close(self) -> bool:
        """Accept nothing more and wait for the started runs to end; False when closed before."""
        with self._lock:
            before, self._closed = self._closed, True
        self._pool.close()
        return not before

    def _place(self, job: Job) -> Job:
        with self._lock:
            if self._closed:
                raise UsageError("these workflows were closed", hint="open them again")
            return self._jobs.setdefault(job.run_id, job)

    def _leave(self, job: Job, error: BaseException | None, value: Any = None) -> None:
        with self._lock:
            self._jobs.pop(job.run_id, None)
        gate, job.gate = job.gate, None
        if gate is not None:
            gate.leave()
            self._ended(job.run_id, None)  # another one may be let in now
        if error is None:
            job.future.set_result(value)
        else:
            job.future.set_exception(error)

    def _execute(self, job: Job, execution: Execution) -> None:
        try:
            value = drive(self._store, execution, job.workflow, job.given)
        except ParkedError:
            self._leave(job, ElsewhereError())
            self._parked(job.run_id)
        except Exception as error:
            self._leave(job, error)
            self._ended(job.run_id, job.parent)
        except BaseException as error:
            self._leave(job, error)
            raise
        else:
            self._leave(job, None, value)
            self._ended(job.run_id, job.parent)

    def _submit(self, job: Job, begin: Callable[[], None]) -> None:
        try:
            self._pool.submit(begin)
        except RuntimeError as error:  # the interpreter is ending
            self._leave(job, error)
            raise


def failed(error: Exception) -> "Future[Any]":
    """A future that failed with `error` already."""
    future: Future[Any] = Future()
    future.set_exception(error)
    return future

"""Becoming the one that executes a run: by creating it, or by taking one that nobody executes."""

from collections.abc import Callable
from contextlib import suppress
from typing import TYPE_CHECKING

import msgspec

from holdfast.durable.faults import fault_point
from holdfast.workflows.execution import Execution
from holdfast.workflows.forking import check_version
from holdfast.workflows.jobs import Job, check_same_call
from holdfast.workflows.leases import Leases
from holdfast.workflows.limits import Gates, LimitReachedError
from holdfast.workflows.reading import is_put_down, now_milliseconds
from holdfast.workflows.records import RunBody, encode, read_body
from holdfast.workflows.store import RunRow, WorkflowStore

if TYPE_CHECKING:
    from holdfast.workflows.engine import Workflows


class Claims:
    """The runs that one process makes its own; `queued` is told those that it may not yet."""

    def __init__(
        self,
        engine: "Workflows",
        store: WorkflowStore,
        leases: Leases,
        gates: Gates,
        *,
        queued: Callable[[str], None],
    ) -> None:
        self._engine = engine
        self._store = store
        self._leases = leases
        self._gates = gates
        self._queued = queued

    def create(self, job: Job, fork: tuple[str, int] | None) -> Execution | None:
        """Create the run, or take the one that has its id; None when it is not executed here now.

        Raises `ConflictError` when that is another call's.
        """
        self._leases.hold()
        with suppress(LimitReachedError):
            job.gate = self._gates.enter(job.workflow)
        within = job.workflow.limiter is None or job.gate is not None
        row = RunRow(
            job.run_id,
            job.workflow.name,
            "running" if within else "queued",
            now_milliseconds(),
            body_of(job),
            self._leases.owner if within else None,
        )
        present = self._engine.together.create_run(row, fork)
        if present is not None:
            return self._take_present(present, job)
        fault_point("workflow.started")
        if not within:
            self._queued(job.run_id)
            return None
        return Execution(self._engine, self._store, job.run_id, row.epoch, fresh=fork is None)

    def take(self, row: RunRow, job: Job) -> Execution | None:
        """Claim an unfinished run that this process does not execute; None if another does.

        Raises `LimitReachedError`.
        """
        self._leases.hold()
        if row.owner != self._leases.owner and not self._leases.is_free(row.owner):
            return None
        if job.gate is None:
            job.gate = self._gates.enter(job.workflow)
        if not self._store.claim_run(row.id, epoch=row.epoch, owner=self._leases.owner):
            return None
        fault_point("workflow.claimed")
        return Execution(self._engine, self._store, row.id, row.epoch + 1, fresh=False)

    def _take_present(self, present: RunRow, job: Job) -> Execution | None:
        given = read_body(present)
        check_same_call(
            job.run_id, (present.name, bytes(given.input)), (job.workflow.name, job.given)
        )
        if present.finished is not None:
            return None
        if is_put_down(present):
            self._queued(job.run_id)  # it goes on here, unless a worker comes first
            return None
        check_version(job.run_id, given, job.workflow)
        return self.take(present, job)


def body_of(job: Job) -> bytes:
    """What is kept of the call that a run is."""
    workflow = job.workflow
    return encode(
        RunBody(workflow.definition, msgspec.Raw(job.given), workflow.version, job.parent)
    )

"""`Workflows`: the runs of one store, and this process's part in executing them."""

import secrets
import time
from collections.abc import Iterable, Iterator
from datetime import UTC, datetime
from types import TracebackType
from typing import Any

import msgspec

from holdfast.durable.faults import fault_point
from holdfast.durable.files import Durability
from holdfast.durable.names import check_identifier
from holdfast.errors import BusyError, ConflictError, HoldfastError, NotFoundError, RunError
from holdfast.workflows.definitions import Workflow
from holdfast.workflows.execution import Execution
from holdfast.workflows.handles import Run
from holdfast.workflows.jobs import Job, Jobs, check_same_call, failed
from holdfast.workflows.leases import Leases
from holdfast.workflows.loading import find_definition, imported_definition
from holdfast.workflows.records import (
    Outcome,
    RunBody,
    RunInfo,
    Status,
    StepInfo,
    encode,
    read_body,
    read_step,
    run_info,
    step_info,
)
from holdfast.workflows.store import RunRow
from holdfast.workflows.stores import open_store

_PAGE = 500


class Workflows:
    """The runs of the store at `url` (``memory://`` or ``sqlite:///path``).

    `durability` is that of every recorded step (see `holdfast.durable.files`). `lease` is how many
    seconds an owner may be silent before another process takes its runs; one whose process has
    certainly ended is not waited for. At most `threads` started runs are executed at once here;
    further ones wait their turn.

    Open it after a fork, not before. Raises the errors of its engine.
    """

    def __init__(
        self,
        url: str = "memory://",
        *,
        durability: Durability = "process",
        lease: float = 30.0,
        threads: int = 32,
    ) -> None:
        self.url = url
        self.durability = durability
        self._store = open_store(url, durability=durability)
        self._leases = Leases(self._store, lease=lease)
        self._jobs = Jobs(self._store, threads=threads)

    def __enter__(self) -> "Workflows":
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    def start(
        self,
        workflow: Workflow[..., Any],
        args: tuple[Any, ...] = (),
        kwargs: dict[str, Any] | None = None,
        *,
        run_id: str | None = None,
    ) -> Run[Any]:
        """Start a run in a thread; see `Workflow.start`."""
        return self._enter(workflow, args, kwargs or {}, run_id, inline=False)

    def run(
        self,
        workflow: Workflow[..., Any],
        args: tuple[Any, ...] = (),
        kwargs: dict[str, Any] | None = None,
        *,
        run_id: str | None = None,
    ) -> Any:
        """Run in the calling thread to the end; the result. Raises `StepError` or `RunError`."""
        return self._enter(workflow, args, kwargs or {}, run_id, inline=True).result()

    def resume(
        self,
        run_id: str,
        *,
        workflow: Workflow[..., Any] | None = None,
        load: bool = False,
        inline: bool = False,
    ) -> Run[Any]:
        """Go on with an interrupted run in a thread; a finished one is just returned.

        Without `workflow` its definition is looked for among the imported modules and, with
        `load`, imported: that runs the code of the module it was started from. With `inline` the
        calling thread executes it to the end first.

        Raises `NotFoundError`, and `BusyError` while another process executes the run.
        """
        row = self._row(run_id)
        body = read_body(row)
        found = workflow or find_definition(body.definition, load=load)
        check_same_call(run_id, (row.name, b""), (found.name, b""))
        if row.finished is not None:
            return Run(self, run_id, found.decoder, None)

        def claim(job: Job) -> Execution | None:
            now = self._row(run_id)
            if now.finished is not None:
                return None
            execution = self._take(now)
            if execution is None:
                owner = self._leases.name_of(now.owner)
                raise BusyError(f"run {run_id} is being executed by {owner}")
            return execution

        job = Job(found, run_id, bytes(body.input))
        return Run(self, run_id, found.decoder, self._jobs.enter(job, claim, inline=inline))

    def recover(self, *, load: bool = False) -> list[Run[Any]]:
        """Take up, in threads, every interrupted run whose definition is imported already.

        With `load` the modules of the others are imported too, which runs their code; the result
        of a run whose definition cannot be found raises that. Call it
        again from time to time: an owner that fell silent without its process having certainly
        ended is given up only after it was seen silent for a whole lease.
        """
        runs: list[Run[Any]] = []
        for row in self._interrupted():
            definition = read_body(row).definition
            if not load and imported_definition(definition) is None:
                continue
            try:
                runs.append(self.resume(row.id, load=load))
            except BusyError:
                continue  # another process was faster
            except HoldfastError as error:  # one that cannot be found keeps none of the others
                runs.append(Run(self, row.id, None, failed(error)))
        self._leases.forget_gone()
        return runs

    def get(self, run_id: str) -> RunInfo:
        """One run. Raises `NotFoundError`."""
        row = self._row(run_id)
        return run_info(row, interrupted=bool(self._free([row])))

    def list(
        self,
        *,
        status: Status | None = None,
        name: str | None = None,
        limit: int = 100,
        before: int | None = None,
    ) -> "list[RunInfo]":
        """At most `limit` runs, newest first; go on with `before` = the last one's `serial`."""
        rows = self._store.list_runs(status=status, name=name, before=before, limit=limit)
        free = self._free(rows)
        return [run_info(row, interrupted=row.id in free) for row in rows]

    def count_by_status(self) -> dict[str, int]:
        """How many runs there are of each status; those that no status has are left out."""
        return dict(self._store.count_runs())

    def steps(self, run_id: str) -> Iterator[StepInfo]:
        """The finished steps of a run in the order they were called. Raises `NotFoundError`."""
        self._row(run_id)
        return self._steps(run_id)

    def cancel(self, run_id: str) -> None:
        """Cancel a run, wherever it is executed: it ends at its next step, for good.

        A step that is being performed is not interrupted, and not recorded. Cancelling a cancelled
        run is fine. Raises `NotFoundError`, and `ConflictError` when the run has finished.
        """
        while True:
            row = self._row(run_id)
            if row.status == "cancelled":
                return
            if row.finished is not None:
                raise ConflictError(f"run {run_id} has {row.status} already")
            # Raising the epoch first shuts out whoever executes it.
            if self._store.claim_run(run_id, epoch=row.epoch, owner=None):
                self._jobs.stop(run_id)
                if self._end_cancelled(run_id, row.epoch + 1):
                    return

    def prune(self, *, older_than: float) -> int:
        """Delete the runs that finished more than `older_than` seconds ago; how many."""
        before, deleted = int((time.time() - older_than) * 1000), 0
        while ids := self._store.delete_runs(finished_before=before, limit=_PAGE):
            deleted += len(ids)
        return deleted

    def close(self) -> None:
        """Wait for the started runs, give back the lease and close the store; twice is fine."""
        if not self._jobs.close():
            return
        self._leases.close()
        self._store.close()

    def settled(self, run_id: str) -> RunRow | None:
        """The stored run once it is finished, None while it is executed.

        Raises `RunError` when it is interrupted, `NotFoundError`.
        """
        row = self._row(run_id)
        if row.finished is not None:
            return row
        if self._free([row]):
            raise RunError(
                f"run {run_id} was interrupted",
                hint=f"go on with it: holdfast workflows resume {run_id}",
            )
        return None

    def _enter(
        self,
        workflow: Workflow[..., Any],
        args: tuple[Any, ...],
        kwargs: dict[str, Any],
        run_id: str | None,
        *,
        inline: bool,
    ) -> Run[Any]:
        run_id = check_identifier(run_id, "run id") if run_id else new_run_id(workflow.name)
        job = Job(workflow, run_id, workflow.arguments.encode(args, kwargs))
        future = self._jobs.enter(job, self._create, inline=inline)
        return Run(self, run_id, workflow.decoder, future)

    def _create(self, job: Job) -> Execution | None:
        self._leases.hold()
        body = encode(RunBody(job.workflow.definition, msgspec.Raw(job.given)))
        created = int(time.time() * 1000)
        row = RunRow(job.run_id, job.workflow.name, "running", created, body, self._leases.owner)
        present = self._store.create_run(row)
        if present is None:
            fault_point("workflow.started")
            return Execution(self._store, job.run_id, row.epoch, fresh=True)
        given = bytes(read_body(present).input)
        check_same_call(job.run_id, (present.name, given), (job.workflow.name, job.given))
        return None if present.finished is not None else self._take(present)

    def _take(self, row: RunRow) -> Execution | None:
        """Claim an unfinished run that this process does not execute; None if another does."""
        self._leases.hold()
        if row.owner != self._leases.owner and not self._leases.is_free(row.owner):
            return None
        if not self._store.claim_run(row.id, epoch=row.epoch, owner=self._leases.owner):
            return None
        fault_point("workflow.claimed")
        return Execution(self._store, row.id, row.epoch + 1, fresh=False)

    def _end_cancelled(self, run_id: str, epoch: int) -> bool:
        return self._store.finish_run(
            run_id,
            epoch=epoch,
            status="cancelled",
            outcome=encode(Outcome()),
            finished=int(time.time() * 1000),
        )

    def _row(self, run_id: str) -> RunRow:
        row = self._store.read_run(run_id)
        if row is None:
            raise NotFoundError(
                f"there is no run {run_id!r}", hint="list them with: holdfast workflows list"
            )
        return row

    def _free(self, rows: Iterable[RunRow]) -> set[str]:
        """The ids of those of `rows` that are unfinished and executed by nobody.

        Each is read again at the end, as it may just have been finished by an owner that left.
        """
        idle = {
            row.id: row.owner
            for row in rows
            if row.finished is None and not self._jobs.running(row.id)
        }
        owners = {owner for owner in idle.values() if owner is not None}
        free = self._leases.free_owners(owners) if owners else set()
        free.add(self._leases.owner)
        maybe = [run_id for run_id, owner in idle.items() if owner is None or owner in free]
        again = {run_id: self._store.read_run(run_id) for run_id in maybe}
        return {
            run_id
            for run_id, row in again.items()
            if row is not None and row.finished is None and row.owner == idle[run_id]
        }

    def _interrupted(self) -> Iterator[RunRow]:
        before: int | None = None
        while page := self._store.list_runs(unfinished=True, before=before, limit=_PAGE):
            free = self._free(page)
            yield from (row for row in page if row.id in free)
            before = page[-1].serial

    def _steps(self, run_id: str) -> Iterator[StepInfo]:
        after = 0
        while page := self._store.read_steps(run_id, after=after, limit=_PAGE):
            yield from (step_info(read_step(body, run_id)) for _, body in page)
            after = page[-1][0]


def new_run_id(name: str) -> str:
    """A run id that nobody has: the workflow's name, the time and 48 random bits."""
    return f"{name}-{datetime.now(UTC):%Y%m%d-%H%M%S}-{secrets.token_hex(6)}"

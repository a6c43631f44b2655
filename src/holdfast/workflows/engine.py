"""`Workflows`: the runs of one store, and this process's part in executing them."""

import threading
import time
from contextlib import suppress
from typing import Any

import msgspec

from holdfast.durable.closing import Closing
from holdfast.durable.files import Durability
from holdfast.durable.names import check_identifier
from holdfast.errors import BusyError, ConflictError, HoldfastError, StorageError
from holdfast.workflows import codec
from holdfast.workflows.claiming import Claims, body_of
from holdfast.workflows.definitions import Step, Workflow
from holdfast.workflows.execution import Execution
from holdfast.workflows.forking import MOST, check_version, dropped_by_retry, position_of
from holdfast.workflows.handles import Run
from holdfast.workflows.jobs import Job, Jobs, check_same_call, failed
from holdfast.workflows.leases import Leases
from holdfast.workflows.limits import Gate, Gates, LimitReachedError
from holdfast.workflows.loading import find_definition, imported_definition
from holdfast.workflows.naming import child_id, new_run_id
from holdfast.workflows.reading import RunReader, now_milliseconds
from holdfast.workflows.records import Outcome, Signal, encode, read_body
from holdfast.workflows.shared_transactions import SharedTransactions
from holdfast.workflows.store import RunRow
from holdfast.workflows.stores import open_store
from holdfast.workflows.waiting import CHILD_ENDED, ChildRun
from holdfast.workflows.worker import Waker, Worker

_PAGE = 500


class Workflows(RunReader, Closing):
    """The runs of the store at `url` (``memory://``, ``json:///dir``, ``sqlite:///path``, …).

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
        store = open_store(url, durability=durability)
        self.together = SharedTransactions(store)
        self._waker = Waker(store, self._wake)
        self._jobs = Jobs(store, threads=threads, parked=self._waker.add, ended=self._ended)
        super().__init__(store, Leases(store, lease=lease), self._jobs.running)
        self._gates = Gates(store, self._leases)
        self._claims = Claims(self, store, self._leases, self._gates, queued=self._waker.add)

    @property
    def database(self) -> str:
        """The identity of the database that rooms beside can share a transaction in, else empty."""
        return self.together.database

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
        """Run in the calling thread to the end; the result. Raises `StepError` or `RunError`.

        After a long wait the run goes on in another thread, and this one waits for it.
        """
        return self._enter(workflow, args, kwargs or {}, run_id, inline=True).result()

    def enqueue(
        self,
        workflow: Workflow[..., Any],
        args: tuple[Any, ...] = (),
        kwargs: dict[str, Any] | None = None,
        *,
        run_id: str | None = None,
        priority: int = 0,
        delay: float = 0.0,
    ) -> Run[Any]:
        """Leave a run to the workers of this store (`work`), the highest `priority` first.

        It begins `delay` seconds from now at the earliest. The same id again is the same run.
        """
        run_id = check_identifier(run_id, "run id") if run_id else new_run_id(workflow.name)
        job = Job(workflow, run_id, workflow.arguments.encode(args, kwargs or {}))
        created = now_milliseconds()
        due = created + int(delay * 1000) if delay > 0 else None
        body = body_of(job)
        row = RunRow(run_id, workflow.name, "queued", created, body, due=due, priority=priority)
        present = self.together.create_run(row, None)
        if present is not None:
            given = bytes(read_body(present).input)
            check_same_call(run_id, (present.name, given), (workflow.name, job.given))
            self.together.deliver()
        return Run(self, run_id, workflow.decoder, None)

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

        Raises `NotFoundError`, `BusyError` while another process executes the run, and `RunError`
        when its code is not there or is another version's.
        """
        row = self.row(run_id)
        body = read_body(row)
        found = workflow or find_definition(body.definition, row.name, load=load)
        check_same_call(run_id, (row.name, b""), (found.name, b""))
        if row.finished is not None:
            return Run(self, run_id, found.decoder, None)
        check_version(run_id, body, found)

        def claim(job: Job) -> Execution | None:
            now = self.row(run_id)
            if now.finished is not None:
                return None
            execution = self._claims.take(now, job)
            if execution is None:
                owner = self._leases.name_of(now.owner)
                raise BusyError(f"run {run_id} is being executed by {owner}")
            return execution

        job = Job(found, run_id, bytes(body.input), body.parent)
        return Run(self, run_id, found.decoder, self._jobs.enter(job, claim, inline=inline))

    def recover(self, *, load: bool = False) -> "list[Run[Any]]":
        """Take up, in threads, every interrupted run whose definition is imported already.

        With `load` the modules of the others are imported too, which runs their code; the result
        of a run whose definition cannot be found raises that. Call it again from time to time (or
        `work`): an owner that fell silent without its process having certainly ended is given up
        only after it was seen silent for a whole lease.
        """
        return [run for row in self.interrupted() for run in self._recovered(row, load=load)]

    def retry(self, run_id: str, *, load: bool = False, inline: bool = False) -> Run[Any]:
        """Go on with a failed run from the step that failed; one that is not finished, as `resume`.

        What was recorded before that step stays; so do the other steps of its `map`. A run that
        failed in its own code, not in a step, keeps all its steps. Raises `ConflictError` when it
        succeeded or was cancelled.
        """
        row = self.row(run_id)
        if row.finished is not None:
            if row.status != "failed":
                raise ConflictError(f"run {run_id} has {row.status}", hint="fork it instead")
            find_definition(read_body(row).definition, row.name, load=load)
            drop = dropped_by_retry(self._store, row)
            self._store.reopen_run(run_id, epoch=row.epoch, status="queued", drop=drop)
        return self.resume(run_id, load=load, inline=inline)

    def fork(
        self,
        run_id: str,
        *,
        from_step: str | None = None,
        new_id: str | None = None,
        load: bool = False,
        inline: bool = False,
    ) -> Run[Any]:
        """Start a new run of the same workflow and input that begins with this run's steps.

        It has those before `from_step` (an id such as ``fetch-2``), else all of them, and the
        signals. Raises `NotFoundError` for an unknown run or step.
        """
        row = self.row(run_id)
        body = read_body(row)
        found = find_definition(body.definition, row.name, load=load)
        check_version(run_id, body, found)
        new_id = check_identifier(new_id, "run id") if new_id else new_run_id(found.name)
        position = MOST if from_step is None else position_of(self._store, row, from_step)

        def claim(job: Job) -> Execution | None:
            return self._claims.create(job, (run_id, position))

        job = Job(found, new_id, bytes(body.input))
        return Run(self, new_id, found.decoder, self._jobs.enter(job, claim, inline=inline))

    def start_child(
        self,
        parent: Execution,
        workflow: Workflow[..., Any],
        args: tuple[Any, ...],
        kwargs: dict[str, Any],
        *,
        run_id: str | None,
    ) -> ChildRun:
        """Start a run for the workflow that `parent` executes; see `Workflow.child`."""
        slot = parent.allocate(workflow.name)
        run_id = check_identifier(run_id or child_id(parent.run_id, slot.id), "run id")
        done = parent.replay(slot, workflow.decoder)
        run: Run[Any] = Run(self, run_id, workflow.decoder, None)
        if done is None:
            run = self._enter(workflow, args, kwargs, run_id, inline=False, parent=parent.run_id)
        return ChildRun(parent, slot, done, run)

    def signal(self, run_id: str, name: str, value: Any = None) -> None:
        """Send a run a signal: `wait_for` in it gives out `value`, which is kept as JSON.

        It may be sent before the run waits for it. Raises `NotFoundError`, and `ConflictError` when
        the run has finished.
        """
        raw = msgspec.Raw(codec.encode(value, f"the signal {name!r}"))
        signal = Signal(check_identifier(name, "signal"), raw, now_milliseconds())
        if not self._store.add_signal(run_id, encode(signal)):
            raise ConflictError(f"run {run_id} has {self.row(run_id).status} already")
        self._waker.look()

    def cancel(self, run_id: str) -> None:
        """Cancel a run, wherever it is executed: it ends at its next step, for good.

        A step that is being performed is not interrupted, and not recorded. Cancelling a cancelled
        run is fine. Raises `NotFoundError`, and `ConflictError` when the run has finished.
        """
        while True:
            row = self.row(run_id)
            if row.status == "cancelled":
                return
            if row.finished is not None:
                raise ConflictError(f"run {run_id} has {row.status} already")
            # Raising the epoch first shuts out whoever executes it.
            if self._store.claim_run(run_id, epoch=row.epoch, owner=None):
                self._jobs.stop(run_id)
                if self._end_cancelled(run_id, row.epoch + 1):
                    self._ended(run_id, read_body(row).parent)
                    return

    def work(
        self, stop: threading.Event | None = None, *, poll: float = 0.5, load: bool = False
    ) -> None:
        """Execute what is queued, due, interrupted or scheduled, until `stop` is set.

        Only workflows whose modules are imported, unless `load`, and only the schedules of imported
        ones. `poll` is the pause in seconds between two looks at the store. Any number of
        processes may do so on one store.
        """
        Worker(self, self._store, load=load).run(stop or threading.Event(), poll=poll)

    def ready(self, *, limit: int) -> "list[RunRow]":
        """The runs that a worker may take now, the most urgent first."""
        return self._store.ready_runs(now=now_milliseconds(), limit=limit)

    def free_threads(self) -> int:
        """How many more runs this process would execute at once."""
        return self._jobs.free_threads()

    def outcome_of(self, run_id: str) -> Outcome | None:
        """How a run ended, None while it has not; one that was interrupted is taken up."""
        row = self.row(run_id)
        if row.finished is not None:
            return self.read_outcome(row)
        if self.free([row]):
            with suppress(BusyError):
                self.resume(run_id, load=True)
        return None

    def gate_of(self, step: Step[..., Any]) -> Gate:
        """What keeps to the limits of `step` over all who use the store."""
        return self._gates.of_step(step)

    def put_down(self) -> None:
        """Make the runs being executed here leave at their next step, to go on elsewhere."""
        self._waker.close()
        self._jobs.put_down()

    def prune(self, *, older_than: float) -> int:
        """Delete the runs that finished more than `older_than` seconds ago, for good; how many.

        A child whose parent has not finished stays: it may still be asked for its result.
        """
        before, deleted = int((time.time() - older_than) * 1000), 0
        keep = self.awaited_children()
        while ids := self._store.delete_runs(finished_before=before, limit=_PAGE, keep=keep):
            deleted += len(ids)
        return deleted

    def close(self) -> None:
        """Wait for the started runs, give back the lease and close the store; twice is fine.

        Runs that wait in the store are left to whoever opens it next.
        """
        self._waker.close()
        if not self._jobs.close():
            return
        self._leases.close()
        self._store.close()

    def _enter(
        self,
        workflow: Workflow[..., Any],
        args: tuple[Any, ...],
        kwargs: dict[str, Any],
        run_id: str | None,
        *,
        inline: bool,
        parent: str | None = None,
    ) -> Run[Any]:
        run_id = check_identifier(run_id, "run id") if run_id else new_run_id(workflow.name)
        job = Job(workflow, run_id, workflow.arguments.encode(args, kwargs), parent)

        def claim(job: Job) -> Execution | None:
            return self._claims.create(job, None)

        future = self._jobs.enter(job, claim, inline=inline)
        self.together.deliver()
        return Run(self, run_id, workflow.decoder, future)

    def _recovered(self, row: RunRow, *, load: bool) -> "list[Run[Any]]":
        try:
            if not load and imported_definition(read_body(row).definition) is None:
                return []
            return [self.resume(row.id, load=load)]
        except BusyError:
            return []  # another process was faster
        except HoldfastError as error:  # one that cannot be found keeps none of the others
            return [Run(self, row.id, None, failed(error))]
        finally:
            self._leases.forget_gone()

    def _wake(self, run_id: str) -> None:
        """Go on with a run that this process parked, unless another has it by now."""
        try:
            self.resume(run_id)
        except (LimitReachedError, StorageError):
            self._waker.add(run_id)  # at a later look
        except HoldfastError:
            return

    def _ended(self, run_id: str, parent: str | None) -> None:
        """Wake the run that waits for this one, if one does."""
        if parent is None:
            self._waker.look()
            return
        signal = Signal(CHILD_ENDED, msgspec.Raw(encode(run_id)), now_milliseconds())
        with suppress(HoldfastError):  # it looks by itself from time to time
            self._store.add_signal(parent, encode(signal))
            self._waker.look()

    def _end_cancelled(self, run_id: str, epoch: int) -> bool:
        return self._store.finish_run(
            run_id,
            epoch=epoch,
            status="cancelled",
            outcome=encode(Outcome()),
            finished=now_milliseconds(),
        )

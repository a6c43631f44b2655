"""One run being executed: its steps numbered, replayed where they are recorded, else performed.

The steps of a run are numbered in the order in which the workflow calls them. A recorded step's
result is taken from the store; a step counts as finished only once it is recorded, so one that was
killed before that is performed again (at least once), and one that is recorded never is.
"""

import threading
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from contextvars import ContextVar, copy_context
from typing import TYPE_CHECKING, Any, NamedTuple

import msgspec

from holdfast.context import task
from holdfast.durable.faults import fault_point
from holdfast.errors import ConflictError, HoldfastError, RunError, UsageError
from holdfast.workflows import codec
from holdfast.workflows.attempts import ending_noticed, perform
from holdfast.workflows.failures import failure_of, step_error
from holdfast.workflows.history import History
from holdfast.workflows.records import StepRecord, encode
from holdfast.workflows.store import WorkflowStore

if TYPE_CHECKING:
    from holdfast.workflows.definitions import Step

current: ContextVar["Execution | None"] = ContextVar("holdfast_run", default=None)
"""The run whose workflow function this code belongs to; None outside of one and inside steps."""


class Slot(NamedTuple):
    """A step's place in its run: its ordinal among all steps, and its id."""

    position: int
    id: str


class Done(NamedTuple):
    """A finished step: its record, and its result as the workflow gets it."""

    record: StepRecord
    value: Any


class Execution:
    """The state of one run while a workflow function runs in this process."""

    def __init__(self, store: WorkflowStore, run_id: str, epoch: int, *, fresh: bool) -> None:
        self.run_id = run_id
        self.epoch = epoch
        self._store = store
        self._history = History(store, run_id, fresh=fresh)
        self._numbering = threading.Lock()
        self._calls: Counter[str] = Counter()
        self._position = 0
        self._stopped = threading.Event()
        self._broken: BaseException | None = None

    def call(self, step: "Step[..., Any]", args: Sequence[Any], kwargs: dict[str, Any]) -> Any:
        """Replay or perform one call of `step`. Raises `StepError` when it failed."""
        slot = self._allocate(step)
        done = self._replay(step, slot)
        return _given(done if done is not None else self._perform(step, slot, args, kwargs))

    def map(
        self, step: "Step[..., Any]", calls: Sequence[Sequence[Any]], workers: int
    ) -> list[Any]:
        """Replay or perform a call of `step` for each of `calls`, in up to `workers` threads.

        All of them are finished and recorded before the first error, if any, is raised.
        """
        from concurrent.futures import ThreadPoolExecutor

        slots = [self._allocate(step) for _ in calls]
        done = [self._replay(step, slot) for slot in slots]
        missing = [index for index, found in enumerate(done) if found is None]
        if missing:
            context = copy_context()
            width = min(workers, len(missing))
            with ending_noticed(), ThreadPoolExecutor(width, "holdfast-map") as threads:
                futures = [
                    threads.submit(
                        context.copy().run, self._perform, step, slots[index], calls[index], {}
                    )
                    for index in missing
                ]
            for index, future in zip(missing, futures, strict=True):
                done[index] = future.result()
        return [_given(found) for found in done if found is not None]

    def stop(self) -> None:
        """Make the run end at its next step: it was cancelled."""
        self._broken = self._broken or RunError(f"run {self.run_id} was cancelled")
        self._stopped.set()

    def check(self) -> None:
        """Raise what made this execution impossible to go on with, if anything did.

        It is raised at every further step, also when the workflow caught it the first time.
        """
        if self._broken is not None:
            raise self._broken

    def check_complete(self) -> None:
        """Raise `RunError` when steps are recorded that the workflow no longer calls."""
        with self._breaking():
            left = self._history.take_any()
        if left is not None:
            raise self._break(_changed(self.run_id, f"it no longer calls the step {left.id}"))

    def finish(self, status: str, outcome: bytes) -> None:
        """Record the end of the run. Raises `ConflictError` when the run was taken meanwhile."""
        done = self._store.finish_run(
            self.run_id,
            epoch=self.epoch,
            status=status,
            outcome=outcome,
            finished=int(time.time() * 1000),
        )
        if not done:
            raise self._lost()
        fault_point("workflow.finished")

    def _allocate(self, step: "Step[..., Any]") -> Slot:
        self.check()
        with self._numbering:
            self._position += 1
            self._calls[step.name] += 1
            return Slot(self._position, f"{step.name}-{self._calls[step.name]}")

    def _replay(self, step: "Step[..., Any]", slot: Slot) -> Done | None:
        """The step as it is recorded, or None when it is not."""
        with self._breaking():
            record = self._history.take(slot.position)
        if record is None:
            return None
        if record.id != slot.id:
            what = f"step {slot.position} is now {slot.id} and was {record.id}"
            raise self._break(_changed(self.run_id, what))
        if record.error is not None:
            return Done(record, None)
        try:
            value = codec.decode(step.decoder, record.result, f"the kept result of {slot.id}")
        except UsageError as error:
            raise self._break(_changed(self.run_id, error.message)) from error
        return Done(record, value)

    def _perform(
        self, step: "Step[..., Any]", slot: Slot, args: Sequence[Any], kwargs: dict[str, Any]
    ) -> Done:
        self.check()
        started, clock = int(time.time() * 1000), time.perf_counter()
        within = current.set(None)
        try:
            with task(f"{self.run_id}:{slot.id}"):
                value, error, attempts = perform(step, args, kwargs, self._stopped)
        finally:
            current.reset(within)
        result: msgspec.Raw | msgspec.UnsetType = msgspec.UNSET
        failure = None
        if error is None:
            try:
                what = f"the result of step {slot.id}"
                encoded = codec.encode(value, what)
                value = codec.decode(step.decoder, encoded, what)
                result = msgspec.Raw(encoded)
            except UsageError as unfit:
                error = unfit
        if error is not None:
            self.check()  # a step that a cancellation cut short has not failed
            failure = failure_of(error, step=slot.id, attempts=attempts)
        seconds = round(time.perf_counter() - clock, 6)
        record = StepRecord(slot.id, started, seconds, attempts, result, failure)
        self._record(slot, encode(record))
        return Done(record, value)

    def _record(self, slot: Slot, body: bytes) -> None:
        with self._breaking():
            fault_point("workflow.step.executed")
            kept = self._store.record_step(
                self.run_id, epoch=self.epoch, position=slot.position, body=body
            )
        if not kept:
            raise self._lost()
        fault_point("workflow.step.recorded")

    @contextmanager
    def _breaking(self) -> Iterator[None]:
        """What the store raises in the body is not the workflow's to handle; see `check`."""
        try:
            yield
        except Exception as error:
            self._broken = self._broken or error
            raise

    def _break(self, error: HoldfastError) -> HoldfastError:
        self._broken = self._broken or error
        return error

    def _lost(self) -> HoldfastError:
        row = self._store.read_run(self.run_id)
        if row is not None and row.status == "cancelled":
            return self._break(RunError(f"run {self.run_id} was cancelled"))
        return self._break(
            ConflictError(
                f"run {self.run_id} was taken over by another process",
                hint="this one recorded nothing more; the other goes on with it",
            )
        )


def _given(done: Done) -> Any:
    if done.record.error is not None:
        raise step_error(done.record.error)
    return done.value


def _changed(run_id: str, what: str) -> RunError:
    return RunError(
        f"the definition of run {run_id} changed: {what}",
        hint="nothing is lost: resume it with the code it began with, or cancel it and start anew",
    )

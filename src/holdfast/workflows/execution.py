"""One run being executed: its steps numbered, replayed where they are recorded, else performed.

The steps of a run are numbered in the order in which the workflow calls them. A recorded step's
result is taken from the store; a step counts as finished only once it is recorded, so one that was
killed before that is performed again (at least once), and one that is recorded never is.
"""

import threading
import time
from collections.abc import Coroutine, Iterator, Sequence
from contextlib import contextmanager
from contextvars import ContextVar, copy_context
from typing import TYPE_CHECKING, Any, NamedTuple

import msgspec

from holdfast.context import task
from holdfast.durable.faults import fault_point
from holdfast.engines.outbox import Outbox
from holdfast.errors import ConflictError, HoldfastError, RunError, UsageError
from holdfast.workflows import codec
from holdfast.workflows.attempts import GateError, Performed, ending_noticed, perform, perform_async
from holdfast.workflows.failures import failure_of, step_error
from holdfast.workflows.history import History
from holdfast.workflows.records import StepRecord, encode
from holdfast.workflows.results import LARGE, put_result, with_result
from holdfast.workflows.store import WorkflowStore

if TYPE_CHECKING:
    import asyncio

    from holdfast.workflows.definitions import Step
    from holdfast.workflows.engine import Workflows
    from holdfast.workflows.limits import Gate

current: ContextVar["Execution | None"] = ContextVar("holdfast_run", default=None)
"""The run whose workflow function this code belongs to; None outside of one and inside steps."""


class ParkedError(BaseException):
    """The run has nothing to do until `due` (milliseconds of the epoch), or until it is sent more
    than `signals` signals. It unwinds the workflow, which begins again and replays then."""

    def __init__(self, due: int, signals: int | None) -> None:
        super().__init__()
        self.due = due
        self.signals = signals


class Slot(NamedTuple):
    """A step's place in its run: its ordinal among all steps, and its id.

    `group` is the position of the first of the steps of a `map` that it belongs to.
    """

    position: int
    id: str
    group: int | None = None


class Done(NamedTuple):
    """A finished step: its record, and its result as the workflow gets it."""

    record: StepRecord
    value: Any


class Execution:
    """The state of one run while a workflow function runs in this process."""

    def __init__(
        self, engine: "Workflows", store: WorkflowStore, run_id: str, epoch: int, *, fresh: bool
    ) -> None:
        self.engine = engine
        self.store = store
        self.run_id = run_id
        self.epoch = epoch
        self.history = History(store, run_id, fresh=fresh)
        self.database = engine.database
        self.stopped = threading.Event()
        self.performing = 0
        """How many async steps are being performed."""
        self.taken_signals: set[int] = set()
        self.patches: dict[str, bool] = {}
        self._numbering = threading.Lock()
        self._calls: dict[str, int] = {}
        self._position = 0
        self._broken: BaseException | None = None
        self._task: asyncio.Task[Any] | None = None

    def call(self, step: "Step[..., Any]", args: Sequence[Any], kwargs: dict[str, Any]) -> Any:
        """Replay or perform one call of `step`. Raises `StepError` when it failed."""
        slot = self.allocate(step.name)
        done = self.replay(slot, step.decoder)
        return given(done if done is not None else self.perform(step, slot, args, kwargs))

    def call_async(
        self, step: "Step[..., Any]", args: Sequence[Any], kwargs: dict[str, Any]
    ) -> Coroutine[Any, Any, Any]:
        """As `call`, for a coroutine function; its place in the run is that of this call."""
        if self._task is None:
            raise UsageError(
                f"the step {step.name} is async and the workflow is not",
                hint="make the workflow async, too, and await the step",
            )
        slot = self.allocate(step.name)
        return self._call_async(step, slot, args, kwargs)

    def map(
        self, step: "Step[..., Any]", calls: Sequence[Sequence[Any]], workers: int
    ) -> list[Any]:
        """Replay or perform a call of `step` for each of `calls`, in up to `workers` threads.

        All of them are finished and recorded before the first error, if any, is raised.
        """
        from concurrent.futures import ThreadPoolExecutor

        group = self._position + 1
        slots = [self.allocate(step.name)._replace(group=group) for _ in calls]
        done = [self.replay(slot, step.decoder) for slot in slots]
        missing = [index for index, found in enumerate(done) if found is None]
        if missing:
            context = copy_context()
            width = min(workers, len(missing))
            with ending_noticed(), ThreadPoolExecutor(width, "holdfast-map") as threads:
                futures = [
                    threads.submit(
                        context.copy().run, self.perform, step, slots[index], calls[index], {}
                    )
                    for index in missing
                ]
            for index, future in zip(missing, futures, strict=True):
                done[index] = future.result()
        return [given(found) for found in done if found is not None]

    def enter_loop(self) -> None:
        """Called by the task in which an async workflow runs."""
        import asyncio

        self._task = asyncio.current_task()

    @property
    def is_async(self) -> bool:
        """Whether the workflow is a coroutine function."""
        return self._task is not None

    def stop(self) -> None:
        """Make the run end at its next step: it was cancelled."""
        self._broken = self._broken or RunError(f"run {self.run_id} was cancelled")
        self.stopped.set()

    def put_down(self) -> None:
        """Make the run leave at its next step, due at once for whoever takes it up."""
        self.park(int(time.time() * 1000), None)
        self.stopped.set()

    def check(self) -> None:
        """Raise what made this execution impossible to go on with, if anything did.

        It is raised at every further step, also when the workflow caught it the first time.
        """
        if self._broken is not None:
            raise self._broken

    def check_complete(self) -> None:
        """Raise `RunError` when steps are recorded that the workflow no longer calls."""
        with self.breaking():
            left = self.history.take_any()
        if left is not None:
            raise self.break_off(_changed(self.run_id, f"it no longer calls the step {left.id}"))

    def park(self, due: int, signals: int | None) -> ParkedError:
        """What to raise so that the run leaves its thread until then."""
        parked = ParkedError(due, signals)
        self._broken = self._broken or parked
        return parked

    def finish(self, status: str, outcome: bytes) -> None:
        """Record the end of the run. Raises `ConflictError` when the run was taken meanwhile."""
        done = self.store.finish_run(
            self.run_id,
            epoch=self.epoch,
            status=status,
            outcome=outcome,
            finished=int(time.time() * 1000),
        )
        if not done:
            raise self.lost()
        fault_point("workflow.finished")

    def allocate(self, name: str, *, exactly: str | None = None) -> Slot:
        """The place of the next step: the n-th of `name`, unless its id is given."""
        self.check()
        if self._task is not None:
            self._check_task(name)
        with self._numbering:
            self._position += 1
            if exactly is not None:
                return Slot(self._position, exactly)
            number = self._calls[name] = self._calls.get(name, 0) + 1
            return Slot(self._position, f"{name}-{number}")

    def next_recorded(self) -> StepRecord | None:
        """The record in the place of the next step, which stays there."""
        with self.breaking():
            return self.history.peek(self._position + 1)

    def is_replaying(self) -> bool:
        """Whether steps are recorded that the workflow has not come to yet."""
        with self.breaking():
            return self.history.has_more()

    def replay(self, slot: Slot, decoder: codec.Decode | None = None) -> Done | None:
        """The step as it is recorded, or None when it is not; without a decoder as plain JSON."""
        if self.history.is_over:
            return None
        with self.breaking():
            record = self.history.take(slot.position)
        if record is None:
            return None
        if record.id != slot.id:
            what = f"step {slot.position} is now {slot.id} and was {record.id}"
            raise self.break_off(_changed(self.run_id, what))
        if record.error is not None:
            return Done(record, None)
        with self.breaking():
            record = with_result(self.store, record)
        try:
            read = decoder or msgspec.json.decode
            value = codec.decode(read, record.result, f"the kept result of {slot.id}")
        except UsageError as error:
            raise self.break_off(_changed(self.run_id, error.message)) from error
        return Done(record, value)

    def record(self, slot: Slot, record: StepRecord, outbox: Outbox | None = None) -> None:
        """Store a finished step, and what `outbox` holds in the same transaction.

        Raises `ConflictError` when the run was taken meanwhile.
        """
        try:
            fault_point("workflow.step.executed")
            kept = self.engine.together.record_step(
                self.run_id,
                epoch=self.epoch,
                position=slot.position,
                body=encode(record),
                outbox=outbox,
            )
        except Exception as error:  # not the workflow's to handle; see `check`
            self._broken = self._broken or error
            raise
        if not kept:
            raise self.lost()
        fault_point("workflow.step.recorded")

    @contextmanager
    def breaking(self) -> Iterator[None]:
        """What the store raises in the body is not the workflow's to handle; see `check`."""
        try:
            yield
        except Exception as error:
            self._broken = self._broken or error
            raise

    def break_off(self, error: HoldfastError) -> HoldfastError:
        """Remember that nothing goes on after `error`."""
        self._broken = self._broken or error
        return error

    def lost(self) -> HoldfastError:
        """Why a write was refused: the run was cancelled, or another process has it."""
        row = self.store.read_run(self.run_id)
        if row is not None and row.status == "cancelled":
            return self.break_off(RunError(f"run {self.run_id} was cancelled"))
        return self.break_off(
            ConflictError(
                f"run {self.run_id} was taken over by another process",
                hint="this one recorded nothing more; the other goes on with it",
            )
        )

    async def _call_async(
        self, step: "Step[..., Any]", slot: Slot, args: Sequence[Any], kwargs: dict[str, Any]
    ) -> Any:
        done = self.replay(slot, step.decoder)
        return given(done or await self._perform_async(step, slot, args, kwargs))

    def perform(
        self, step: "Step[..., Any]", slot: Slot, args: Sequence[Any], kwargs: dict[str, Any]
    ) -> Done:
        """Perform and record a step that is not recorded. Does not raise its error."""
        self.check()
        started, clock = time.time() * 1000, time.perf_counter()
        within = current.set(None)
        try:
            with task(f"{self.run_id}:{slot.id}"):
                performed = perform(step, args, kwargs, self)
        except GateError as refused:
            raise self.break_off(refused.error) from refused
        finally:
            current.reset(within)
        return self._keep(step, slot, performed, started, clock)

    async def _perform_async(
        self, step: "Step[..., Any]", slot: Slot, args: Sequence[Any], kwargs: dict[str, Any]
    ) -> Done:
        self.check()
        started, clock = time.time() * 1000, time.perf_counter()
        within = current.set(None)
        self.performing += 1
        try:
            with task(f"{self.run_id}:{slot.id}"):
                performed = await perform_async(step, args, kwargs, self)
        except GateError as refused:
            raise self.break_off(refused.error) from refused
        finally:
            self.performing -= 1
            current.reset(within)
        return self._keep(step, slot, performed, started, clock)

    def gate_of(self, step: "Step[..., Any]") -> "Gate":
        """What keeps to the limits of a step that has some."""
        return self.engine.gate_of(step)

    def _keep(
        self,
        step: "Step[..., Any]",
        slot: Slot,
        performed: Performed,
        started: float,
        clock: float,
    ) -> Done:
        value, error, attempts, outbox = performed
        result: msgspec.Raw | msgspec.UnsetType = msgspec.UNSET
        failure = blob = None
        if error is None:
            try:
                what = f"the result of step {slot.id}"
                encoded = codec.encode(value, what)
                value = codec.decode(step.decoder, encoded, what)
            except UsageError as unfit:
                error = unfit
            else:
                if len(encoded) < LARGE:
                    result = msgspec.Raw(encoded)
                else:
                    with self.breaking():
                        result, blob = put_result(self.store, self.run_id, encoded)
        if error is not None:
            self.check()  # a step that a cancellation cut short has not failed
            failure = failure_of(error, step=slot.id, attempts=attempts)
            outbox = None
        seconds = round(time.perf_counter() - clock, 6)
        record = StepRecord(slot.id, started, seconds, attempts, result, failure, blob, slot.group)
        self.record(slot, record, outbox)
        return Done(record, value)

    def _check_task(self, name: str) -> None:
        """Steps are numbered in the order of their calls, which only one task has."""
        import asyncio

        if asyncio.current_task() is not self._task:
            raise self.break_off(
                UsageError(
                    f"{name} is called in a task of its own, where the order of calls is by chance",
                    hint="pass calls of steps to asyncio.gather directly, or make a child run of"
                    " what has several steps",
                )
            )


def given(done: Done) -> Any:
    """The value of a finished step; its kept error is raised."""
    if done.record.error is not None:
        raise step_error(done.record.error)
    return done.value


def _changed(run_id: str, what: str) -> RunError:
    return RunError(
        f"the definition of run {run_id} changed: {what}",
        hint="nothing is lost: resume it with the code it began with, or cancel it and start anew;"
        ' let code differ by if patched("name"), or give the workflow a version',
    )

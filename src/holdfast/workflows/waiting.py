"""Waiting that survives a restart: `sleep`, `wait_for` a signal, a child run's end; and `patched`.

What is waited for is a checkpoint like a step. A short wait keeps the run's thread; a longer one
gives it back: the run is *waiting* in the store, costs no thread and no memory, and begins again,
replaying its steps, when it is due or is sent a signal.
"""

import time
from collections.abc import Coroutine, Generator
from datetime import datetime
from typing import TYPE_CHECKING, Any, TypeVar, overload

import msgspec

from holdfast.errors import UsageError
from holdfast.workflows import codec
from holdfast.workflows.execution import Done, Execution, Slot, current, given
from holdfast.workflows.records import (
    NEVER,
    Failure,
    Signal,
    StepRecord,
    read_signal,
)
from holdfast.workflows.results import put_result

if TYPE_CHECKING:
    from holdfast.workflows.handles import Run

Value = TypeVar("Value")
Plan = Generator[float, None, Value]
"""Yields the seconds to pause before looking again; returns what was waited for."""

CHILD_ENDED = "holdfast.child.ended"
"""The signal that a run sends its parent."""

_HELD = 2.0  # seconds of waiting during which a run keeps its thread
_FIRST_LOOK = 0.002
_LONGEST_LOOK = 0.1
_CHILD_LOOK = 60_000  # milliseconds; a child's end wakes its parent, unless it is killed just then


def sleep(seconds: float) -> None:
    """Go on `seconds` after this was first reached, however often the run is interrupted.

    Outside of a run, and inside a step, it is `time.sleep`.
    """
    run = current.get()
    if run is None:
        time.sleep(seconds)
        return
    _drive(run, _sleep(run, seconds))


def sleep_async(seconds: float) -> Coroutine[Any, Any, None]:
    """`sleep` for an async workflow: await it."""
    run = current.get()
    if run is None:
        import asyncio

        return asyncio.sleep(seconds)
    return _drive_async(run, _sleep(run, seconds))


def sleep_until(moment: datetime) -> None:
    """Go on at `moment`, which has a time zone. Raises `UsageError` when it has none."""
    sleep(_seconds_to(moment))


def sleep_until_async(moment: datetime) -> Coroutine[Any, Any, None]:
    """`sleep_until` for an async workflow: await it."""
    return sleep_async(_seconds_to(moment))


@overload
def wait_for(name: str, *, timeout: float | None = None) -> Any: ...
@overload
def wait_for(name: str, *, timeout: float | None = None, type: type[Value]) -> Value: ...
def wait_for(name: str, *, timeout: float | None = None, type: Any = Any) -> Any:  # noqa: A002
    """The value of the next signal `name` that this run was sent or will be, each given out once.

    It is read as `type` says, else as plain JSON data. Raises `StepError` (of a `TimeoutError`)
    when none came within `timeout` seconds of the first time this was reached, and `UsageError`
    outside of a run.
    """
    run = _required(current.get(), "wait_for")
    return _drive(run, _wait_for(run, name, timeout, type))


def wait_for_async(
    name: str,
    *,
    timeout: float | None = None,
    type: Any = Any,  # noqa: A002
) -> Coroutine[Any, Any, Any]:
    """`wait_for` for an async workflow: await it."""
    run = _required(current.get(), "wait_for_async")
    return _drive_async(run, _wait_for(run, name, timeout, type))


def patched(name: str) -> bool:
    """Whether this run goes by the new code: False for one that was past this point before.

    ::

        if patched("check twice"):
            check(page)

    The answer is recorded and stays the same for the run. Raises `UsageError` outside of a run.
    """
    run = _required(current.get(), "patched")
    if name not in run.patches:
        run.patches[name] = _patched(run, f"patch-{name}")
    return run.patches[name]


class ChildRun:
    """A run that a workflow started; `result` is a checkpoint of the workflow's own."""

    def __init__(self, parent: Execution, slot: Slot, done: Done | None, run: "Run[Any]") -> None:
        self.id = run.id
        self._parent = parent
        self._slot = slot
        self._done = done
        self._run = run

    def __repr__(self) -> str:
        return f"<ChildRun {self.id}>"

    def result(self) -> Any:
        """Wait for the child's result. Raises `StepError` when it failed or was cancelled."""
        if self._done is None:
            self._done = _drive(self._parent, _child(self._parent, self._slot, self._run))
        return given(self._done)

    async def result_async(self) -> Any:
        """`result` for an async workflow."""
        if self._done is None:
            plan = _child(self._parent, self._slot, self._run)
            self._done = await _drive_async(self._parent, plan)
        return given(self._done)


def _sleep(run: Execution, seconds: float) -> Plan[None]:
    slot = run.allocate("sleep")
    deadline = _deadline(run, slot, seconds)
    return _until(run, deadline, seconds)


def _until(run: Execution, deadline: int, most: float) -> Plan[None]:
    """Wait until `deadline`, and no longer than `most` even if the clock was stepped back."""
    end = time.monotonic() + min(deadline / 1000 - time.time(), most)
    while (left := end - time.monotonic()) > 0:
        if left > _HELD and _may_park(run):
            raise run.park(deadline, None)
        yield min(left, _HELD)


def _wait_for(run: Execution, name: str, timeout: float | None, kind: Any) -> Plan[Any]:
    read = codec.decoder_for(kind, f"the signal {name}")
    deadline = NEVER if timeout is None else _deadline(run, run.allocate("deadline"), timeout)
    slot = run.allocate("wait_for")
    return _next_signal(run, slot, name, deadline, read)


def _next_signal(
    run: Execution, slot: Slot, name: str, deadline: int, read: codec.Decode
) -> Plan[Any]:
    done = run.replay(slot, read)
    if done is not None:
        if done.record.signal is not None:
            run.taken_signals.add(done.record.signal)
        return given(done)
    held = time.monotonic() + _HELD
    pause = _FIRST_LOOK
    while True:
        found, sent = _look_for(run, name)
        if found is not None:
            return given(_take_signal(run, slot, found, read))
        if _now() >= deadline:
            error = Failure("TimeoutError", f"no signal {name!r} came in time", "", slot.id)
            record = StepRecord(slot.id, _now(), 0.0, error=error)
            run.record(slot, record)
            return given(Done(record, None))
        if time.monotonic() > held and _may_park(run):
            raise run.park(deadline, sent)
        yield min(pause, max(0.0, (deadline - _now()) / 1000))
        pause = min(pause * 2, _LONGEST_LOOK)


def _look_for(run: Execution, name: str) -> tuple[tuple[int, Signal] | None, int]:
    """The first signal `name` that is not taken yet, and how many signals there are."""
    with run.breaking():
        signals = run.store.read_signals(run.run_id, after=0)
        for number, body in signals:
            if number not in run.taken_signals:
                signal = read_signal(body, run.run_id)
                if signal.name == name:
                    return (number, signal), len(signals)
    return None, len(signals)


def _take_signal(run: Execution, slot: Slot, found: tuple[int, Signal], read: codec.Decode) -> Done:
    number, signal = found
    value = codec.decode(read, signal.value, f"the signal {signal.name!r}")
    with run.breaking():
        result, blob = put_result(run.store, run.run_id, bytes(signal.value))
    record = StepRecord(slot.id, _now(), 0.0, result=result, blob=blob, signal=number)
    run.record(slot, record)
    run.taken_signals.add(number)
    return Done(record, value)


def _child(run: Execution, slot: Slot, child: "Run[Any]") -> Plan[Done]:
    held = time.monotonic() + _HELD
    pause = _FIRST_LOOK
    sent = len(run.store.read_signals(run.run_id, after=0))
    while (ended := child.ended()) is None:
        if time.monotonic() > held and _may_park(run):
            raise run.park(_now() + _CHILD_LOOK, sent)
        yield pause
        pause = min(pause * 1.5, _LONGEST_LOOK)
    failure = ended.error
    if failure is not None:
        record = StepRecord(
            slot.id,
            _now(),
            0.0,
            error=Failure(failure.type, failure.message, failure.traceback, slot.id),
        )
        run.record(slot, record)
        return Done(record, None)
    assert isinstance(ended.result, msgspec.Raw)
    with run.breaking():
        result, blob = put_result(run.store, run.run_id, bytes(ended.result))
    record = StepRecord(slot.id, _now(), 0.0, result=result, blob=blob)
    run.record(slot, record)
    return Done(record, child.read(ended.result))


def _patched(run: Execution, marker: str) -> bool:
    recorded = run.next_recorded()
    if recorded is not None and recorded.id == marker:
        run.replay(run.allocate(marker, exactly=marker))
        return True
    if run.is_replaying():
        return False
    slot = run.allocate(marker, exactly=marker)
    run.record(slot, StepRecord(marker, _now(), 0.0, result=msgspec.Raw(b"true")))
    return True


def _deadline(run: Execution, slot: Slot, seconds: float) -> int:
    """The moment `seconds` after this was first reached, in milliseconds of the epoch."""
    done = run.replay(slot)
    if done is not None:
        return int(given(done))
    deadline = min(_now() + max(0, round(seconds * 1000)), NEVER)
    run.record(slot, StepRecord(slot.id, _now(), 0.0, result=msgspec.Raw(b"%d" % deadline)))
    return deadline


def _drive(run: Execution, plan: Plan[Value]) -> Value:
    if run.is_async:
        raise UsageError("an async workflow waits with await", hint="use the _async functions")
    try:
        while True:
            run.stopped.wait(next(plan))
            run.check()
    except StopIteration as end:
        value: Value = end.value
        return value


async def _drive_async(run: Execution, plan: Plan[Value]) -> Value:
    import asyncio

    while True:
        try:
            pause = next(plan)
        except StopIteration as end:
            value: Value = end.value
            return value
        await asyncio.sleep(pause)
        run.check()


def _may_park(run: Execution) -> bool:
    """Whether the run does nothing else: steps under way would be cut off."""
    return run.performing == 0


def _required(run: Execution | None, what: str) -> Execution:
    if run is None:
        raise UsageError(f"{what} was called outside of a workflow")
    return run


def _seconds_to(moment: datetime) -> float:
    if moment.tzinfo is None:
        raise UsageError(
            "sleep_until needs a time with a time zone", hint="for example datetime.now(UTC) + …"
        )
    return moment.timestamp() - time.time()


def _now() -> int:
    return int(time.time() * 1000)

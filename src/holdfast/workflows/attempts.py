"""Performing a step: its attempts, the pauses between them, and its time limit."""

import random
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from contextvars import copy_context
from typing import TYPE_CHECKING, Any, NamedTuple

from holdfast.engines.outbox import Outbox, open_outbox
from holdfast.errors import HoldfastError, RunError

if TYPE_CHECKING:
    from holdfast.workflows.definitions import Step
    from holdfast.workflows.execution import Execution
    from holdfast.workflows.limits import Gate

_LONGEST_PAUSE = 60.0  # seconds


class EndingError(BaseException):
    """The interpreter is ending and starts no more threads. No failure of the run: it stays
    unfinished, and is resumed by the next process."""


class GateError(BaseException):
    """The store could not say whether the step may begin. No failure of the step."""

    def __init__(self, error: HoldfastError) -> None:
        super().__init__(str(error))
        self.error = error


@contextmanager
def ending_noticed() -> Iterator[None]:
    """Turn the `RuntimeError` of starting a thread in a process that ends into `EndingError`."""
    try:
        yield
    except RuntimeError as error:
        raise EndingError(str(error)) from error


class Performed(NamedTuple):
    """How a step ended: what it returned or its last error, after how many attempts.

    `outbox` has what the successful attempt put there.
    """

    value: Any
    error: Exception | None
    attempts: int
    outbox: Outbox | None = None


def perform(
    step: "Step[..., Any]",
    args: Sequence[Any],
    kwargs: dict[str, Any],
    run: "Execution",
) -> Performed:
    """Call the step until it returns or its retries are used up.

    Each attempt has an outbox of its own. What is no `Exception` (an interrupt, an exit) is not the
    step's failure and passes through.
    """
    gate = None if step.limiter is None else run.gate_of(step)
    attempt = 1
    while True:
        try:
            with open_outbox(run.database) as outbox:
                if gate is None:
                    return Performed(_once(step, args, kwargs), None, attempt, outbox)
                with _limited(gate, step.name, run.stopped):
                    return Performed(_once(step, args, kwargs), None, attempt, outbox)
        except Exception as error:
            last = attempt > step.retries or not isinstance(error, step.retry_on)
            if last or run.stopped.wait(_pause(step.backoff, attempt)):
                return Performed(None, error, attempt)
        attempt += 1


async def perform_async(
    step: "Step[..., Any]",
    args: Sequence[Any],
    kwargs: dict[str, Any],
    run: "Execution",
) -> Performed:
    """`perform` for a coroutine function: nothing blocks the event loop."""
    import asyncio

    gate = None if step.limiter is None else run.gate_of(step)
    attempt = 1
    while True:
        try:
            async with asyncio.timeout(None) as limit:
                while gate is not None and (pause := _enter(gate)):
                    await asyncio.sleep(pause)
                try:
                    if step.timeout is not None:
                        limit.reschedule(asyncio.get_running_loop().time() + step.timeout)
                    with open_outbox(run.database) as outbox:
                        value = await step.function(*args, **kwargs)
                    return Performed(value, None, attempt, outbox)
                finally:
                    if gate is not None:
                        gate.leave()
        except Exception as caught:
            error = _late(step) if limit.expired() else caught
            last = attempt > step.retries or not isinstance(error, step.retry_on)
            if last or run.stopped.is_set():
                return Performed(None, error, attempt)
        await asyncio.sleep(_pause(step.backoff, attempt))
        attempt += 1


def _enter(gate: "Gate") -> float:
    try:
        return gate.try_enter()
    except HoldfastError as error:
        raise GateError(error) from error


@contextmanager
def _limited(gate: "Gate", name: str, stopped: threading.Event) -> Iterator[None]:
    while pause := _enter(gate):
        if stopped.wait(pause):
            raise RunError(f"the run ended before {name} could begin")
    try:
        yield
    finally:
        gate.leave()


def _pause(backoff: float, attempt: int) -> float:
    """Seconds before the next attempt: doubled each time, and spread so that many callers of one
    failing service do not come back together."""
    doubled = min(backoff * 2.0 ** min(attempt - 1, 30), _LONGEST_PAUSE)
    return doubled * random.uniform(0.5, 1.5)  # noqa: S311 - no secret


def _once(step: "Step[..., Any]", args: Sequence[Any], kwargs: dict[str, Any]) -> Any:
    if step.timeout is None:
        return step.function(*args, **kwargs)
    return _within(step.timeout, step, args, kwargs)


def _within(
    seconds: float, step: "Step[..., Any]", args: Sequence[Any], kwargs: dict[str, Any]
) -> Any:
    """The step's result if it comes within `seconds`, else `TimeoutError`.

    Python cannot end a thread: one that is late runs on in the background and is not listened to.
    """
    from concurrent.futures import Future

    answer: Future[Any] = Future()

    def work() -> None:
        try:
            answer.set_result(step.function(*args, **kwargs))
        except BaseException as error:
            answer.set_exception(error)

    context = copy_context()
    thread = threading.Thread(target=context.run, args=(work,), name=step.name, daemon=True)
    with ending_noticed():
        thread.start()
    thread.join(seconds)
    if not answer.done():
        raise _late(step)
    return answer.result()


def _late(step: "Step[..., Any]") -> TimeoutError:
    return TimeoutError(f"{step.name} took longer than {step.timeout:g} s")

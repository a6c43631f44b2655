"""Performing a step: its attempts, the pauses between them, and its time limit."""

import random
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from contextvars import copy_context
from typing import TYPE_CHECKING, Any, NamedTuple

from holdfast.engines.outbox import Outbox, open_outbox
from holdfast.errors import RunError

if TYPE_CHECKING:
    from holdfast.workflows.definitions import Step
    from holdfast.workflows.limits import Limiter

_LONGEST_PAUSE = 60.0  # seconds


class EndingError(BaseException):
    """The interpreter is ending and starts no more threads. No failure of the run: it stays
    unfinished, and is resumed by the next process."""


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
    stopped: threading.Event,
    database: str,
) -> Performed:
    """Call the step until it returns or its retries are used up.

    Each attempt has an outbox of its own of `database`. What is no `Exception` (an interrupt, an
    exit) is not the step's failure and passes through.
    """
    attempt = 1
    while True:
        try:
            with open_outbox(database) as outbox:
                if step.limiter is None:
                    return Performed(_once(step, args, kwargs), None, attempt, outbox)
                with _limited(step.limiter, step.name, stopped):
                    return Performed(_once(step, args, kwargs), None, attempt, outbox)
        except Exception as error:
            last = attempt > step.retries or not isinstance(error, step.retry_on)
            if last or stopped.wait(_pause(step.backoff, attempt)):
                return Performed(None, error, attempt)
        attempt += 1


async def perform_async(
    step: "Step[..., Any]",
    args: Sequence[Any],
    kwargs: dict[str, Any],
    stopped: threading.Event,
    database: str,
) -> Performed:
    """`perform` for a coroutine function: nothing blocks the event loop."""
    import asyncio

    attempt = 1
    while True:
        try:
            async with asyncio.timeout(None) as limit:
                while step.limiter is not None and (pause := step.limiter.try_enter()):
                    await asyncio.sleep(pause)
                try:
                    if step.timeout is not None:
                        limit.reschedule(asyncio.get_running_loop().time() + step.timeout)
                    with open_outbox(database) as outbox:
                        value = await step.function(*args, **kwargs)
                    return Performed(value, None, attempt, outbox)
                finally:
                    if step.limiter is not None:
                        step.limiter.leave()
        except Exception as caught:
            error = _late(step) if limit.expired() else caught
            last = attempt > step.retries or not isinstance(error, step.retry_on)
            if last or stopped.is_set():
                return Performed(None, error, attempt)
        await asyncio.sleep(_pause(step.backoff, attempt))
        attempt += 1


@contextmanager
def _limited(limiter: "Limiter", name: str, stopped: threading.Event) -> Iterator[None]:
    while pause := limiter.try_enter():
        if stopped.wait(pause):
            raise RunError(f"the run ended before {name} could begin")
    try:
        yield
    finally:
        limiter.leave()


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

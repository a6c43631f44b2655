"""Errors of steps and runs, kept whole and readable, and raised again from what was kept."""

import traceback

from holdfast.errors import RunError, StepError
from holdfast.workflows.records import Failure


def failure_of(error: BaseException, *, step: str | None = None, attempts: int = 1) -> Failure:
    """`error` as it is kept. The error of a failed step keeps speaking of that step."""
    if isinstance(error, StepFailedError):
        return error.failure
    kind = type(error)
    name = kind.__qualname__ if kind.__module__ == "builtins" else _full_name(kind)
    text = "".join(traceback.format_exception(error))
    return Failure(name, _message(error), text, step, attempts)


def step_error(failure: Failure) -> StepError:
    """The `StepError` that stands for the kept failure of a step."""
    times = "" if failure.attempts == 1 else f" after {failure.attempts} attempts"
    return StepFailedError(f"step {failure.step} failed{times}: {failure}", failure)


def run_error(run_id: str, failure: Failure) -> RunError | StepError:
    """What a failed run raises: a `StepError` when a step's error ended it, else a `RunError`."""
    if failure.step is not None:
        return step_error(failure)
    return RunFailedError(f"run {run_id} failed: {failure}", failure)


class StepFailedError(StepError):
    """A `StepError` with the `failure` that was kept; the kept traceback is attached as a note."""

    def __init__(self, message: str, failure: Failure) -> None:
        super().__init__(message)
        self.failure = failure
        self.add_note(failure.traceback)


class RunFailedError(RunError):
    """A `RunError` with the `failure` that was kept; the kept traceback is attached as a note."""

    def __init__(self, message: str, failure: Failure) -> None:
        super().__init__(message)
        self.failure = failure
        self.add_note(failure.traceback)


def _full_name(kind: type[BaseException]) -> str:
    return f"{kind.__module__}.{kind.__qualname__}"


def _message(error: BaseException) -> str:
    try:
        return str(error)
    except Exception as second:  # an exception whose own __str__ fails is still to be kept
        return f"(its message cannot be read: {second!r})"

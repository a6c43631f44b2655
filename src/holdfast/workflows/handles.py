"""The handle of a run: what `start` returns."""

import time
from typing import TYPE_CHECKING, Any, Generic, TypeVar

from holdfast.errors import RunError
from holdfast.workflows import codec
from holdfast.workflows.failures import run_error
from holdfast.workflows.jobs import ElsewhereError
from holdfast.workflows.records import Status, read_outcome
from holdfast.workflows.store import RunRow

if TYPE_CHECKING:
    from concurrent.futures import Future

    from holdfast.workflows.engine import Workflows

Result = TypeVar("Result")

_FIRST_LOOK = 0.01  # seconds
_LONGEST_LOOK = 1.0


class Run(Generic[Result]):
    """A run, wherever it is executed: in this process, in another one, or by nobody now."""

    def __init__(
        self, engine: "Workflows", run_id: str, decoder: Any, future: "Future[Any] | None"
    ) -> None:
        self.id = run_id
        self._engine = engine
        self._decoder = decoder
        self._future = future

    def __repr__(self) -> str:
        return f"<Run {self.id}>"

    @property
    def status(self) -> Status:
        """``running``, ``succeeded``, ``failed`` or ``cancelled``, as the store has it now."""
        return self._engine.get(self.id).status

    def result(self, timeout: float | None = None) -> Result:
        """Wait for the result, at most `timeout` seconds.

        Raises `StepError` when a step's error ended the run, `RunError` when it failed otherwise,
        was cancelled, was interrupted (then `resume` goes on with it), or is not finished in time.
        """
        if self._future is None:
            return self._look(timeout)
        try:
            value: Result = self._future.result(timeout)
        except ElsewhereError:
            return self._look(timeout)
        except TimeoutError:
            raise self._late(timeout) from None
        return value

    def _look(self, timeout: float | None) -> Result:
        deadline = None if timeout is None else time.monotonic() + timeout
        pause = _FIRST_LOOK
        while True:
            row = self._engine.settled(self.id)
            if row is not None:
                value: Result = value_of(row, self._decoder)
                return value
            left = _LONGEST_LOOK if deadline is None else deadline - time.monotonic()
            if left <= 0:
                raise self._late(timeout)
            time.sleep(min(pause, left))
            pause = min(pause * 2, _LONGEST_LOOK)

    def _late(self, timeout: float | None) -> RunError:
        return RunError(f"run {self.id} is not finished after {timeout:g} s", hint="it goes on")


def value_of(row: RunRow, decoder: Any) -> Any:
    """The result of a finished run, or its error raised."""
    outcome = read_outcome(row)
    if row.status == "cancelled":
        raise RunError(f"run {row.id} was cancelled")
    if outcome.error is not None:
        raise run_error(row.id, outcome.error)
    return codec.decode(decoder, outcome.result, f"the kept result of run {row.id}")

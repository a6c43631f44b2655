"""The handle of a run: what `start` returns."""

import time
from typing import TYPE_CHECKING, Any, Generic, TypeVar

from msgspec import Raw

from holdfast.errors import RunError
from holdfast.workflows import codec
from holdfast.workflows.failures import run_error
from holdfast.workflows.jobs import ElsewhereError
from holdfast.workflows.records import Outcome, Status
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

    async def result_async(self, timeout: float | None = None) -> Result:
        """`result` for an event loop, which goes on meanwhile."""
        import asyncio

        return await asyncio.to_thread(self.result, timeout)

    def signal(self, name: str, value: Any = None) -> None:
        """Send the run a signal; see `Workflows.signal`."""
        self._engine.signal(self.id, name, value)

    def ended(self) -> Outcome | None:
        """How the run ended, None while it has not; one that was interrupted is taken up."""
        return self._engine.outcome_of(self.id)

    def read(self, result: Raw) -> Result:
        """A kept result as the workflow's annotation says."""
        value: Result = codec.decode(self._decoder, result, f"the result of run {self.id}")
        return value

    def _look(self, timeout: float | None) -> Result:
        deadline = None if timeout is None else time.monotonic() + timeout
        pause = _FIRST_LOOK
        while True:
            row = self._engine.settled(self.id)
            if row is not None:
                return self._value_of(row)
            left = _LONGEST_LOOK if deadline is None else deadline - time.monotonic()
            if left <= 0:
                raise self._late(timeout)
            time.sleep(min(pause, left))
            pause = min(pause * 2, _LONGEST_LOOK)

    def _late(self, timeout: float | None) -> RunError:
        return RunError(f"run {self.id} is not finished after {timeout:g} s", hint="it goes on")

    def _value_of(self, row: RunRow) -> Result:
        if row.status == "cancelled":
            raise RunError(f"run {row.id} was cancelled")
        outcome = self._engine.read_outcome(row)
        if outcome.error is not None:
            raise run_error(row.id, outcome.error)
        assert isinstance(outcome.result, Raw)
        return self.read(outcome.result)

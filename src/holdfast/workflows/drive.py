"""Driving one run from its input to its recorded end."""

import time
from collections.abc import Coroutine
from contextlib import suppress
from typing import TYPE_CHECKING, Any

from holdfast.context import task
from holdfast.durable.faults import fault_point
from holdfast.engines.outbox import open_outbox
from holdfast.errors import HoldfastError, RunError, UsageError
from holdfast.workflows import codec
from holdfast.workflows.definitions import AsyncWorkflow
from holdfast.workflows.execution import Execution, ParkedError, current
from holdfast.workflows.failures import failure_of, run_error
from holdfast.workflows.records import Failure, Outcome, encode
from holdfast.workflows.results import put_result
from holdfast.workflows.store import WorkflowStore

_TRY_AGAIN = 60_000  # milliseconds

if TYPE_CHECKING:
    from holdfast.workflows.definitions import Workflow


def drive(
    store: WorkflowStore, execution: Execution, workflow: "Workflow[..., Any]", given: bytes
) -> Any:
    """Execute the workflow and record how it ended; its result.

    Raises `StepError` or `RunError` when it failed, which is recorded. What is not the workflow's
    failure (a lost lease, a full disk, a changed definition, an interrupt) is raised and not
    recorded: the run stays unfinished and free, and can be resumed; a worker tries it again after a
    minute. Raises `ParkedError` when the run waits in the store now.
    """
    try:
        args, kwargs = _arguments(execution, workflow, given)
        return _drive(execution, workflow, args, kwargs)
    except _EndedError as ended:
        raise ended.error from ended.__cause__
    except ParkedError as parked:
        _park(store, execution, parked)
        raise
    except BaseException:
        due = int(time.time() * 1000) + _TRY_AGAIN
        with suppress(HoldfastError):
            store.claim_run(execution.run_id, epoch=execution.epoch, owner=None, due=due)
        raise


class _EndedError(Exception):
    """The run failed and that is recorded."""

    def __init__(self, error: HoldfastError) -> None:
        super().__init__()
        self.error = error


def _arguments(
    execution: Execution, workflow: "Workflow[..., Any]", given: bytes
) -> tuple[list[Any], dict[str, Any]]:
    try:
        return workflow.arguments.decode(given)
    except UsageError as error:
        raise RunError(
            f"run {execution.run_id} cannot go on: {error.message}",
            hint="nothing is lost: correct the call or the definition, then resume or cancel it",
        ) from error


def _drive(
    execution: Execution, workflow: "Workflow[..., Any]", args: list[Any], kwargs: dict[str, Any]
) -> Any:
    within = current.set(execution)
    try:
        # What is put between the steps is of no transaction, so no outbox around the run gets it.
        with task(f"{execution.run_id}:main"), open_outbox(""):
            value = workflow.function(*args, **kwargs)
            if isinstance(workflow, AsyncWorkflow):
                value = _await(execution, value)
        execution.check()
        execution.check_complete()
        what = f"the result of workflow {workflow.name}"
        encoded = codec.encode(value, what)
        value = codec.decode(workflow.decoder, encoded, what)
    except Exception as error:
        execution.check()
        _fail(execution, failure_of(error), error)
    finally:
        current.reset(within)
    with execution.breaking():
        result, blob = put_result(execution.store, execution.run_id, encoded)
    execution.finish("succeeded", encode(Outcome(result=result, blob=blob)))
    return value


def _await(execution: Execution, coroutine: Coroutine[Any, Any, Any]) -> Any:
    import asyncio

    async def within_the_loop() -> Any:
        execution.enter_loop()
        return await coroutine

    return asyncio.run(within_the_loop())


def _park(store: WorkflowStore, execution: Execution, parked: ParkedError) -> None:
    """Put the run down until it is due; at once if it was sent a signal it has not seen."""
    for due, signals in ((parked.due, parked.signals), (None, None)):
        if store.claim_run(
            execution.run_id,
            epoch=execution.epoch,
            owner=None,
            status="waiting",
            due=due,
            signals=signals,
        ):
            fault_point("workflow.parked")
            return
    raise execution.lost()


def _fail(execution: Execution, failure: Failure, error: Exception) -> None:
    execution.finish("failed", encode(Outcome(error=failure)))
    raise _EndedError(run_error(execution.run_id, failure)) from error

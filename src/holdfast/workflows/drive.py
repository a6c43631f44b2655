"""Driving one run from its input to its recorded end."""

from contextlib import suppress
from typing import TYPE_CHECKING, Any

import msgspec

from holdfast.context import task
from holdfast.errors import HoldfastError, RunError, UsageError
from holdfast.workflows import codec
from holdfast.workflows.execution import Execution, current
from holdfast.workflows.failures import failure_of, run_error
from holdfast.workflows.records import Failure, Outcome, encode
from holdfast.workflows.store import WorkflowStore

if TYPE_CHECKING:
    from holdfast.workflows.definitions import Workflow


def drive(
    store: WorkflowStore, execution: Execution, workflow: "Workflow[..., Any]", given: bytes
) -> Any:
    """Execute the workflow and record how it ended; its result.

    Raises `StepError` or `RunError` when it failed, which is recorded. What is not the workflow's
    failure (a lost lease, a full disk, a changed definition, an interrupt) is raised and not
    recorded: the run stays unfinished and free, and can be resumed.
    """
    try:
        args, kwargs = _arguments(execution, workflow, given)
        return _drive(execution, workflow, args, kwargs)
    except _EndedError as ended:
        raise ended.error from ended.__cause__
    except BaseException:
        with suppress(HoldfastError):
            store.claim_run(execution.run_id, epoch=execution.epoch, owner=None)
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
        with task(f"{execution.run_id}:main"):
            value = workflow.function(*args, **kwargs)
        execution.check()
        execution.check_complete()
        what = f"the result of workflow {workflow.name}"
        result = codec.encode(value, what)
        value = codec.decode(workflow.decoder, result, what)
    except Exception as error:
        execution.check()
        _fail(execution, failure_of(error), error)
    finally:
        current.reset(within)
    execution.finish("succeeded", encode(Outcome(result=msgspec.Raw(result))))
    return value


def _fail(execution: Execution, failure: Failure, error: Exception) -> None:
    execution.finish("failed", encode(Outcome(error=failure)))
    raise _EndedError(run_error(execution.run_id, failure)) from error

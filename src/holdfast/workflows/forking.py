"""Where a run begins again: the steps that a retry drops, and those that a fork takes over."""

from collections.abc import Iterator

from holdfast.errors import NotFoundError, RunError
from holdfast.workflows.definitions import Workflow
from holdfast.workflows.records import RunBody, StepRecord, read_outcome, read_step
from holdfast.workflows.store import RunRow, WorkflowStore

MOST = 2**53
"""A position above every step's."""

_PAGE = 2_000


def check_version(run_id: str, body: RunBody, workflow: Workflow[..., object]) -> None:
    """Raise `RunError` when the run was begun by another version of the workflow."""
    if body.version == workflow.version:
        return
    raise RunError(
        f"run {run_id} was begun by version {body.version} of the workflow {workflow.name}, and"
        f" this is version {workflow.version}",
        hint="nothing is lost: resume it with that version's code, or cancel it and start anew",
    )


def dropped_by_retry(store: WorkflowStore, row: RunRow) -> list[int]:
    """The positions to forget so that the failed run goes on from the step that failed.

    Of a `map` only the failed steps are dropped, and everything after it.
    """
    error = read_outcome(row).error
    if error is None or error.step is None:
        return []
    dropped: list[int] = []
    group: int | None = None
    reached = False
    for position, step in _steps(store, row.id):
        if step.id == error.step:
            reached, group = True, step.group
            dropped += [position, *_failed_before(store, row.id, group, position)]
        elif reached and (group is None or step.group != group or step.error is not None):
            dropped.append(position)
    return dropped


def position_of(store: WorkflowStore, row: RunRow, step_id: str) -> int:
    """The position of a recorded step. Raises `NotFoundError`."""
    for position, step in _steps(store, row.id):
        if step.id == step_id:
            return position
    raise NotFoundError(
        f"run {row.id} has no finished step {step_id!r}",
        hint=f"list them with: holdfast workflows show {row.id}",
    )


def _failed_before(store: WorkflowStore, run_id: str, group: int | None, end: int) -> list[int]:
    if group is None:
        return []
    page = _steps(store, run_id, after=group - 1)
    return [at for at, step in page if at < end and step.error is not None]


def _steps(store: WorkflowStore, run_id: str, after: int = 0) -> Iterator[tuple[int, StepRecord]]:
    while page := store.read_steps(run_id, after=after, limit=_PAGE):
        yield from ((position, read_step(body, run_id)) for position, body in page)
        after = page[-1][0]

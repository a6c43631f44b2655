"""The task that the running code belongs to: one id that joins run, step, message and log line.

A task id is ``<run id>:<step id>``, e.g. ``workflow-123:task-456``. The workflow runtime sets it, a
queue message carries it on, the log writes it. It follows threads started through
`contextvars.copy_context` and asyncio tasks by itself; a child process gets it from `ENVIRONMENT`.
"""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar

ENVIRONMENT = "HOLDFAST_TASK_ID"

# The environment is read once: every log line asks for the task.
_task_id: ContextVar[str | None] = ContextVar(
    "holdfast_task_id", default=os.environ.get(ENVIRONMENT) or None
)


def current_task_id() -> str | None:
    """The id of the task this code runs in, or None outside of any."""
    return _task_id.get()


@contextmanager
def task(task_id: str | None) -> Iterator[None]:
    """Run the body as part of the task `task_id`; None takes it out of any."""
    token = _task_id.set(task_id)
    try:
        yield
    finally:
        _task_id.reset(token)

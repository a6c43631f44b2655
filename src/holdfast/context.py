"""The task that the running code belongs to: one id that joins run, step, message and log line.

A task id is ``<run id>:<step id>``, e.g. ``workflow-123:task-456``. The workflow runtime sets it, a
queue message carries it on, the log writes it. It follows threads started through
`contextvars.copy_context` and asyncio tasks by itself; a child process gets it from `ENVIRONMENT`.
"""

import os
from contextvars import ContextVar, Token

ENVIRONMENT = "HOLDFAST_TASK_ID"

# The environment is read once: every log line asks for the task.
_task_id: ContextVar[str | None] = ContextVar(
    "holdfast_task_id", default=os.environ.get(ENVIRONMENT) or None
)


def current_task_id() -> str | None:
    """The id of the task this code runs in, or None outside of any."""
    return _task_id.get()


class task:  # noqa: N801 - used as a function: with task("workflow-123:task-456"): …
    """Run the body as part of the task `task_id`; None takes it out of any."""

    __slots__ = ("_task_id", "_token")

    def __init__(self, task_id: str | None) -> None:
        self._task_id = task_id

    def __enter__(self) -> None:
        self._token: Token[str | None] = _task_id.set(self._task_id)

    def __exit__(self, *_: object) -> None:
        _task_id.reset(self._token)

"""The task that the running code belongs to: one id that joins run, step, message and log line.

A task id is ``<run id>:<step id>``, e.g. ``workflow-123:task-456``. The workflow runtime sets it, a
queue message carries it on, the log writes it. It follows asyncio and the threads of the runtime by
itself, a thread of your own through `carried`, a child process through `child_environment`.
"""

import os
from contextvars import ContextVar, Token, copy_context

TYPE_CHECKING = False  # typing takes longer to import than all the rest
if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from typing import ParamSpec, TypeVar

    Parameters = ParamSpec("Parameters")
    Result = TypeVar("Result")

ENVIRONMENT = "HOLDFAST_TASK_ID"

# The environment is read once: every log line asks for the task.
_task_id: ContextVar[str | None] = ContextVar(
    "holdfast_task_id", default=os.environ.get(ENVIRONMENT) or None
)


def current_task_id() -> str | None:
    """The id of the task this code runs in, or None outside of any."""
    return _task_id.get()


def carried(function: "Callable[Parameters, Result]") -> "Callable[Parameters, Result]":
    """`function` for another thread: whatever calls it, it runs in the task and log context of now.

    ``threading.Thread(target=carried(work))``, ``pool.map(carried(work), items)``.
    """
    now = copy_context()

    def call(*args: "Parameters.args", **kwargs: "Parameters.kwargs") -> "Result":
        # A copy each time: two threads cannot be in one context at once.
        return now.copy().run(function, *args, **kwargs)

    return call


def child_environment(environment: "Mapping[str, str] | None" = None) -> dict[str, str]:
    """The variables of a child process that belongs to the current task.

    This process's, or those of `environment`, with the task's id: give them to `subprocess` as
    ``env``.
    """
    variables = dict(os.environ if environment is None else environment)
    return {**variables, ENVIRONMENT: current_task_id() or ""}


class task:  # noqa: N801 - used as a function: with task("workflow-123:task-456"): …
    """Run the body as part of the task `task_id`; None takes it out of any."""

    __slots__ = ("_task_id", "_token")

    def __init__(self, task_id: str | None) -> None:
        self._task_id = task_id

    def __enter__(self) -> None:
        self._token: Token[str | None] = _task_id.set(self._task_id)

    def __exit__(self, *_: object) -> None:
        _task_id.reset(self._token)

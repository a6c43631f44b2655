"""Workflows declared in JSON: ``configs/workflows/<name>.json`` names tasks and what each needs.

::

    {
      "description": "Collect the news and publish them.",
      "tasks": {
        "collect": {"command": ["python", "collect.py"], "retries": 2, "timeout": 60},
        "publish": {"agent": "director-agent", "needs": ["collect"]}
      }
    }

Its JSON Schema is published as ``docs/schemas/workflow.schema.json``.
"""

from collections.abc import Callable
from graphlib import CycleError, TopologicalSorter
from pathlib import Path
from typing import Annotated

import msgspec
from msgspec import Meta

from holdfast.durable.documents import convert, read_document
from holdfast.errors import NotFoundError, UsageError

TaskName = Annotated[str, Meta(pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]{0,63}$")]


class Task(msgspec.Struct, frozen=True, forbid_unknown_fields=True, omit_defaults=True):
    """One task: a command or an agent, with what it needs and how patient to be with it."""

    command: Annotated[
        list[str] | None,
        Meta(description="A program and its arguments; run without a shell, in the workspace."),
    ] = None
    agent: Annotated[
        str | None, Meta(description="The id of a registered agent whose file is run.")
    ] = None
    needs: Annotated[
        list[TaskName], Meta(description="The tasks whose output this one gets; done before it.")
    ] = []
    retries: Annotated[int, Meta(ge=0, description="Further attempts after a failure.")] = 0
    backoff: Annotated[
        float, Meta(ge=0, description="Seconds before the second attempt, doubled for each next.")
    ] = 1.0
    timeout: Annotated[
        Annotated[float, Meta(gt=0)] | None,
        Meta(description="Seconds after which an attempt is ended."),
    ] = None


class WorkflowDocument(msgspec.Struct, frozen=True, rename="camel", forbid_unknown_fields=True):
    """A workflow that people and agents write without Python; its name is the file's."""

    tasks: Annotated[dict[TaskName, Task], Meta(min_length=1, description="The tasks by name.")]
    description: Annotated[str | None, Meta(description="What it is for, in a sentence.")] = None
    format_version: Annotated[int, Meta(ge=1, description="Absent means 1.")] = 1
    schema_: Annotated[str | None, Meta(description="Where this schema is, for editors.")] = (
        msgspec.field(name="$schema", default=None)
    )


class Declaration(msgspec.Struct, frozen=True, omit_defaults=True):
    """A declared workflow as a run keeps it: every task has its command."""

    name: str
    folder: str
    tasks: dict[str, Task]


def read_declaration(path: Path, folder: Path, agent: Callable[[str], list[str]]) -> Declaration:
    """The workflow declared in `path`, to be run in `folder`.

    `agent` gives the command of an agent by its id. Raises `NotFoundError`, `UnreadableError` with
    line and column, and `UsageError` for tasks that cannot be done in any order.
    """
    document = convert(read_document(path), WorkflowDocument)
    tasks = {name: _with_command(name, task, path, agent) for name, task in document.tasks.items()}
    declaration = Declaration(path.stem, str(folder), tasks)
    order_of(declaration, path)
    return declaration


def order_of(declaration: Declaration, path: Path | None = None) -> list[str]:
    """The tasks' names so that each comes after what it needs; always the same order.

    Raises `UsageError` when a task is not there, or needs itself over others.
    """
    tasks = declaration.tasks
    for name, task in tasks.items():
        for need in task.needs:
            if need not in tasks:
                raise UsageError(f"the task {name} needs {need!r}, which is no task", path=path)
    sorter = TopologicalSorter({name: sorted(tasks[name].needs) for name in sorted(tasks)})
    try:
        return list(sorter.static_order())
    except CycleError as error:
        circle = " needs ".join(reversed(error.args[1]))
        raise UsageError(f"tasks need each other in a circle: {circle}", path=path) from error


def declared_names(folder: Path) -> list[str]:
    """The names of the workflows declared in `folder`, sorted; none when it is not there."""
    return sorted(path.stem for path in folder.glob("*.json"))


def _with_command(name: str, task: Task, path: Path, agent: Callable[[str], list[str]]) -> Task:
    if (task.command is None) == (task.agent is None):
        raise UsageError(f"the task {name} has either a command or an agent", path=path)
    if task.agent is None:
        if not task.command:
            raise UsageError(f"the command of the task {name} is empty", path=path)
        return task
    try:
        return msgspec.structs.replace(task, command=agent(task.agent))
    except NotFoundError as error:
        raise UsageError(f"the task {name}: {error.message}", path=path, hint=error.hint) from error

"""Workflows declared in JSON: ``configs/workflows/<name>.json`` names tasks and what each needs.

::

    {
      "description": "Collect the news and publish them.",
      "tasks": {
        "collect": {"command": ["python", "collect.py"], "retries": 2, "timeout": 60},
        "file": {
          "mcp": {
            "server": "notes", "tool": "add_note", "arguments": {"text": "${needs.collect}"}
          },
          "needs": ["collect"]
        },
        "publish": {"agent": "director-agent", "needs": ["file"]}
      }
    }

Its JSON Schema is published as ``docs/schemas/workflow.schema.json``.
"""

from collections.abc import Callable
from graphlib import CycleError, TopologicalSorter
from pathlib import Path
from typing import Annotated, Any

import msgspec
from msgspec import Meta

from holdfast.durable.documents import convert, read_document
from holdfast.errors import NotFoundError, UsageError
from holdfast.workflows.records import RunInfo
from holdfast.workflows.references import referenced_tasks

_PERFORMER = "holdfast.workflows.tasks"

TaskName = Annotated[str, Meta(pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]{0,63}$")]


class ToolCall(msgspec.Struct, frozen=True, forbid_unknown_fields=True, omit_defaults=True):
    """A tool of an MCP server, and what it is called with."""

    server: Annotated[
        str, Meta(description="A server of the MCP registry, of .mcp.json or of .claude.json.")
    ]
    tool: Annotated[str, Meta(description="The tool's name.")]
    arguments: Annotated[
        dict[str, Any],
        Meta(description="Its arguments; ${input} and ${needs.TASK} stand for what they name."),
    ] = {}


class Task(msgspec.Struct, frozen=True, forbid_unknown_fields=True, omit_defaults=True):
    """One task: a command, an agent or an MCP tool, what it needs and how patient to be with it."""

    command: Annotated[
        list[str] | None,
        Meta(description="A program and its arguments; run without a shell, in the workspace."),
    ] = None
    agent: Annotated[
        str | None, Meta(description="The id of a registered agent whose file is run.")
    ] = None
    mcp: Annotated[ToolCall | None, Meta(description="A tool of an MCP server to call.")] = None
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
    """A declared workflow as a run keeps it: every task has its command or the file of its server.

    `servers` has, by the name of an MCP server, the file that describes it.
    """

    name: str
    folder: str
    tasks: dict[str, Task]
    servers: dict[str, str] = {}


def read_declaration(
    path: Path,
    folder: Path,
    agent: Callable[[str], list[str]],
    server: Callable[[str], Path],
) -> Declaration:
    """The workflow declared in `path`, to be run in `folder`.

    `agent` gives the command of an agent by its id, `server` the file that describes an MCP server
    by its name; both raise `NotFoundError`. Raises `NotFoundError`, `UnreadableError` with
    line and column, and `UsageError` for tasks that cannot be done in any order.
    """
    document = convert(read_document(path), WorkflowDocument)
    tasks = {name: _with_command(name, task, path, agent) for name, task in document.tasks.items()}
    calls = [task.mcp for task in tasks.values() if task.mcp is not None]
    servers = {call.server: str(server(call.server)) for call in calls}
    declaration = Declaration(path.stem, str(folder), tasks, servers)
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


def given_to(run: RunInfo) -> Any:
    """The input of a run as people think of it: of a declared one without the declaration."""
    if run.definition.module != _PERFORMER or not isinstance(run.input, dict):
        return run.input
    arguments = run.input["args"][1:]
    return arguments[0] if arguments else run.input["kwargs"].get("input")


def declared_names(folder: Path) -> list[str]:
    """The names of the workflows declared in `folder`, sorted; none when it is not there."""
    return sorted(path.stem for path in folder.glob("*.json"))


def _with_command(name: str, task: Task, path: Path, agent: Callable[[str], list[str]]) -> Task:
    kinds = [kind for kind in (task.command, task.agent, task.mcp) if kind is not None]
    if len(kinds) != 1:
        raise UsageError(
            f"the task {name} has one of command, agent and mcp, not {len(kinds)}", path=path
        )
    if task.mcp is not None:
        unknown = sorted(set(referenced_tasks(task.mcp.arguments)) - set(task.needs))
        if unknown:
            raise UsageError(
                f"the task {name} refers to {unknown[0]!r}, which it does not need", path=path
            )
        return task
    if task.agent is None:
        if not task.command:
            raise UsageError(f"the command of the task {name} is empty", path=path)
        return task
    try:
        return msgspec.structs.replace(task, command=agent(task.agent))
    except NotFoundError as error:
        raise UsageError(f"the task {name}: {error.message}", path=path, hint=error.hint) from error

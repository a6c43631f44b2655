"""Performing a declared workflow: each task a step, several at once where nothing is needed.

A task that calls a tool of an MCP server has the tool's output as its own; see `mcp_tools`.
A task's program gets ``{"input": …, "needs": {task: output}}`` on standard input and its task id in
``HOLDFAST_TASK_ID``. What it prints is its output: the JSON it is, else its text. A status that is
not 0 is a failure, which keeps the end of what it wrote to standard error.
"""

import subprocess
from collections.abc import Callable, Mapping
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from contextvars import copy_context
from copy import copy
from functools import partial
from pathlib import Path
from typing import Any

import msgspec

from holdfast.context import child_environment
from holdfast.durable.commands import startable
from holdfast.errors import UsageError
from holdfast.workflows.declarations import Declaration, Task, order_of
from holdfast.workflows.definitions import Step, Workflow
from holdfast.workflows.execution import Done, Execution, Slot, current, given
from holdfast.workflows.mcp_tools import call_tool, read_server
from holdfast.workflows.references import resolved

_AT_ONCE = 8
_KEPT_ERRORS = 8_000  # characters


class TaskFailedError(Exception):
    """The program of a task could not be run or did not end with status 0."""


class _Declared(Workflow[[Declaration, Any], dict[str, Any]]):
    """One workflow for all declarations; each gives its runs its own name."""

    def known_as(self, name: str) -> "_Declared":
        known = copy(self)
        known.name = name
        return known


@partial(_Declared, name="declared")
def run_declared(declaration: Declaration, input: Any) -> dict[str, Any]:  # noqa: A002
    """Perform the tasks of `declaration`; the output of each by its name.

    Its runs are named as they are started: ``run_declared.known_as(declaration.name).start(…)``.

    After a failure no further task is begun; those under way are finished and recorded.
    """
    run = current.get()
    if run is None:
        raise UsageError("a declared workflow is run by an engine")
    return _Graph(run, declaration, input).perform()


class _Graph:
    """The tasks of one run: places are given out in one fixed order, whatever ends first."""

    def __init__(self, run: Execution, declaration: Declaration, given_input: Any) -> None:
        self._run = run
        self._declaration = declaration
        self._input = given_input
        self._slots = {name: run.allocate(name, exactly=name) for name in order_of(declaration)}
        self._done: dict[str, Done] = {}

    def perform(self) -> dict[str, Any]:
        for name, slot in self._slots.items():
            recorded = self._run.replay(slot)
            if recorded is not None:
                self._done[name] = recorded
        with ThreadPoolExecutor(_AT_ONCE, "holdfast-task") as threads:
            self._perform_missing(threads)
        for name in self._slots:  # of several failures the first in order is raised
            if name in self._done:
                given(self._done[name])
        return {name: given(self._done[name]) for name in self._declaration.tasks}

    def _perform_missing(self, threads: ThreadPoolExecutor) -> None:
        under_way: dict[Future[Done], str] = {}
        while True:
            if not any(done.record.error for done in self._done.values()):
                for name in self._ready(set(under_way.values())):
                    begun = threads.submit(copy_context().run, self._perform, name)
                    under_way[begun] = name
            if not under_way:
                return
            for future in wait(under_way, return_when=FIRST_COMPLETED).done:
                self._done[under_way.pop(future)] = future.result()

    def _ready(self, under_way: set[str]) -> list[str]:
        return [
            name
            for name in self._slots
            if name not in self._done
            and name not in under_way
            and all(need in self._done for need in self._declaration.tasks[name].needs)
        ]

    def _perform(self, name: str) -> Done:
        task = self._declaration.tasks[name]
        slot: Slot = self._slots[name]
        needs = {need: given(self._done[need]) for need in task.needs}
        folder = self._declaration.folder
        if task.mcp is None:
            step = _step_of(name, task, run_program)
            return self._run.perform(step, slot, (task, folder, self._input, needs), {})
        file = Path(self._declaration.servers[task.mcp.server])
        step = _step_of(name, task, run_tool)
        return self._run.perform(step, slot, (task, file, folder, self._input, needs), {})


def _step_of(name: str, task: Task, function: Callable[..., Any]) -> Step[..., Any]:
    return Step(
        function,
        name=name,
        retries=task.retries,
        backoff=task.backoff,
        retry_on=(Exception,),
        timeout=None,  # the program or the server is ended, which a thread cannot be
        concurrency=None,
        rate=None,
    )


def run_program(task: Task, folder: str, given_input: Any, needs: Mapping[str, Any]) -> Any:
    """Run the task's program to its end; its output. Raises `TaskFailedError`."""
    assert task.command is not None
    environment = child_environment()
    said = msgspec.json.encode({"input": given_input, "needs": needs})
    try:
        ended = subprocess.run(
            startable(task.command, environment),
            cwd=folder,
            env=environment,
            input=said,
            capture_output=True,
            timeout=task.timeout,
            check=False,
        )
    except OSError as error:
        raise TaskFailedError(f"{task.command[0]} cannot be run: {error.strerror}") from error
    except subprocess.TimeoutExpired as error:
        raise TaskFailedError(
            f"ended after {task.timeout:g} s without an end{_tail(error.stderr)}"
        ) from error
    if ended.returncode != 0:
        raise TaskFailedError(f"ended with status {ended.returncode}{_tail(ended.stderr)}")
    return _output(ended.stdout)


def run_tool(
    task: Task, file: Path, folder: str, given_input: Any, needs: Mapping[str, Any]
) -> Any:
    """Call the task's tool of the server that `file` describes; its output.

    Raises `ToolFailedError`, `UnknownReferenceError`, and `NotFoundError` when the server is gone.
    """
    call = task.mcp
    assert call is not None
    return call_tool(
        read_server(file, call.server),
        call.tool,
        resolved(call.arguments, {"input": given_input, "needs": needs}),
        folder=folder,
        timeout=task.timeout,
        environment=child_environment({}),
    )


def _output(data: bytes) -> Any:
    try:
        return msgspec.json.decode(data)
    except (msgspec.MsgspecError, UnicodeDecodeError):
        return data.decode("utf-8", "replace")


def _tail(data: bytes | None) -> str:
    text = (data or b"").decode("utf-8", "replace").strip()[-_KEPT_ERRORS:]
    return f":\n{text}" if text else ""

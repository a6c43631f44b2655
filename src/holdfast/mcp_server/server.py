"""The server: all tools, resources and prompts of one workspace."""

import difflib
import time
from typing import Any

import msgspec
from mcp.server.mcpserver import Context, MCPServer
from mcp.server.mcpserver.exceptions import ToolError

from holdfast import __version__
from holdfast.logs import get_logger
from holdfast.mcp_server import (
    of_backups,
    of_events,
    of_logs,
    of_queues,
    of_restores,
    of_state,
    of_workflows,
)
from holdfast.mcp_server.prompts import add_prompts
from holdfast.mcp_server.resources import add_resources
from holdfast.mcp_server.tool import Desk

TOOLS = (
    *of_state.TOOLS,
    *of_logs.TOOLS,
    *of_workflows.TOOLS,
    *of_queues.TOOLS,
    *of_events.TOOLS,
    *of_backups.TOOLS,
    *of_restores.TOOLS,
)

_LARGEST_CALL = 1_000_000  # bytes of arguments, as JSON
_INSTRUCTIONS = """Holdfast keeps this workspace of agents: registries, workflows, queues, events,
logs and their backups. Begin with `status`. Before anything risky take a snapshot: `backup_create`.
What was lost comes back: `undo_list` and `undo` for what a command or tool destroyed, `backup_find`
and `restore` for the rest. Restores and undos show a plan first; only its `confirm` text carries
them out, so show the plan to the user and let them agree."""


class WorkspaceServer(MCPServer[Any]):
    """The SDK's server, which also refuses arguments that no tool has, and logs each call."""

    async def call_tool(
        self, name: str, arguments: dict[str, Any], context: Context[Any, Any] | None = None
    ) -> Any:
        """Call a tool. Raises `ToolError`: of a wrong call before anything is done."""
        began = time.monotonic()
        done = "failed"
        try:
            self._check(name, arguments)
            answer = await super().call_tool(name, arguments, context)
            done = "answered"
            return answer
        finally:
            seconds = round(time.monotonic() - began, 3)
            get_logger("mcp").info(f"Tool {done}", tool=name[:100], seconds=seconds)

    def _check(self, name: str, arguments: dict[str, Any]) -> None:
        schema = self._tool_input_schema(name)
        if schema is None:
            return  # the SDK tells that there is no such tool
        known = list(schema.get("properties", {}))
        for given in arguments:
            if given not in known:
                close = difflib.get_close_matches(given, known, n=1)
                hint = f"did you mean {close[0]}?" if close else f"known: {', '.join(known)}"
                raise ToolError(f"{name} has no argument {given[:100]!r}\nhint: {hint}")
        try:
            size = len(msgspec.json.encode(arguments))
        except (ValueError, TypeError, RecursionError, OverflowError) as error:
            raise ToolError(f"the arguments are no plain JSON: {error}") from error
        if size > _LARGEST_CALL:
            raise ToolError(f"the arguments are {size} bytes; at most {_LARGEST_CALL} are taken")


def build_server(desk: Desk) -> WorkspaceServer:
    """A server for the workspace of `desk`."""
    server = WorkspaceServer(
        "holdfast",
        title="Holdfast",
        version=__version__,
        instructions=_INSTRUCTIONS,
    )
    for tool in TOOLS:
        description = " ".join((tool.function.__doc__ or "").split())
        server.add_tool(
            desk.callable(tool),
            name=tool.function.__name__,
            description=description,
            annotations=tool.annotations,
        )
    add_resources(server, desk)
    add_prompts(server)
    return server

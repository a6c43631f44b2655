"""Resources: the registries, runs and snapshots, each under an address of its own."""

import inspect
from collections.abc import Callable
from typing import Any

import anyio
import anyio.to_thread
import msgspec
from mcp.server.mcpserver import MCPServer
from mcp.server.mcpserver.exceptions import ResourceError, ResourceNotFoundError

from holdfast.errors import HoldfastError, UsageError
from holdfast.mcp_server import of_backups, of_state, of_workflows
from holdfast.mcp_server.answers import answer_of, error_text
from holdfast.mcp_server.tool import Desk

_SECONDS = 60.0

# address: (what it shows, its description); the parameter is the part in braces.
RESOURCES: dict[str, tuple[Callable[..., Any], str]] = {
    "holdfast://agents": (of_state.agents_list, "The agent registry."),
    "holdfast://agents/{agent}": (of_state.agents_show, "One agent."),
    "holdfast://servers": (of_state.servers_list, "The registry of MCP servers, secrets masked."),
    "holdfast://servers/{server}": (of_state.servers_show, "One MCP server, secrets masked."),
    "holdfast://runs": (of_workflows.runs_list, "The newest runs of workflows."),
    "holdfast://runs/{run}": (of_workflows.runs_show, "One run with its steps."),
    "holdfast://snapshots": (of_backups.backups_list, "The newest backups."),
    "holdfast://snapshots/{snapshot}": (of_backups.backup_show, "One snapshot and its paths."),
}


def add_resources(server: MCPServer[Any], desk: Desk) -> None:
    """Offer all of them."""
    for address, (function, description) in RESOURCES.items():
        name = address.removeprefix("holdfast://").partition("/")[0]
        parameter = address.partition("{")[2].rstrip("}")
        offered = _one(desk, function, parameter) if parameter else _all(desk, function)
        kind = f"one of {name}" if parameter else name
        server.resource(address, name=kind, description=description, mime_type="application/json")(
            offered
        )


def _all(desk: Desk, function: Callable[..., Any]) -> Callable[..., Any]:
    async def read() -> str:
        return await _read(desk, function)

    return read


def _one(desk: Desk, function: Callable[..., Any], parameter: str) -> Callable[..., Any]:
    async def read(**given: str) -> str:
        return await _read(desk, function, **given)

    own = inspect.Parameter(parameter, inspect.Parameter.KEYWORD_ONLY, annotation=str)
    read.__signature__ = inspect.Signature([own], return_annotation=str)  # type: ignore[attr-defined]
    read.__annotations__ = {parameter: str, "return": str}
    return read


async def _read(desk: Desk, function: Callable[..., Any], **given: str) -> str:
    """The JSON of one resource, in a thread, its time bounded."""

    def work() -> str:
        with desk.workspace() as workspace:
            answer = answer_of(function(workspace, **given))
        return msgspec.json.format(msgspec.json.encode(answer), indent=2).decode()

    try:
        with anyio.fail_after(_SECONDS):
            return await anyio.to_thread.run_sync(work, abandon_on_cancel=True)
    except UsageError as error:
        raise ResourceNotFoundError(error_text(error)) from error
    except HoldfastError as error:
        raise ResourceError(error_text(error)) from error
    except TimeoutError:
        raise ResourceError(f"not read after {_SECONDS:g} s") from None

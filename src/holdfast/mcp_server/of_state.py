"""Tools about the workspace as a whole: its status, its registries, its space."""

from typing import Annotated, Any, Literal

import msgspec
from pydantic import Field

from holdfast.errors import UsageError
from holdfast.facade import Workspace
from holdfast.mcp_server.inputs import Limit, Name
from holdfast.mcp_server.tool import READS, Tool


def status(workspace: Workspace) -> Any:
    """Everything at a glance: each store's engine, size and health, when it was last backed up and
    proven restorable, what is unprotected, what to do next. Start here."""
    from holdfast.upkeep.status import workspace_status

    return workspace_status(workspace)


def usage(
    workspace: Workspace,
    folder: Annotated[
        str, Field(max_length=4_096, description="A folder of the workspace; else all of it.")
    ] = "",
    depth: Annotated[int, Field(ge=0, le=6)] = 2,
    top: Annotated[int, Field(ge=0, le=100)] = 10,
) -> Any:
    """What takes the space: bytes by folder, kind of file and age, and the largest files."""
    from holdfast.durable.names import inside, is_within
    from holdfast.upkeep.usage import measure

    root = workspace.layout.root
    place = inside(root, folder) if folder not in ("", ".") else root
    if not is_within(place, root):
        raise UsageError(f"{folder!r} leads out of the workspace", path=root)
    return measure(place, depth=depth, top=top)


def agents_list(workspace: Workspace, group: Name | None = None) -> Any:
    """The registered agents: id, group, name, path, status."""
    return {"agents": workspace.registry.list(group)}


def agents_show(workspace: Workspace, agent: Name) -> Any:
    """All that is known of one agent."""
    return workspace.registry.get(agent)


def servers_list(workspace: Workspace, group: Name | None = None) -> Any:
    """The registered MCP servers and how each is started; secrets are masked."""
    return {"servers": [_server(each) for each in workspace.servers.list(group)]}


def servers_show(workspace: Workspace, server: Name) -> Any:
    """All that is known of one MCP server; secrets are masked."""
    return _server(workspace.servers.get(server))


def verify_configuration(
    workspace: Workspace,
    what: Literal["everything", "servers"] = "everything",
    only_problems: bool = True,
    limit: Limit = 200,
) -> Any:
    """Check registries, environment and the clients' files for what would keep agents and MCP
    servers from working. Starts nothing. Each problem comes with a hint."""
    from holdfast.services.verification import verify_configuration as verify
    from holdfast.services.verification import verify_server_settings

    found = verify(workspace) if what == "everything" else verify_server_settings(workspace)
    wrong = [each for each in found if each.problem is not None]
    shown = [each for each in found if each.note is not None or each.problem is not None]
    return {
        "healthy": not wrong,
        "checked": len(found),
        "wrong": len(wrong),
        "findings": (shown if only_problems else found)[:limit],
    }


def _server(server: Any) -> dict[str, Any]:
    facts: dict[str, Any] = msgspec.to_builtins(server)
    return facts


TOOLS = (
    Tool(status, READS),
    Tool(usage, READS, "ask for a folder, or less depth"),
    Tool(agents_list, READS, "ask for one group"),
    Tool(agents_show, READS),
    Tool(servers_list, READS, "ask for one group"),
    Tool(servers_show, READS),
    Tool(verify_configuration, READS, "ask for servers alone"),
)

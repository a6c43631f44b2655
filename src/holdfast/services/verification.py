"""Checking the configuration of a workspace without starting anything.

Each registry and each MCP configuration is read strictly, and every entry is looked at for what
would keep it from working: a path that does not exist, a command that is not found, a variable
that is not set.
"""

import os
import re
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import msgspec

from holdfast.durable.documents import read_document
from holdfast.errors import HoldfastError, NotFoundError
from holdfast.facade import Workspace
from holdfast.workspace.layout import Layout

_VARIABLE = re.compile(r"\$\{(?P<name>[A-Za-z_][A-Za-z0-9_]*)(?P<default>:-[^}]*)?\}")
_REMOTE = ("http", "sse")


class Finding(msgspec.Struct, frozen=True):
    """One thing that was checked. `problem` is None when it is in order.

    `subject` is the file, agent or server; `hint` is the next thing to do about a problem.
    """

    subject: str
    problem: str | None = None
    hint: str | None = None


def verify_configuration(workspace: Workspace) -> list[Finding]:
    """Check every configuration file of the workspace and of the home around it."""
    layout = workspace.layout
    return [
        *_verify_agents(workspace),
        *_verify_environment(layout),
        *_verify_server_registry(layout),
        *_verify_client_file(layout.home / ".claude.json", layout, optional_block=True),
        *_verify_client_file(layout.home / ".mcp.json", layout),
        *_verify_client_file(layout.root / ".mcp.json", layout),
    ]


def _from_error(subject: Path, error: HoldfastError) -> Finding:
    text = str(error).removeprefix(f"{error.path}: ")
    return Finding(str(subject), text)


def _verify_agents(workspace: Workspace) -> Iterator[Finding]:
    registry = workspace.registry
    try:
        problems = registry.validate()
        wrong = {problem.id for problem in problems}
        yield Finding(str(registry.path))
        sound = [agent.id for agent in registry.list() if agent.id not in wrong]
        yield from (Finding(f"agent {agent_id}") for agent_id in sound)
        yield from (Finding(f"agent {problem.id}", problem.message) for problem in problems)
    except HoldfastError as error:
        yield _from_error(registry.path, error)


def _verify_environment(layout: Layout) -> Iterator[Finding]:
    try:
        data = read_document(layout.environment).data
    except NotFoundError:
        return
    except HoldfastError as error:
        yield _from_error(layout.environment, error)
        return
    wrong = [name for name, value in data.items() if not isinstance(value, str)]
    problem = f"not a string: {', '.join(wrong)}" if wrong else None
    yield Finding(
        str(layout.environment), problem, "write each value as a string" if wrong else None
    )


def _verify_server_registry(layout: Layout) -> Iterator[Finding]:
    try:
        data = read_document(layout.server_registry).data
    except HoldfastError as error:
        yield _from_error(layout.server_registry, error)
        return
    groups = data.get("mcpRegistry")
    if not isinstance(groups, dict):
        yield Finding(str(layout.server_registry), "the object mcpRegistry is missing")
        return
    yield Finding(str(layout.server_registry))
    for group, servers in groups.items():
        yield from _verify_servers(servers, f"{layout.server_registry}: {group}", layout.root)


def _verify_client_file(
    path: Path, layout: Layout, *, optional_block: bool = False
) -> Iterator[Finding]:
    """A file with ``mcpServers`` as Claude Code reads it; a missing file is fine."""
    try:
        data = read_document(path).data
    except NotFoundError:
        return
    except HoldfastError as error:
        yield _from_error(path, error)
        return
    servers = data.get("mcpServers")
    if servers is None and not optional_block:
        yield Finding(
            str(path), "the object mcpServers is missing", 'wrap the servers in "mcpServers"'
        )
        return
    yield Finding(str(path))
    yield from _verify_servers(servers or {}, str(path), layout.root)


def _verify_servers(servers: Any, where: str, root: Path) -> Iterator[Finding]:
    if not isinstance(servers, dict):
        yield Finding(where, "an object of servers is expected")
        return
    for name, server in servers.items():
        problems = list(_server_problems(server, root))
        subject = f"server {name} ({where})"
        yield from (Finding(subject, problem) for problem in problems)
        if not problems:
            yield Finding(subject)


def _server_problems(server: Any, root: Path) -> Iterator[str]:
    if not isinstance(server, dict):
        yield "an object is expected"
        return
    kind = server.get("type")
    if "url" in server:
        if kind not in _REMOTE:
            yield 'has a "url" but no "type" (http or sse)'
    elif kind in _REMOTE:
        yield f'has the type {kind} but no "url"'
    else:
        yield from _command_problems(server, root)
    missing = sorted(set(_unset_variables(server)))
    if missing:
        yield f"missing environment variables: {', '.join(missing)}"


def _command_problems(server: dict[str, Any], root: Path) -> Iterator[str]:
    command = server.get("command")
    if not isinstance(command, str) or not command:
        yield 'has neither a "command" nor a "url"'
    elif not _VARIABLE.search(command) and not _is_found(command, root):
        yield f"the command {command!r} is not found"
    arguments = server.get("args", [])
    if not isinstance(arguments, list) or not all(isinstance(each, str) for each in arguments):
        yield "args: an array of strings is expected"


def _is_found(command: str, root: Path) -> bool:
    return shutil.which(command) is not None or (root / command).is_file()


def _unset_variables(value: Any) -> Iterator[str]:
    """Names of ``${VAR}`` without a default that the environment does not have."""
    if isinstance(value, dict):
        for inner in value.values():
            yield from _unset_variables(inner)
    elif isinstance(value, list):
        for inner in value:
            yield from _unset_variables(inner)
    elif isinstance(value, str):
        for match in _VARIABLE.finditer(value):
            if match["default"] is None and match["name"] not in os.environ:
                yield match["name"]

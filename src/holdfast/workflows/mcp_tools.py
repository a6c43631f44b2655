"""Calling a tool of an MCP server: one connection a call, made by the official SDK's client.

How a server is started is read from the file that names it when the call is made, never kept with a
run: its environment and headers may hold secrets. ``${NAME}`` and ``${NAME:-else}`` in it are
variables of the environment, as other MCP clients read them.
"""

import os
import re
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any

import msgspec

from holdfast.durable.documents import read_document
from holdfast.errors import NotFoundError, UsageError

if TYPE_CHECKING:
    from mcp import Client
    from mcp.types import CallToolResult

_VARIABLE = re.compile(r"\$\{(?P<name>[A-Za-z_]\w*)(?::-(?P<otherwise>[^}]*))?\}")
_KEPT_ERRORS = 8_000  # bytes


class ToolFailedError(Exception):
    """The server could not be started or reached, or the tool said that it failed."""


class ServerEntry(msgspec.Struct, frozen=True):
    """A server as ``.mcp.json`` and its like describe it; keys of other programs are left alone."""

    command: str | None = None
    args: list[str] = []
    env: dict[str, str] = {}
    cwd: str | None = None
    url: str | None = None
    headers: dict[str, str] = {}


def server_names(file: Path) -> set[str]:
    """The names of the servers in a file; none when there is no file. Raises `UnreadableError`."""
    return set(_servers_of(file))


def read_server(file: Path, name: str) -> ServerEntry:
    """The server `name` of a file. Raises `NotFoundError`, `UsageError`, `UnreadableError`."""
    servers = _servers_of(file)
    if name not in servers:
        raise NotFoundError(f"there is no MCP server {name!r} any more", path=file)
    entry = _with_variables(servers[name], name, file)
    try:
        server = msgspec.convert(entry, ServerEntry)
    except msgspec.ValidationError as error:
        raise UsageError(f"the MCP server {name}: {error}", path=file) from error
    if (server.command is None) == (server.url is None):
        raise UsageError(f"the MCP server {name} has either a command or a url", path=file)
    return server


def call_tool(
    server: ServerEntry,
    tool: str,
    arguments: Mapping[str, Any],
    *,
    folder: str,
    timeout: float | None,
    environment: Mapping[str, str],
) -> Any:
    """What the tool gives: its structured output, else its text, as JSON where it is that.

    The server runs in `folder` with `environment` beside its own. Raises `ToolFailedError`.
    """
    import asyncio

    with tempfile.TemporaryFile() as errors:
        try:
            answer = asyncio.run(
                _call(server, tool, dict(arguments), folder, timeout, environment, errors)
            )
        except Exception as error:
            late = isinstance(error, TimeoutError)
            what = f"no answer within {timeout:g} s" if late and timeout else _cause(error, server)
            raise ToolFailedError(f"{what}{_tail(errors)}") from error
        output = _output_of(answer)
        if answer.is_error:
            raise ToolFailedError(f"{_as_text(output)}{_tail(errors)}")
        return output


async def _call(
    server: ServerEntry,
    tool: str,
    arguments: dict[str, Any],
    folder: str,
    timeout: float | None,
    environment: Mapping[str, str],
    errors: IO[bytes],
) -> "CallToolResult":
    import asyncio

    async with asyncio.timeout(timeout):
        async with _client(server, folder, environment, errors) as client:
            return await client.call_tool(tool, arguments)


def _client(
    server: ServerEntry, folder: str, environment: Mapping[str, str], errors: IO[bytes]
) -> "Client":
    from mcp import Client, StdioServerParameters, stdio_client

    if server.url is not None:
        if not server.headers:
            return Client(server.url)
        from mcp.client.streamable_http import streamable_http_client
        from mcp.shared._httpx_utils import create_mcp_http_client

        http = create_mcp_http_client(headers=server.headers)
        return Client(streamable_http_client(server.url, http_client=http))
    assert server.command is not None
    own = {**os.environ, **environment, **server.env}
    how = StdioServerParameters(
        command=server.command, args=server.args, env=own, cwd=server.cwd or folder
    )
    return Client(stdio_client(how, errlog=errors))  # type: ignore[arg-type]


def _servers_of(file: Path) -> dict[str, Any]:
    """``mcpServers`` as in ``.mcp.json``, or the groups of ``mcpRegistry`` as in the registry."""
    if not file.is_file():
        return {}
    data = read_document(file).data
    groups = [data.get("mcpServers"), *_values_of(data.get("mcpRegistry"))]
    return {name: entry for group in groups for name, entry in _items_of(group)}


def _values_of(value: Any) -> list[Any]:
    return list(value.values()) if isinstance(value, dict) else []


def _items_of(value: Any) -> list[tuple[str, Any]]:
    return list(value.items()) if isinstance(value, dict) else []


def _output_of(answer: "CallToolResult") -> Any:
    structured = answer.structured_content
    if structured is not None:
        plain = isinstance(structured, dict) and set(structured) == {"result"}
        return structured["result"] if plain else structured
    parts = [
        part.model_dump(mode="json", by_alias=True, exclude_none=True) for part in answer.content
    ]
    if any(part["type"] != "text" for part in parts):
        return parts
    text = "\n".join(part["text"] for part in parts)
    try:
        return msgspec.json.decode(text)
    except msgspec.DecodeError:
        return text


def _cause(error: BaseException, server: ServerEntry) -> str:
    """The innermost error of a group, as people read it."""
    while isinstance(error, BaseExceptionGroup):
        error = error.exceptions[0]
    what = f"{type(error).__name__}: {error}"
    if isinstance(error, FileNotFoundError) and error.filename is None:
        return f"{what}: {server.command}"  # Windows does not say what it did not find
    return what


def _as_text(output: Any) -> str:
    return output if isinstance(output, str) else msgspec.json.encode(output).decode()


def _tail(errors: IO[bytes]) -> str:
    """The end of what the server wrote to standard error."""
    size = errors.seek(0, os.SEEK_END)
    errors.seek(max(0, size - _KEPT_ERRORS))
    text = errors.read().decode("utf-8", "replace").strip()
    return f":\n{text}" if text else ""


def _with_variables(value: Any, name: str, file: Path) -> Any:
    if isinstance(value, dict):
        return {key: _with_variables(inner, name, file) for key, inner in value.items()}
    if isinstance(value, list):
        return [_with_variables(inner, name, file) for inner in value]
    if not isinstance(value, str):
        return value

    def known(match: re.Match[str]) -> str:
        found = os.environ.get(match["name"], match["otherwise"])
        if found is None:
            raise UsageError(
                f"the MCP server {name} needs the environment variable {match['name']}", path=file
            )
        return found

    return _VARIABLE.sub(known, value)

"""What a server is: its entry in the file, and the typed view of it.

An entry is what a client's ``mcpServers`` holds, with a few keys of Holdfast's own beside.
"""

import json
import re
from collections.abc import Mapping
from typing import Annotated, Any, Literal

import msgspec
from msgspec import Meta

from holdfast.errors import UsageError
from holdfast.registry.grouped import Groups, RegistryKind
from holdfast.registry.service_entry import ServiceEntry, service_of

ServerType = Literal["stdio", "http", "sse"]

CLIENTS = ("code", "desktop")
OWN_KEYS = ("status", "description", "clients", "service")

_CLIENT_KEYS = ("type", "command", "args", "env", "url", "headers")
_NAME = re.compile(r"[A-Za-z0-9_-]{1,64}")
_RESERVED = "workspace"


class ServerEntry(msgspec.Struct, frozen=True):
    """One server as it stands in the file. Further keys are welcome, kept, and synced."""

    type: Annotated[
        ServerType | None, Meta(description="Absent means stdio where there is a command.")
    ] = None
    command: Annotated[str | None, Meta(description="The program of a stdio server.")] = None
    args: Annotated[list[str] | None, Meta(description="Its arguments.")] = None
    env: Annotated[
        dict[str, str] | None,
        Meta(description="Its variables; a secret is a reference such as ${GITHUB_TOKEN}."),
    ] = None
    url: Annotated[str | None, Meta(description="Where an http or sse server answers.")] = None
    headers: Annotated[
        dict[str, str] | None, Meta(description="Sent with each request; secrets by reference.")
    ] = None
    status: Annotated[
        str | None, Meta(description="active (if absent) or inactive: then no client gets it.")
    ] = None
    description: Annotated[str | None, Meta(description="What it does, in a sentence.")] = None
    clients: Annotated[
        list[str] | None, Meta(description="Which clients see it: code, desktop. Absent: all.")
    ] = None
    service: Annotated[
        ServiceEntry | None,
        Meta(description="How it is kept running by `holdfast start`; absent: it is not."),
    ] = None


class ServerRegistryDocument(msgspec.Struct, frozen=True, rename="camel"):
    """The registry of a workspace's MCP servers: servers by name, in groups."""

    mcp_registry: Annotated[
        dict[str, dict[str, ServerEntry]],
        Meta(description="The groups; Holdfast makes production, staging and development."),
    ]
    format_version: Annotated[int, Meta(ge=1, description="Absent means 1.")] = 1


class Server(msgspec.Struct, frozen=True, rename="camel"):
    """A registered server. `settings` is what a client is given; do not change it.

    `clients` is None where every client sees it, `service` where Holdfast does not keep it running.
    """

    id: str
    group: str
    type: ServerType
    settings: dict[str, Any]
    status: str = "active"
    description: str | None = None
    clients: list[str] | None = None
    service: dict[str, Any] | None = None

    def is_for(self, client: str) -> bool:
        """Whether `client` is to have it."""
        return self.status == "active" and (self.clients is None or client in self.clients)


SERVERS = RegistryKind(
    root_key="mcpRegistry",
    name="mcp-registry",
    noun="server",
    command="holdfast servers",
    schema=ServerRegistryDocument,
)


def build_server(name: str, group: str, entry: Mapping[str, Any]) -> Server:
    """The server that `entry` stands for."""
    return Server(
        id=name,
        group=group,
        type=type_of(entry),
        settings={key: value for key, value in entry.items() if key not in OWN_KEYS},
        status=entry.get("status") or "active",
        description=entry.get("description"),
        clients=entry.get("clients"),
        service=entry.get("service"),
    )


def build_servers(groups: Groups) -> list[Server]:
    """Every server, in the order of the file."""
    return [
        build_server(name, group, entry)
        for group, entries in groups.items()
        for name, entry in entries.items()
    ]


def type_of(entry: Mapping[str, Any]) -> ServerType:
    """How the server is reached; what names no type has a command or, with a url, speaks http."""
    given: ServerType | None = entry.get("type")
    return given or ("http" if entry.get("url") and not entry.get("command") else "stdio")


def new_server_entry(
    settings: Mapping[str, Any],
    *,
    status: str = "active",
    description: str | None = None,
    clients: list[str] | None = None,
) -> dict[str, Any]:
    """An entry as it is written: the client's keys in their usual order, then our own.

    Raises `UsageError` when a server cannot be so.
    """
    entry: dict[str, Any] = {"type": type_of(settings)}
    entry |= {key: settings[key] for key in _CLIENT_KEYS if settings.get(key) is not None}
    entry |= {key: value for key, value in settings.items() if key not in _CLIENT_KEYS}
    if status != "active":
        entry["status"] = status
    if description is not None:
        entry["description"] = description
    if clients is not None:
        entry["clients"] = clients
    check_server(entry)
    return entry


def check_server(entry: Mapping[str, Any]) -> None:
    """Raise `UsageError` for an entry that no client could use."""
    try:
        msgspec.convert(entry, ServerEntry)
        json.dumps(entry, allow_nan=False)
    except (msgspec.ValidationError, TypeError, ValueError, RecursionError) as error:
        raise UsageError(f"this cannot be a server: {error}") from error
    service_of(entry, "a server")
    kind = type_of(entry)
    if kind == "stdio" and not entry.get("command"):
        raise UsageError("a stdio server needs a command")
    if kind != "stdio" and not entry.get("url"):
        raise UsageError(f"a server of type {kind} needs a url")
    unknown = [name for name in entry.get("clients") or () if name not in CLIENTS]
    if unknown:
        raise UsageError(f"unknown client {unknown[0]!r}", hint=f"known: {', '.join(CLIENTS)}")


def check_server_name(name: str) -> str:
    """`name` if the clients take it, else `UsageError`."""
    if not _NAME.fullmatch(name):
        raise UsageError(
            f"{name!r} cannot be the name of a server", hint="use letters, digits, '-' and '_'"
        )
    if name.casefold() == _RESERVED:
        raise UsageError(f"the name {name!r} is reserved by the client")
    return name

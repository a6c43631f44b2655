"""Which services a workspace declares: entries of its registries with the key ``service``."""

from collections.abc import Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass
from difflib import get_close_matches
from graphlib import CycleError, TopologicalSorter
from typing import Any, Literal

from holdfast.durable.documents import read_document
from holdfast.errors import NotFoundError, UnreadableError, UsageError
from holdfast.facade import Workspace
from holdfast.registry import ServiceEntry, service_of

Kind = Literal["agent", "server"]


@dataclass(frozen=True)
class Service:
    """One agent or server that can be kept running; `active` is what its registry entry says."""

    name: str
    kind: Kind
    entry: ServiceEntry
    active: bool

    @property
    def component(self) -> str:
        """The component that its output is logged as."""
        return f"{self.kind}-{self.name}"

    @property
    def starts_by_itself(self) -> bool:
        """Whether a start of everything starts it."""
        return self.active and self.entry.autostart


def declared_services(workspace: Workspace) -> dict[str, Service]:
    """All services by name, in the order of the registries.

    Raises `UnreadableError`, and `UsageError` for an entry that makes no sense.
    """
    services: dict[str, Service] = {}
    for service in (*_agents(workspace), *_servers(workspace)):
        if service.name in services:
            raise UsageError(
                f"an agent and a server, both kept running, are called {service.name!r}",
                hint="give one of them another name",
            )
        services[service.name] = service
    return services


def command_of(workspace: Workspace, service: Service) -> list[str]:
    """The program and arguments that run `service`. Raises `NotFoundError`, `UsageError`."""
    if service.entry.command is not None:
        return service.entry.command
    if service.kind == "agent":
        return workspace.command_of_agent(service.name)
    raise UsageError(
        f"the service of the server {service.name} has no command",
        path=workspace.layout.server_registry,
        hint='add it: "service": {"command": ["PROGRAM", "ARGUMENT"]}',
    )


def in_order(services: Mapping[str, Service], names: Iterable[str]) -> list[str]:
    """`names` and all they depend on, each after what it needs.

    Raises `NotFoundError` for a name that is no service, `UsageError` for a circle.
    """
    needs: dict[str, list[str]] = {}
    waiting = list(names)
    while waiting:
        name = waiting.pop()
        if name not in services:
            raise no_such_service(name, services)
        if name not in needs:
            needs[name] = services[name].entry.depends_on
            for need in needs[name]:
                if need not in services:
                    raise NotFoundError(f"{name} depends on {need!r}, which is no service")
            waiting += needs[name]
    try:
        return list(TopologicalSorter({name: needs[name] for name in sorted(needs)}).static_order())
    except CycleError as error:
        circle = " depends on ".join(reversed(error.args[1]))
        raise UsageError(f"services depend on each other in a circle: {circle}") from error


def with_dependents(services: Mapping[str, Service], names: Iterable[str]) -> list[str]:
    """`names` and all that depend on them. Raises `NotFoundError`."""
    found = list(dict.fromkeys(names))
    for name in found:
        if name not in services:
            raise no_such_service(name, services)
    for name in found:  # grows while it is walked
        found += [
            other
            for other, service in services.items()
            if name in service.entry.depends_on and other not in found
        ]
    return found


def no_such_service(name: str, known: Collection[str]) -> NotFoundError:
    """The error for an unknown name, with similar ones."""
    close = get_close_matches(name, known, n=3)
    hint = f"did you mean {' or '.join(close)}?" if close else "list them with: holdfast ps"
    return NotFoundError(f"no service is called {name!r}", hint=hint)


def _agents(workspace: Workspace) -> Iterator[Service]:
    for agent in workspace.registry.list():
        entry = service_of(agent.further, f"the agent {agent.id}")
        if entry is not None:
            yield Service(agent.id, "agent", entry, agent.status == "active")


def _servers(workspace: Workspace) -> Iterator[Service]:
    path = workspace.layout.server_registry
    try:
        groups: Any = read_document(path).data.get("mcpRegistry", {})
    except NotFoundError:
        return
    if not isinstance(groups, dict):
        raise UnreadableError("mcpRegistry must be an object", path=path)
    for entries in groups.values():
        for name, entry in entries.items() if isinstance(entries, dict) else ():
            service = service_of(entry, f"the server {name}") if isinstance(entry, dict) else None
            if service is not None:
                yield Service(name, "server", service, entry.get("status", "active") == "active")

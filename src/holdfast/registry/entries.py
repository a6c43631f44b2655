"""What an agent is: its entry in the file, and the typed view of it."""

import json
from collections.abc import Mapping
from typing import Annotated, Any

import msgspec
from msgspec import Meta

from holdfast.errors import UsageError
from holdfast.registry.checks import Problem
from holdfast.registry.grouped import Groups, RegistryKind
from holdfast.registry.service_entry import ServiceEntry, service_of

_KNOWN_KEYS = ("name", "path", "status", "description")


class AgentEntry(msgspec.Struct, frozen=True):
    """One agent as it stands in the file. Further keys are welcome and kept."""

    name: Annotated[str | None, Meta(description="What people call it; else its id.")] = None
    path: Annotated[
        str | None, Meta(description="The file or folder that holds it, absolute, in native form.")
    ] = None
    status: Annotated[str | None, Meta(description="Such as active or inactive.")] = None
    description: Annotated[str | None, Meta(description="What it does, in a sentence.")] = None
    service: Annotated[
        ServiceEntry | None, Meta(description="How it is kept running; absent: it is not.")
    ] = None


class AgentRegistryDocument(msgspec.Struct, frozen=True, rename="camel"):
    """The registry of a workspace's agents: agents by id, in groups. Further keys are kept."""

    agent_registry: Annotated[
        dict[str, dict[str, AgentEntry]],
        Meta(description="The groups; Holdfast makes production, staging and development."),
    ]
    format_version: Annotated[int, Meta(ge=1, description="Absent means 1.")] = 1


class Agent(msgspec.Struct, frozen=True, rename="camel"):
    """A registered agent. `further` holds the keys Holdfast does not know; do not change it."""

    id: str
    group: str
    name: str
    path: str
    status: str
    description: str | None = None
    further: dict[str, Any] = {}


class Discovery(msgspec.Struct, frozen=True, rename="camel"):
    """What `AgentRegistry.discover_agents` found in `directory`, and what it did.

    `missing` are agents registered below the directory whose path is gone: only reported.
    `problems` are about what could not be read or not be registered.
    """

    directory: str
    found: list[Agent]
    added: list[Agent]
    updated: list[Agent]
    unchanged: list[Agent]
    missing: list[Agent]
    problems: list[Problem]


AGENTS = RegistryKind(
    root_key="agentRegistry",
    name="agent-registry",
    noun="agent",
    command="holdfast agents",
    schema=AgentRegistryDocument,
)


def build(agent_id: str, group: str, entry: Mapping[str, Any]) -> Agent:
    """The agent that `entry` stands for."""
    return Agent(
        id=agent_id,
        group=group,
        name=entry.get("name") or agent_id,
        path=entry.get("path") or "",
        status=entry.get("status") or "active",
        description=entry.get("description"),
        further={key: value for key, value in entry.items() if key not in _KNOWN_KEYS},
    )


def new_entry(
    *, name: str, path: str, status: str, description: str | None, further: Mapping[str, Any]
) -> dict[str, Any]:
    """An entry as it is written, its known keys first. Raises `UsageError`."""
    entry: dict[str, Any] = {"name": name, "path": path, "status": status}
    if description is not None:
        entry["description"] = description
    entry.update({key: value for key, value in further.items() if value is not None})
    check_values(entry)
    return entry


def apply(entry: dict[str, Any], changes: Mapping[str, Any]) -> None:
    """Set the keys of `changes` in `entry`; None takes a key out."""
    for key, value in changes.items():
        if value is None:
            entry.pop(key, None)
        else:
            entry[key] = value


def build_all(groups: Groups) -> list[Agent]:
    """Every agent, in the order of the file."""
    return [
        build(agent_id, group, entry)
        for group, entries in groups.items()
        for agent_id, entry in entries.items()
    ]


def check_values(values: Mapping[str, Any]) -> None:
    """Raise `UsageError` for a key or value that cannot stand in an entry."""
    for key, value in values.items():
        if key in _KNOWN_KEYS and value is not None and not isinstance(value, str):
            raise UsageError(f"{key} must be a text, not {type(value).__name__}")
        if key in ("name", "path", "status") and value == "":
            raise UsageError(f"{key} must not be empty")
        if key == "path" and value is None:
            raise UsageError("an agent cannot be without a path")
        if isinstance(value, str) and "\0" in value:
            raise UsageError(f"{key} must not contain a NUL character")
        if key in ("id", "group", ""):
            raise UsageError(f"{key!r} is no key that can be set")
        try:
            json.dumps(value, allow_nan=False)
        except (TypeError, ValueError, RecursionError) as error:
            raise UsageError(f"{key} cannot be written as JSON: {error}") from error
        if key == "service":
            service_of(values, "an agent")

"""The two registries of a workspace, as recovery sees them: groups of entries of any content."""

from pathlib import Path

from holdfast.registry import GroupedRegistry, RegistryKind
from holdfast.registry.entries import AGENTS
from holdfast.registry.server_entries import SERVERS
from holdfast.workspace.layout import Layout

AGENTS_PATH = "configs/agents/agent-registry.json"
SERVERS_PATH = "configs/mcp/mcp-registry.json"


KINDS: dict[str, RegistryKind] = {AGENTS_PATH: AGENTS, SERVERS_PATH: SERVERS}


def registry_at(layout: Layout, path: str) -> GroupedRegistry:
    """The registry in the file `path` (`AGENTS_PATH` or `SERVERS_PATH`) of the workspace."""
    return GroupedRegistry(
        KINDS[path],
        Path(layout.root / path),
        generations=layout.generations,
        locks=layout.locks,
        quarantine=layout.quarantine,
    )

"""Bringing a workspace up: its layout completed, its agents registered, its configuration checked."""

from pathlib import Path

from holdfast.errors import HoldfastError
from holdfast.registry import AgentRegistry
from holdfast.services.verification import print_verification
from holdfast.workspace import creation
from holdfast.workspace.layout import Layout, read_layout


def initialize(layout: Layout) -> tuple[list[str], list[str]]:
    """Complete the layout and register the agents found; returns (paths made, agents added).

    Raises `UnreadableError` when a registry cannot be read; it is then left as it is.
    """
    made = creation.create(layout.root).made
    registry = AgentRegistry(
        layout.agent_registry,
        generations=layout.generations,
        locks=layout.locks,
        search_roots=(layout.root,),
    )
    discovery = registry.discover_agents(layout.agents)
    return made, [agent.id for agent in discovery.added]


def print_initialization(root: Path) -> int:
    """What ``initialize.py`` does: `initialize`, then the verification; returns the exit status."""
    try:
        made, added = initialize(read_layout(root))
    except HoldfastError as error:
        print(f"error: {error}")
        return error.exit_status
    for path in made:
        print(f"made   {path}")
    for agent_id in added:
        print(f"added  agent {agent_id}")
    return print_verification(root)

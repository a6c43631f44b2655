"""Bringing a workspace up: its layout completed and its agents registered."""

from holdfast.registry import AgentRegistry
from holdfast.workspace import creation
from holdfast.workspace.layout import Layout


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

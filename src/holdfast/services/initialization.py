"""Bringing a workspace up: its layout completed and its agents registered."""

from holdfast.facade import Workspace
from holdfast.workspace import creation


def initialize(workspace: Workspace) -> tuple[list[str], list[str]]:
    """Complete the layout and register the agents found; returns (paths made, agents added).

    Raises `UnreadableError` when a registry cannot be read; it is then left as it is.
    """
    made = creation.create(workspace.layout.root).made
    discovery = workspace.registry.discover_agents(workspace.layout.agents)
    return made, [agent.id for agent in discovery.added]

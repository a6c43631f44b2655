"""The agent registry of this workspace.

::

    get_registry().discover_agents("development/agents")
"""

from pathlib import Path

import holdfast
from holdfast.registry import AgentRegistry

_WORKSPACE = Path(__file__).parents[2]


def get_registry() -> AgentRegistry:
    """The registry kept in configs/agents/agent-registry.json."""
    return holdfast.get_registry(_WORKSPACE)

"""The agent registry: a JSON file, replaced at every change, with its earlier generations kept."""

import json
from pathlib import Path
from typing import Any

from holdfast.registry import AgentRegistry


class Registry:
    def __init__(self, folder: Path, agents: dict[str, Any]) -> None:
        path = folder / "agent-registry.json"
        groups = {"production": agents, "staging": {}, "development": {}}
        path.write_text(json.dumps({"agentRegistry": groups}, indent=2), "utf-8")
        self._registry = AgentRegistry(
            path, generations=folder / "generations", locks=folder / "locks"
        )

    def update(self, agent: str, status: str) -> None:
        self._registry.update(agent, status=status)

    def status(self, agent: str) -> str:
        return self._registry.get(agent).status

    def close(self) -> None:
        """Nothing stays open."""


def connect(folder: Path, agents: dict[str, Any]) -> Registry:
    """The registry in `folder`, with these agents."""
    return Registry(folder, agents)

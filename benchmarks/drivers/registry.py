"""What is timed of a registry. An adapter has ``connect(folder, agents) -> Registry``."""

import time
from pathlib import Path
from types import ModuleType
from typing import Any, Protocol, cast


class Registry(Protocol):
    """Agents by id; each has a name, a path and a status."""

    def update(self, agent: str, status: str) -> None:
        """Change one; it is kept when this returns."""

    def status(self, agent: str) -> str:
        """Look one up."""

    def close(self) -> None: ...


class Driver:
    """Updates and look-ups."""

    def __init__(self, adapter: ModuleType) -> None:
        self._adapter = adapter
        self._registry: Registry | None = None

    def update(self, folder: str, number: int, count: int, entries: int) -> dict[str, Any]:
        """`count` updates of different agents."""
        registry = self._connected(folder, entries)
        names = [agent_id(one % entries) for one in range(count)]
        started = time.perf_counter()
        for name in names:
            registry.update(name, f"busy-{number}")
        seconds = time.perf_counter() - started
        if registry.status(names[-1]) != f"busy-{number}":
            raise AssertionError("an update was lost")
        return {"count": count, "seconds": seconds}

    def read(self, folder: str, number: int, count: int, entries: int) -> dict[str, Any]:
        """`count` look-ups of different agents."""
        registry = self._connected(folder, entries)
        names = [agent_id(one % entries) for one in range(count)]
        started = time.perf_counter()
        found = [registry.status(name) for name in names]
        seconds = time.perf_counter() - started
        if set(found) != {"active"}:
            raise AssertionError(f"wrong answers: {set(found)}")
        return {"count": count, "seconds": seconds}

    def close(self) -> None:
        """Close the registry."""
        if self._registry is not None:
            self._registry.close()

    def _connected(self, folder: str, entries: int) -> Registry:
        if self._registry is None:
            agents = {
                agent_id(one): {
                    "name": f"Agent {one}",
                    "path": str(Path(folder) / f"{one}.py"),
                    "status": "active",
                }
                for one in range(entries)
            }
            self._registry = cast("Registry", self._adapter.connect(Path(folder), agents))
            self._registry.status(agent_id(0))  # warm
        return self._registry


def agent_id(number: int) -> str:
    """The id of an agent."""
    return f"agent-{number:05d}"

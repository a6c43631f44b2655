"""TinyDB: a JSON file, written in place (a crash in the middle of it tears it) and synced."""

from pathlib import Path
from typing import Any

from tinydb import Query, TinyDB


class Registry:
    def __init__(self, folder: Path, agents: dict[str, Any]) -> None:
        self._database = TinyDB(folder / "agents.json")
        self._database.insert_multiple({"id": name, **agent} for name, agent in agents.items())

    def update(self, agent: str, status: str) -> None:
        self._database.update({"status": status}, Query().id == agent)

    def status(self, agent: str) -> str:
        found = self._database.get(Query().id == agent)
        assert found is not None
        status: str = found["status"]
        return status

    def close(self) -> None:
        self._database.close()


def connect(folder: Path, agents: dict[str, Any]) -> Registry:
    """The registry in `folder`, with these agents."""
    return Registry(folder, agents)

"""A registry in a folder of its own."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from holdfast.registry import AgentRegistry

SEED = {
    "agentRegistry": {
        "production": {
            "agent-id": {"name": "Agent Name", "path": "C:\\path\\to\\agent", "status": "active"}
        }
    }
}

Opener = Callable[..., AgentRegistry]


def open_registry(folder: Path, **options: Any) -> AgentRegistry:
    return AgentRegistry(
        folder / "agent-registry.json",
        generations=folder / "state" / "generations",
        locks=folder / "state" / "locks",
        **{"search_roots": (folder,), **options},
    )


@pytest.fixture
def registry(tmp_path: Path) -> AgentRegistry:
    return open_registry(tmp_path)


def write(path: Path, data: Any) -> bytes:
    content = data if isinstance(data, bytes) else json.dumps(data, indent=4).encode()
    path.write_bytes(content)
    return content


def on_disk(registry: AgentRegistry) -> Any:
    return json.loads(registry.path.read_bytes())

from pathlib import Path

import msgspec

from holdfast.durable.documents import encode
from holdfast.registry.entries import AgentRegistryDocument
from holdfast.registry.schema import agent_registry_schema
from tests.registry.conftest import SEED

PUBLISHED = Path(__file__).parents[2] / "docs" / "schemas" / "agent-registry.schema.json"


def test_the_published_schema_is_current() -> None:
    current = encode(agent_registry_schema()).decode()
    published = PUBLISHED.read_text(encoding="utf-8")
    assert published == current, f"run: python -m holdfast.registry.schema > {PUBLISHED}"


def test_the_seeds_file_is_of_the_type_the_schema_is_made_from() -> None:
    document = msgspec.convert(SEED, AgentRegistryDocument)
    assert document.agent_registry["production"]["agent-id"].name == "Agent Name"

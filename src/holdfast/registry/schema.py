"""The published JSON Schema of the agent registry: ``docs/schemas/agent-registry.schema.json``.

Printed by ``python -m holdfast.registry.schema``.
"""

import sys
from typing import Any

import msgspec

from holdfast.durable.documents import encode
from holdfast.registry.entries import AgentRegistryDocument


def agent_registry_schema() -> dict[str, Any]:
    """The schema (JSON Schema 2020-12), made from the types the registry is read with."""
    schema = msgspec.json.schema(AgentRegistryDocument)
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": "Holdfast agent registry",
        **schema,
    }


if __name__ == "__main__":
    sys.stdout.buffer.write(encode(agent_registry_schema()))

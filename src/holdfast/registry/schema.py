"""The published JSON Schemas of the registries: ``docs/schemas/*-registry.schema.json``.

Printed by ``python -m holdfast.registry.schema agent`` (or ``server``).
"""

import sys
from typing import Any

import msgspec

from holdfast.durable.documents import encode
from holdfast.registry.entries import AgentRegistryDocument
from holdfast.registry.server_entries import ServerRegistryDocument


def agent_registry_schema() -> dict[str, Any]:
    """The schema (JSON Schema 2020-12), made from the types the registry is read with."""
    return _schema_of(AgentRegistryDocument, "Holdfast agent registry")


def server_registry_schema() -> dict[str, Any]:
    """The schema of the server registry."""
    return _schema_of(ServerRegistryDocument, "Holdfast server registry")


def _schema_of(document: type[msgspec.Struct], title: str) -> dict[str, Any]:
    schema = msgspec.json.schema(document)
    return {"$schema": "https://json-schema.org/draft/2020-12/schema", "title": title, **schema}


if __name__ == "__main__":
    chosen = server_registry_schema if "server" in sys.argv[1:] else agent_registry_schema
    sys.stdout.buffer.write(encode(chosen()))

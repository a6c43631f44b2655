"""Registries: who is there. JSON files in groups, with history, undo and discovery.

`AgentRegistry` and `ServerRegistry` are those people use; `GroupedRegistry` is the core any
registry is made of.
"""

from holdfast.registry.agents import AgentRegistry
from holdfast.registry.checks import Problem
from holdfast.registry.entries import Agent, Discovery
from holdfast.registry.generations import Generation
from holdfast.registry.grouped import GROUPS, GroupedRegistry, RegistryKind
from holdfast.registry.server_entries import Server
from holdfast.registry.servers import ServerRegistry
from holdfast.registry.service_entry import ServiceEntry, service_of

__all__ = [
    "GROUPS",
    "Agent",
    "AgentRegistry",
    "Discovery",
    "Generation",
    "GroupedRegistry",
    "Problem",
    "RegistryKind",
    "Server",
    "ServerRegistry",
    "ServiceEntry",
    "service_of",
]

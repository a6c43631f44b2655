"""The engines of the event log, one file each, imported when a URL names it."""

from holdfast.durable.files import Durability
from holdfast.engines.urls import parse_url
from holdfast.errors import UsageError
from holdfast.events.store import EventStore


def open_store(url: str, *, durability: Durability) -> EventStore:
    """The store that `url` names: ``memory://``, ``sqlite:///path`` or ``postgresql://…``.

    Raises `UsageError`, `MissingError`, and what opening the engine raises.
    """
    engine = parse_url(url)
    if engine.scheme == "memory":
        from holdfast.events.stores.memory import MemoryEventStore

        if durability == "power":
            raise UsageError(
                "events in memory cannot survive a power cut", hint="use sqlite:///path instead"
            )
        return MemoryEventStore()
    if engine.scheme == "sqlite":
        from holdfast.events.stores.sqlite import SqliteEventStore

        return SqliteEventStore(engine.require_path(), durability=durability)
    if engine.scheme == "postgresql":
        from holdfast.events.stores.postgres import PostgresEventStore

        return PostgresEventStore(engine, durability=durability)
    raise UsageError(
        f"events cannot be kept in {engine.scheme}://",
        hint="use memory://, sqlite:///path or postgresql://…",
    )

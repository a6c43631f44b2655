"""The engines of workflow state, one file each, imported when a URL names it."""

from holdfast.durable.files import Durability
from holdfast.engines.urls import parse_url
from holdfast.errors import UsageError
from holdfast.workflows.store import WorkflowStore


def open_store(url: str, *, durability: Durability) -> WorkflowStore:
    """The store that `url` names. Raises `UsageError` for an engine that keeps no runs."""
    engine = parse_url(url)
    if engine.scheme == "memory":
        from holdfast.workflows.stores.memory import MemoryStore

        return MemoryStore()
    if engine.scheme == "json":
        from holdfast.workflows.stores.json import JsonStore

        return JsonStore(engine.require_path(), durability=durability)
    if engine.scheme == "sqlite":
        from holdfast.workflows.stores.sqlite import SqliteStore

        return SqliteStore(engine.require_path(), durability=durability)
    if engine.scheme == "postgresql":
        from holdfast.workflows.stores.postgres import PostgresStore

        return PostgresStore(engine, durability=durability)
    if engine.scheme in ("redis", "rediss"):
        from holdfast.workflows.stores.redis import RedisStore

        return RedisStore(engine, durability=durability)
    raise UsageError(
        f"workflow state cannot be kept in {engine.scheme}://",
        hint="use memory://, json:///dir, sqlite:///path, redis://… or postgresql://…",
    )

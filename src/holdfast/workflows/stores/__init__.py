"""The engines of workflow state, one file each, imported when a URL names it."""

from holdfast.durable.files import Durability
from holdfast.engines.urls import parse_url
from holdfast.errors import UsageError
from holdfast.workflows.store import WorkflowStore


def open_store(url: str, *, durability: Durability) -> WorkflowStore:
    """The store that `url` names: ``memory://`` or ``sqlite:///path``. Raises `UsageError`."""
    engine = parse_url(url)
    if engine.scheme == "memory":
        from holdfast.workflows.stores.memory import MemoryStore

        return MemoryStore()
    if engine.scheme == "sqlite":
        from holdfast.workflows.stores.sqlite import SqliteStore

        return SqliteStore(engine.require_path(), durability=durability)
    raise UsageError(
        f"workflow state cannot be kept in {engine.scheme}://",
        hint="use memory:// or sqlite:///path",
    )

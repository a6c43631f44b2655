"""From an engine URL to the store of one queue."""

import threading
from weakref import WeakValueDictionary

from holdfast.durable.files import Durability
from holdfast.durable.names import check_identifier
from holdfast.engines.urls import parse_url
from holdfast.errors import UsageError
from holdfast.queues.store import QueueStore, TopicStore
from holdfast.queues.stores.memory import MemoryQueueStore
from holdfast.queues.stores.memory_topic import MemoryTopicStore

_in_memory: WeakValueDictionary[str, MemoryQueueStore] = WeakValueDictionary()
_topics_in_memory: WeakValueDictionary[str, MemoryTopicStore] = WeakValueDictionary()
_lock = threading.Lock()


def open_store(url: str, name: str, durability: Durability) -> QueueStore:
    """The store of the queue `name`, made if missing.

    In memory, handles of one name share one queue as long as any of them is alive.
    """
    check_identifier(name, "queue name")
    engine = parse_url(url)
    if engine.scheme == "file":
        from holdfast.queues.stores.file import FileQueueStore

        return FileQueueStore(engine.require_path() / name, durability=durability)
    if engine.scheme == "sqlite":
        from holdfast.queues.stores.sqlite import SqliteQueueStore

        return SqliteQueueStore(engine.require_path(), name, durability=durability)
    if engine.scheme in ("redis", "rediss"):
        from holdfast.queues.stores.redis import RedisQueueStore

        return RedisQueueStore(engine, name, durability=durability)
    if engine.scheme == "postgresql":
        from holdfast.queues.stores.postgres import PostgresQueueStore

        return PostgresQueueStore(engine, name, durability=durability)
    _require_memory(engine.scheme, durability)
    with _lock:
        store = _in_memory.get(name)
        if store is None:
            store = _in_memory[name] = MemoryQueueStore()
        return store


def open_topic_store(url: str, name: str, durability: Durability) -> TopicStore:
    """The log of the topic `name`, made if missing. Raises `UsageError` if it is a queue's name."""
    check_identifier(name, "topic name")
    engine = parse_url(url)
    if name in list_queues(url):
        raise UsageError(
            f"{name!r} is a queue already", hint="choose another name, or use Queue(...)"
        )
    if engine.scheme == "file":
        from holdfast.queues.stores.file.topic import FileTopicStore

        return FileTopicStore(engine.require_path() / name, durability=durability)
    if engine.scheme == "sqlite":
        from holdfast.queues.stores.sqlite_topic import SqliteTopicStore

        return SqliteTopicStore(engine.require_path(), name, durability=durability)
    if engine.scheme in ("redis", "rediss"):
        from holdfast.queues.stores.redis.topic import RedisTopicStore

        return RedisTopicStore(engine, name, durability=durability)
    if engine.scheme == "postgresql":
        from holdfast.queues.stores.postgres_topic import PostgresTopicStore

        return PostgresTopicStore(engine, name, durability=durability)
    _require_memory(engine.scheme, durability)
    with _lock:
        store = _topics_in_memory.get(name)
        if store is None:
            store = _topics_in_memory[name] = MemoryTopicStore()
        return store


def list_queues(url: str) -> list[str]:
    """The names of the queues of an engine, sorted. Raises `UsageError`."""
    engine = parse_url(url)
    if engine.scheme == "memory":
        with _lock:
            return sorted(_in_memory)
    if engine.scheme == "file":
        from holdfast.queues.stores import file

        return file.queue_names(engine.require_path())
    if engine.scheme == "sqlite":
        from holdfast.queues.stores import sqlite

        return sqlite.queue_names(engine.require_path())
    if engine.scheme in ("redis", "rediss"):
        from holdfast.queues.stores import redis

        return redis.queue_names(engine)
    if engine.scheme == "postgresql":
        from holdfast.queues.stores import postgres

        return postgres.queue_names(engine)
    raise _no_queues_on(engine.scheme)


def list_topics(url: str) -> list[str]:
    """The names of the topics of an engine, sorted. Raises `UsageError`."""
    engine = parse_url(url)
    if engine.scheme == "memory":
        with _lock:
            return sorted(_topics_in_memory)
    if engine.scheme == "file":
        from holdfast.queues.stores.file import topic

        return topic.topic_names(engine.require_path())
    if engine.scheme == "sqlite":
        from holdfast.queues.stores import sqlite_topic

        return sqlite_topic.topic_names(engine.require_path())
    if engine.scheme in ("redis", "rediss"):
        from holdfast.queues.stores.redis import topic as redis_topic

        return redis_topic.topic_names(engine)
    if engine.scheme == "postgresql":
        from holdfast.queues.stores import postgres_topic

        return postgres_topic.topic_names(engine)
    raise _no_queues_on(engine.scheme)


def _require_memory(scheme: str, durability: Durability) -> None:
    if scheme != "memory":
        raise _no_queues_on(scheme)
    if durability == "power":
        raise UsageError(
            "a queue in memory cannot survive a power cut", hint="use file:///dir instead"
        )


def _no_queues_on(scheme: str) -> UsageError:
    return UsageError(
        f"there are no queues on the engine {scheme}://",
        hint="use file:///dir for readable files",
    )

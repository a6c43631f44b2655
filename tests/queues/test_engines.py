"""Every engine passes the published suite and agrees with the model."""

from pathlib import Path

import pytest
from hypothesis import settings
from hypothesis.stateful import run_state_machine_as_test

from holdfast.engines.urls import parse_url
from holdfast.queues import QueueStore, TopicStore
from holdfast.queues.stores.file import FileQueueStore
from holdfast.queues.stores.file.topic import FileTopicStore
from holdfast.queues.stores.memory import MemoryQueueStore
from holdfast.queues.stores.memory_topic import MemoryTopicStore
from holdfast.queues.stores.postgres import PostgresQueueStore
from holdfast.queues.stores.postgres_topic import PostgresTopicStore
from holdfast.queues.stores.redis import RedisQueueStore
from holdfast.queues.stores.redis.topic import RedisTopicStore
from holdfast.queues.stores.sqlite import SqliteQueueStore
from holdfast.queues.stores.sqlite_topic import SqliteTopicStore
from holdfast.testing.queue_machine import queue_machine
from holdfast.testing.queues import QueueSuite
from holdfast.testing.topic_machine import topic_machine


def small(folder: Path) -> FileQueueStore:
    """Files so small that little data takes every path: rolls, checkpoints, compaction."""
    return FileQueueStore(folder / "q", segment_bytes=700, ledger_bytes=300)


class TestMemory(QueueSuite):
    persistent = False
    shared = False

    def open_store(self, folder: Path) -> QueueStore:
        return MemoryQueueStore()

    def open_topic_store(self, folder: Path) -> TopicStore:
        return MemoryTopicStore()


class TestFile(QueueSuite):
    persistent = True
    shared = True

    def open_store(self, folder: Path) -> QueueStore:
        return FileQueueStore(folder / "q")

    def open_topic_store(self, folder: Path) -> TopicStore:
        return FileTopicStore(folder / "t")


class TestFileInSmallPieces(QueueSuite):
    persistent = True
    shared = True

    def open_store(self, folder: Path) -> QueueStore:
        return small(folder)

    def open_topic_store(self, folder: Path) -> TopicStore:
        return FileTopicStore(folder / "t", segment_bytes=700, ledger_bytes=300)


class TestFileSurvivingPowerCuts(QueueSuite):
    persistent = True
    shared = True

    def open_store(self, folder: Path) -> QueueStore:
        return FileQueueStore(folder / "q", durability="power", segment_bytes=5000)

    def open_topic_store(self, folder: Path) -> TopicStore:
        return FileTopicStore(folder / "t", durability="power", segment_bytes=5000)


class TestSqlite(QueueSuite):
    persistent = True
    shared = True

    def open_store(self, folder: Path) -> QueueStore:
        return SqliteQueueStore(folder / "state.db", "q")

    def open_topic_store(self, folder: Path) -> TopicStore:
        return SqliteTopicStore(folder / "state.db", "t")


class TestSqliteSurvivingPowerCuts(QueueSuite):
    persistent = True
    shared = True

    def open_store(self, folder: Path) -> QueueStore:
        return SqliteQueueStore(folder / "state.db", "q", durability="power")

    def open_topic_store(self, folder: Path) -> TopicStore:
        return SqliteTopicStore(folder / "state.db", "t", durability="power")


class TestRedis(QueueSuite):
    persistent = True
    shared = True

    @pytest.fixture(autouse=True)
    def _server(self, redis_url: str) -> None:
        self.url = parse_url(redis_url)

    def open_store(self, folder: Path) -> QueueStore:
        return RedisQueueStore(self.url, "q")

    def open_topic_store(self, folder: Path) -> TopicStore:
        return RedisTopicStore(self.url, "t")


class TestPostgres(QueueSuite):
    persistent = True
    shared = True

    @pytest.fixture(autouse=True)
    def _server(self, postgres_url: str) -> None:
        self.url = parse_url(postgres_url)

    def open_store(self, folder: Path) -> QueueStore:
        return PostgresQueueStore(self.url, "q")

    def open_topic_store(self, folder: Path) -> TopicStore:
        return PostgresTopicStore(self.url, "t")


_brief = settings(max_examples=10, stateful_step_count=40, deadline=None)
_calm = settings(max_examples=40, stateful_step_count=40, deadline=None)

TestMemoryMachine = queue_machine(lambda folder: MemoryQueueStore(), persistent=False).TestCase
TestMemoryMachine.settings = _calm
TestFileMachine = queue_machine(small, persistent=True).TestCase
TestFileMachine.settings = _calm
TestSqliteMachine = queue_machine(
    lambda folder: SqliteQueueStore(folder / "state.db", "q"), persistent=True
).TestCase
TestSqliteMachine.settings = _calm


def test_redis_agrees_with_the_model(redis_url: str) -> None:
    url = parse_url(redis_url)
    machine = queue_machine(lambda folder: RedisQueueStore(url, folder.name), persistent=True)
    run_state_machine_as_test(machine, settings=_calm)


def test_postgres_agrees_with_the_model(postgres_url: str) -> None:
    url = parse_url(postgres_url)
    machine = queue_machine(lambda folder: PostgresQueueStore(url, folder.name), persistent=True)
    run_state_machine_as_test(machine, settings=_calm)


def small_topic(folder: Path) -> FileTopicStore:
    """Segments of a few entries."""
    return FileTopicStore(folder / "t", segment_bytes=700, ledger_bytes=300)


TestMemoryTopicMachine = topic_machine(lambda folder: MemoryTopicStore(), persistent=False).TestCase
TestMemoryTopicMachine.settings = _calm
TestFileTopicMachine = topic_machine(small_topic, persistent=True).TestCase
TestFileTopicMachine.settings = _calm
TestSqliteTopicMachine = topic_machine(
    lambda folder: SqliteTopicStore(folder / "state.db", "t"), persistent=True
).TestCase
TestSqliteTopicMachine.settings = _calm


def test_topics_on_redis_agree_with_the_model(redis_url: str) -> None:
    url = parse_url(redis_url)
    machine = topic_machine(lambda folder: RedisTopicStore(url, folder.name), persistent=True)
    run_state_machine_as_test(machine, settings=_brief)


def test_topics_on_postgres_agree_with_the_model(postgres_url: str) -> None:
    url = parse_url(postgres_url)
    machine = topic_machine(lambda folder: PostgresTopicStore(url, folder.name), persistent=True)
    run_state_machine_as_test(machine, settings=_brief)

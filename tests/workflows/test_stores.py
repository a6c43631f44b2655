"""Every engine passes the published suite, and does what a dictionary does under any sequence."""

from collections.abc import Callable
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest
from hypothesis import settings
from hypothesis.stateful import run_state_machine_as_test

from holdfast.engines.urls import parse_url
from holdfast.testing.workflow_machine import WorkflowStoreMachine
from holdfast.testing.workflows import WorkflowStoreConformance
from holdfast.workflows.store import WorkflowStore
from holdfast.workflows.stores.json import JsonStore
from holdfast.workflows.stores.memory import MemoryStore
from holdfast.workflows.stores.postgres import PostgresStore
from holdfast.workflows.stores.redis import RedisStore
from holdfast.workflows.stores.sqlite import SqliteStore
from tests.servers import PostgresServer


class TestMemoryStore(WorkflowStoreConformance):
    reopens = False

    @pytest.fixture
    def factory(self) -> Callable[[], WorkflowStore]:
        return MemoryStore


class TestSqliteStore(WorkflowStoreConformance):
    @pytest.fixture
    def factory(self, tmp_path: Path) -> Callable[[], WorkflowStore]:
        return lambda: SqliteStore(tmp_path / "state.db")


class TestJsonStore(WorkflowStoreConformance):
    @pytest.fixture
    def factory(self, tmp_path: Path) -> Callable[[], WorkflowStore]:
        return lambda: JsonStore(tmp_path / "runs")


class TestJsonStoreForPower(WorkflowStoreConformance):
    @pytest.fixture
    def factory(self, tmp_path: Path) -> Callable[[], WorkflowStore]:
        return lambda: JsonStore(tmp_path / "runs", durability="power")


class TestPostgresStore(WorkflowStoreConformance):
    @pytest.fixture
    def factory(self, postgres_url: str) -> Callable[[], WorkflowStore]:
        return lambda: PostgresStore(parse_url(postgres_url))


class TestRedisStore(WorkflowStoreConformance):
    @pytest.fixture
    def factory(self, redis_url: str) -> Callable[[], WorkflowStore]:
        return lambda: RedisStore(parse_url(redis_url))


class TestSqliteStoreForPower(WorkflowStoreConformance):
    @pytest.fixture
    def factory(self, tmp_path: Path) -> Callable[[], WorkflowStore]:
        return lambda: SqliteStore(tmp_path / "state.db", durability="power")


class MemoryMachine(WorkflowStoreMachine):
    reopens = False

    def open(self) -> WorkflowStore:
        return MemoryStore()


class SqliteMachine(WorkflowStoreMachine):
    def fresh(self) -> None:
        self.folder = TemporaryDirectory()

    def open(self) -> WorkflowStore:
        return SqliteStore(Path(self.folder.name) / "state.db")

    def teardown(self) -> None:
        super().teardown()
        self.folder.cleanup()


class JsonMachine(SqliteMachine):
    def open(self) -> WorkflowStore:
        return JsonStore(Path(self.folder.name))


TestMemoryAgainstModel = MemoryMachine.TestCase
TestMemoryAgainstModel.settings = settings(max_examples=60, deadline=None)
TestSqliteAgainstModel = SqliteMachine.TestCase
TestSqliteAgainstModel.settings = settings(max_examples=20, deadline=None)
TestJsonAgainstModel = JsonMachine.TestCase
TestJsonAgainstModel.settings = settings(max_examples=15, deadline=None)


def test_postgresql_against_the_model(postgres_server: PostgresServer) -> None:
    url = parse_url(postgres_server.new_database())

    class PostgresMachine(WorkflowStoreMachine):
        def fresh(self) -> None:
            store = PostgresStore(url)
            with store._database.connection() as connection:
                for table in ("runs", "steps", "signals", "blobs", "blob_uses", "notes"):
                    connection.execute(f"TRUNCATE workflow_{table}".encode())
            store.close()

        def open(self) -> WorkflowStore:
            return PostgresStore(url)

    run_state_machine_as_test(PostgresMachine, settings=settings(max_examples=10, deadline=None))


def test_redis_against_the_model(redis_url: str) -> None:
    url = parse_url(redis_url)

    class RedisMachine(WorkflowStoreMachine):
        def fresh(self) -> None:
            store = RedisStore(url)
            store._client.flushdb()
            store.close()

        def open(self) -> WorkflowStore:
            return RedisStore(url)

    run_state_machine_as_test(RedisMachine, settings=settings(max_examples=15, deadline=None))

"""Every engine passes the published suite and agrees with the model."""

from pathlib import Path

import pytest
from hypothesis import settings
from hypothesis.stateful import run_state_machine_as_test

from holdfast.engines.urls import parse_url
from holdfast.events import EventStore
from holdfast.events.stores.memory import MemoryEventStore
from holdfast.events.stores.postgres import PostgresEventStore
from holdfast.events.stores.sqlite import SqliteEventStore
from holdfast.testing.event_machine import event_machine
from holdfast.testing.events import EventSuite
from tests.servers import PostgresServer


class TestMemory(EventSuite):
    persistent = False

    def open_store(self, folder: Path) -> EventStore:
        return MemoryEventStore()


class TestSqlite(EventSuite):
    persistent = True

    def open_store(self, folder: Path) -> EventStore:
        return SqliteEventStore(folder / "state.db")


class TestSqliteSurvivingPowerCuts(EventSuite):
    persistent = True

    def open_store(self, folder: Path) -> EventStore:
        return SqliteEventStore(folder / "state.db", durability="power")


class TestPostgres(EventSuite):
    persistent = True
    url: str

    @pytest.fixture(autouse=True)
    def _database(self, postgres_url: str) -> None:
        self.url = postgres_url

    def open_store(self, folder: Path) -> EventStore:
        return PostgresEventStore(parse_url(self.url))


_calm = settings(max_examples=40, stateful_step_count=30, deadline=None)

TestMemoryMachine = event_machine(lambda folder: MemoryEventStore(), persistent=False).TestCase
TestMemoryMachine.settings = _calm
TestSqliteMachine = event_machine(
    lambda folder: SqliteEventStore(folder / "state.db"), persistent=True
).TestCase
TestSqliteMachine.settings = _calm


def test_postgres_agrees_with_the_model(postgres_server: PostgresServer) -> None:
    urls: dict[Path, str] = {}  # a database for each folder, so for each example

    def open_store(folder: Path) -> EventStore:
        if folder not in urls:
            urls[folder] = postgres_server.new_database()
        return PostgresEventStore(parse_url(urls[folder]))

    few = settings(_calm, max_examples=8)
    run_state_machine_as_test(event_machine(open_store, persistent=True), settings=few)

"""Every engine passes the published suite and agrees with the model."""

from pathlib import Path

import pytest

from holdfast.engines.urls import parse_url
from holdfast.events import EventStore
from holdfast.events.stores.memory import MemoryEventStore
from holdfast.events.stores.postgres import PostgresEventStore
from holdfast.events.stores.sqlite import SqliteEventStore
from holdfast.testing.events import EventSuite


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

"""Waiting for an append in PostgreSQL: LISTEN, on a connection of its own."""

import time
from contextlib import suppress
from typing import TYPE_CHECKING

from holdfast.engines.postgres import Postgres
from holdfast.errors import HoldfastError
from holdfast.events.stores.postgres_tables import CHANNEL, LOCK_TO_LISTEN

if TYPE_CHECKING:
    from holdfast.engines.postgres import Connection

_RETRY = 0.05  # seconds to wait instead while there is no connection to listen on


class PostgresBell:
    """See `holdfast.events.store.Bell`. Without a connection it is a short sleep."""

    def __init__(self, postgres: Postgres) -> None:
        self._postgres = postgres
        self._connection: Connection | None = None
        self._tried = float("-inf")

    def wait(self, seconds: float) -> None:
        import psycopg

        if self._connection is None and self._connect():
            return  # something may have come before anybody listened
        if self._connection is None:
            time.sleep(min(seconds, _RETRY))
            return
        try:
            for _ in self._connection.notifies(timeout=seconds, stop_after=1):
                return
        except psycopg.Error:
            self.close()

    def close(self) -> None:
        if self._connection is not None:
            with suppress(Exception):
                self._connection.close()
            self._connection = None

    def _connect(self) -> bool:
        """Try to listen, once a second."""
        import psycopg

        if time.monotonic() - self._tried < 1.0:
            return False
        self._tried = time.monotonic()
        try:
            self._connection = self._postgres.connect()
            self._connection.execute(LOCK_TO_LISTEN)
            self._connection.execute(f"LISTEN {CHANNEL}")
        except (psycopg.Error, HoldfastError):
            self.close()
        return self._connection is not None

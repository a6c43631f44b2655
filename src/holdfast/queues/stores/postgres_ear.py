"""LISTEN: the connection on which a process hears which queues were put to."""

from typing import TYPE_CHECKING

from holdfast.engines.postgres import Postgres
from holdfast.engines.postgres_errors import postgres_errors

if TYPE_CHECKING:
    from collections.abc import Sequence


class PostgresEar:
    """A connection of its own that listens; what it hears are the serial numbers of queues."""

    def __init__(self, database: Postgres) -> None:
        self._url = database.url
        self._connection = database.connect()
        try:
            with postgres_errors(self._url):
                self._connection.execute("LISTEN holdfast_queues")
        except BaseException:
            self._connection.close()
            raise

    def hear(self, seconds: float) -> "Sequence[str]":
        """What was heard within `seconds`. Raises `StorageError` when the connection broke."""
        with postgres_errors(self._url):
            heard = self._connection.notifies(timeout=seconds, stop_after=1)
            return [notice.payload for notice in heard]

    def close(self) -> None:
        """Close the connection."""
        self._connection.close()

"""The servers that rows need: started when the first one does, ended with the run.

They are the ones of the tests (`tests.servers`): out of wheels, on the loopback, without a tuned
setting. Both sides of a row use the same server, each with a database of its own.
"""

from contextlib import ExitStack
from itertools import count
from typing import TYPE_CHECKING

from benchmarks.cases import ServerKind

if TYPE_CHECKING:
    from tests.servers import PostgresServer, RedisServer


class Servers(ExitStack):
    """Starts servers as they are asked for. A context manager; leaving it ends them."""

    def __init__(self) -> None:
        super().__init__()
        self._postgres: PostgresServer | None = None
        self._redis: RedisServer | None = None
        self._databases = count()

    def new_database(self, kind: ServerKind) -> str:
        """The URL of an empty database."""
        return self._new_in_postgres() if kind == "postgresql" else self._new_in_redis()

    def _new_in_postgres(self) -> str:
        if self._postgres is None:
            from tests.servers import PostgresServer, own_server

            self._postgres = self.enter_context(own_server(PostgresServer))
        return self._postgres.new_database()

    def _new_in_redis(self) -> str:
        if self._redis is None:
            from tests.servers import RedisServer, own_server

            self._redis = self.enter_context(own_server(RedisServer))
        return self._redis.url(next(self._databases))

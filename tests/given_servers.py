"""Servers that run already and are named by the environment.

They are for systems without a wheel of one: ``HOLDFAST_TEST_POSTGRES`` is the URL of its database
``postgres``, ``HOLDFAST_TEST_REDIS`` that of a Redis that holds nothing else and has 4096
databases. Tests that kill their server still need one of their own.
"""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from urllib.parse import urlsplit, urlunsplit

from tests.servers import PostgresServer, RedisServer


@contextmanager
def given_postgres() -> Iterator["GivenPostgres | None"]:
    """The PostgreSQL that was named, if one was; what the tests made in it is deleted."""
    url = os.environ.get("HOLDFAST_TEST_POSTGRES")
    if url is None:
        yield None
        return
    server = GivenPostgres(url)
    yield server
    server.clear()


def given_redis() -> "GivenRedis | None":
    """The Redis that was named, if one was."""
    url = os.environ.get("HOLDFAST_TEST_REDIS")
    return None if url is None else GivenRedis(url)


class GivenPostgres(PostgresServer):
    """A PostgreSQL that runs already."""

    def __init__(self, url: str) -> None:
        super().__init__(Path(), port=1)
        self._url = url
        self._made: list[str] = []

    def url(self, database: str) -> str:
        """As `PostgresServer`."""
        return _with_path(self._url, database)

    def new_database(self) -> str:
        """As `PostgresServer`; deleted by `clear`."""
        self._made.append(super().new_database())
        return self._made[-1]

    def clear(self) -> None:
        """Delete what the tests made."""
        for url in self._made:
            self.execute(f"DROP DATABASE {urlsplit(url).path[1:]} WITH (FORCE)")


class GivenRedis(RedisServer):
    """A Redis that runs already."""

    def __init__(self, url: str) -> None:
        super().__init__(Path(), port=1)
        self._url = url

    def url(self, database: int) -> str:
        """As `RedisServer`."""
        return _with_path(self._url, str(database))


def _with_path(url: str, path: str) -> str:
    return urlunsplit(urlsplit(url)._replace(path=f"/{path}"))

"""PostgreSQL: connections durable as asked, migrated once, found again after a restart.

Every room keeps its tables in the schema ``holdfast`` (first in the search path, so that statements
name tables bare) and its version in ``holdfast_rooms``. Needs the extra ``postgres``.

Both durabilities wait for the server's disk (``synchronous_commit = on``). With ``off`` the server
holds acknowledged commits in its own memory for a moment, and a kill -9 of one of its processes
would lose them: that is less than ``process`` promises. ``power`` also refuses a server that was
told not to sync (``fsync = off``).
"""

import os
import select
import sys
import threading
import time
from collections import deque
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING, Any

from holdfast.durable.files import Durability
from holdfast.engines.postgres_errors import cannot_connect, postgres_errors
from holdfast.engines.urls import EngineUrl
from holdfast.errors import BusyError, MissingError, NewerFormatError, UsageError

if TYPE_CHECKING:
    import psycopg

    Connection = psycopg.Connection[tuple[Any, ...]]

_PATIENCE = 10.0  # seconds to wait for a server that is starting, and for a free connection
_SOON = 0.5  # seconds
_MIGRATION_LOCK = 0x686F6C64  # "hold": pg_advisory_xact_lock, one migration at a time a database
_SETTINGS = (
    "SET synchronous_commit = on; SET search_path = holdfast, pg_catalog;"
    " SET default_transaction_isolation = 'read committed'"
)
_ROOMS = "CREATE TABLE holdfast_rooms (room text PRIMARY KEY, version integer NOT NULL)"


class Postgres:
    """The connections of one room to one database; safe between threads, and after a fork.

    At most `connections` are open at a time; who needs one more waits for up to 10 seconds. A
    connection that broke is never given out again, so that once the server is back the next call
    works.
    """

    def __init__(
        self,
        url: EngineUrl,
        *,
        room: str,
        migrations: Sequence[str],
        durability: Durability = "process",
        connections: int = 8,
    ) -> None:
        """Connect, and bring the tables of `room` up to date.

        `migrations` are SQL scripts; the n-th brings the room from version n-1 to n.

        Raises `MissingError` (no driver), `StorageError` (no server), `BusyError` (too many
        connections), `NewerFormatError`, `UsageError` (no such database, or no ``power``).
        """
        _require_driver()
        self.url = url
        self._limit = connections
        self._start_anew()
        try:
            with self.connection() as connection:
                if durability == "power":
                    _require_fsync(connection, url)
                _migrate(connection, url, room, migrations)
        except BaseException:
            self.close()
            raise

    @contextmanager
    def connection(self) -> Iterator["Connection"]:
        """A connection in autocommit mode: each statement is committed when it returns.

        Raises what `postgres_errors` makes of an error of the body.
        """
        with postgres_errors(self.url), self._borrowed() as connection:
            yield connection

    @contextmanager
    def transaction(self) -> Iterator["Connection"]:
        """A connection in a transaction: all of the body or nothing of it.

        When the connection is lost in the commit itself, `StorageError` says so, and only the
        database knows whether it was kept.
        """
        with self.connection() as connection, connection.transaction():
            yield connection

    def connect(self) -> "Connection":
        """A connection of the caller's own, in autocommit mode, outside of the limit."""
        import psycopg

        deadline = time.monotonic() + _PATIENCE
        while True:
            try:
                connection = psycopg.connect(self.url.text, autocommit=True, connect_timeout=10)
                break
            except psycopg.OperationalError as error:
                starting = "starting up" in str(error) or "recovery mode" in str(error)
                if not starting or time.monotonic() > deadline:
                    raise cannot_connect(error, self.url) from error
                time.sleep(0.05)
            except psycopg.Error as error:
                raise cannot_connect(error, self.url) from error
        try:
            connection.execute(_SETTINGS)
        except BaseException:
            connection.close()
            raise
        return connection

    def close(self) -> None:
        """Close the connections nobody uses; the others are closed when they are given back."""
        self._closed = True
        self._close_idle()

    def _start_anew(self) -> None:
        self._owner = os.getpid()
        self._closed = False
        self._idle: deque[Connection] = deque()
        self._free = threading.Semaphore(self._limit)

    @contextmanager
    def _borrowed(self) -> Iterator["Connection"]:
        if self._owner != os.getpid():  # forked: the parent's connections are the parent's
            self._start_anew()
        if not self._free.acquire(timeout=_PATIENCE):
            raise BusyError(
                f"all {self._limit} connections to {self.url} are in use",
                hint="use fewer threads at a time",
            )
        try:
            connection = self._find() or self._connect_or_wait()
            try:
                yield connection
            finally:
                self._give_back(connection)
        finally:
            self._free.release()

    def _connect_or_wait(self) -> "Connection":
        """A new connection; if the server gives no more, one that another thread gives back."""
        try:
            return self.connect()
        except BusyError:
            deadline = time.monotonic() + _SOON
            while (found := self._find()) is None:
                if time.monotonic() > deadline:
                    raise
                time.sleep(0.005)
            return found

    def _find(self) -> "Connection | None":
        """An idle connection that is still alive: the one used last."""
        while True:
            try:
                connection = self._idle.pop()
            except IndexError:
                return None
            if _is_alive(connection):
                return connection
            connection.close()

    def _give_back(self, connection: "Connection") -> None:
        from psycopg.pq import TransactionStatus

        if connection.closed:
            self._close_idle()  # the server went: the others are gone as well, or soon tried anew
        elif self._closed or connection.info.transaction_status != TransactionStatus.IDLE:
            connection.close()
        else:
            self._idle.append(connection)

    def _close_idle(self) -> None:
        with suppress(IndexError):
            while True:
                self._idle.pop().close()


def _require_driver() -> None:
    try:
        import psycopg  # noqa: F401
    except ImportError as error:
        raise MissingError(
            f"PostgreSQL needs the driver psycopg: {error}",
            hint="pip install 'holdfast[postgres]'",
        ) from error


def _is_alive(connection: "Connection") -> bool:
    """Whether the server has not closed an idle connection; costs no round trip."""
    import psycopg

    if connection.closed:
        return False
    if not _has_input(connection.fileno()):
        return True
    try:  # a notice, or the end of the connection
        connection.pgconn.consume_input()
    except psycopg.OperationalError:
        return False
    return not _has_input(connection.fileno())


if sys.platform == "win32":

    def _has_input(descriptor: int) -> bool:
        return bool(select.select([descriptor], [], [], 0)[0])

else:

    def _has_input(descriptor: int) -> bool:
        poll = select.poll()  # select() knows no descriptors from 1024 on
        poll.register(descriptor, select.POLLIN)
        return bool(poll.poll(0))


def _require_fsync(connection: "Connection", url: EngineUrl) -> None:
    row = connection.execute("SHOW fsync").fetchone()
    if row != ("on",):
        raise UsageError(
            f"the server of {url} does not sync to its disk, so nothing survives a power cut",
            hint="set fsync = on in postgresql.conf, or use the durability 'process'",
        )


def _migrate(
    connection: "Connection", url: EngineUrl, room: str, migrations: Sequence[str]
) -> None:
    if _known_version(connection, url, room, len(migrations)) == len(migrations):
        return
    with connection.transaction():
        connection.execute("SELECT pg_advisory_xact_lock(%s)", (_MIGRATION_LOCK,))
        if not _exists(connection, "SELECT to_regnamespace('holdfast')"):
            connection.execute("CREATE SCHEMA holdfast")
        if not _exists(connection, "SELECT to_regclass('holdfast.holdfast_rooms')"):
            connection.execute(_ROOMS)
        # Asked again: another process may have migrated while this one waited for its turn.
        version = _known_version(connection, url, room, len(migrations))
        for script in migrations[version:]:
            connection.execute(script.encode())
        connection.execute(
            "INSERT INTO holdfast_rooms VALUES (%s, %s)"
            " ON CONFLICT (room) DO UPDATE SET version = excluded.version",
            (room, len(migrations)),
        )


def _known_version(connection: "Connection", url: EngineUrl, room: str, newest: int) -> int:
    if not _exists(connection, "SELECT to_regclass('holdfast.holdfast_rooms')"):
        return 0
    row = connection.execute(
        "SELECT version FROM holdfast_rooms WHERE room = %s", (room,)
    ).fetchone()
    version = 0 if row is None else int(row[0])
    if version > newest:
        raise NewerFormatError(
            f"the tables of {room} in {url} have version {version}; this Holdfast knows {newest}",
            hint="upgrade Holdfast; nothing was changed",
        )
    return version


def _exists(connection: "Connection", question: str) -> bool:
    return connection.execute(question.encode()).fetchone() != (None,)

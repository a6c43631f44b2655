"""PostgreSQL: migrated once by many, durable as asked, found again after a restart."""

import os
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import closing, contextmanager

import psycopg
import pytest

from holdfast.durable.files import Durability
from holdfast.engines.postgres import Postgres
from holdfast.engines.urls import parse_url
from holdfast.errors import BusyError, NewerFormatError, NotFoundError, StorageError, UsageError
from tests.conftest import SOURCE, Runner
from tests.servers import PostgresServer

FIRST = "CREATE TABLE jobs (id bigint PRIMARY KEY, body text);"
SECOND = "CREATE TABLE notes (text text); INSERT INTO notes VALUES ('a; b');"


@contextmanager
def opened(
    url: str, *migrations: str, durability: Durability = "process", connections: int = 8
) -> Iterator[Postgres]:
    with closing(
        Postgres(
            parse_url(url),
            room="jobs",
            migrations=migrations,
            durability=durability,
            connections=connections,
        )
    ) as postgres:
        yield postgres


def value(postgres: Postgres, question: str) -> object:
    with postgres.connection() as connection:
        row = connection.execute(question.encode()).fetchone()
        return None if row is None else row[0]


def test_a_new_database_is_migrated(postgres_url: str) -> None:
    with opened(postgres_url, FIRST) as postgres:
        assert value(postgres, "SELECT count(*) FROM jobs") == 0
    with opened(postgres_url, FIRST, SECOND) as postgres:
        assert value(postgres, "SELECT text FROM notes") == "a; b"
        assert value(postgres, "SELECT version FROM holdfast_rooms WHERE room = 'jobs'") == 2
    with opened(postgres_url, FIRST, SECOND) as postgres:
        assert value(postgres, "SELECT count(*) FROM notes") == 1


def test_a_newer_room_is_refused(postgres_url: str) -> None:
    with opened(postgres_url, FIRST, SECOND):
        pass
    with (
        pytest.raises(NewerFormatError, match="version 2; this Holdfast knows 1"),
        opened(postgres_url, FIRST),
    ):
        pass


def test_a_migration_that_fails_changes_nothing(postgres_url: str) -> None:
    with pytest.raises(StorageError), opened(postgres_url, FIRST, "CREATE TABLE a (b nonsense)"):
        pass
    with opened(postgres_url, FIRST) as postgres:
        assert value(postgres, "SELECT version FROM holdfast_rooms") == 1


def test_many_processes_migrate_once(postgres_url: str) -> None:
    code = (
        "import sys; from holdfast.engines.postgres import Postgres\n"
        "from holdfast.engines.urls import parse_url\n"
        "Postgres(parse_url(sys.argv[1]), room='jobs', migrations=sys.argv[2:]).close()"
    )
    children = [
        subprocess.Popen(
            [sys.executable, "-c", code, postgres_url, FIRST, SECOND],
            env={**os.environ, "PYTHONPATH": str(SOURCE)},
            stderr=subprocess.PIPE,
            text=True,
        )
        for _ in range(8)
    ]
    for child in children:
        _, errors = child.communicate(timeout=120)
        assert child.returncode == 0, errors
    with opened(postgres_url, FIRST, SECOND) as postgres:
        assert value(postgres, "SELECT count(*) FROM notes") == 1


@pytest.mark.parametrize("durability", ["process", "power"])
def test_every_commit_waits_for_the_disk(postgres_url: str, durability: Durability) -> None:
    with opened(postgres_url, durability=durability) as postgres:
        assert value(postgres, "SHOW synchronous_commit") == "on"


def test_a_transaction_is_all_or_nothing(postgres_url: str) -> None:
    with opened(postgres_url, FIRST) as postgres:

        def insert_twice() -> None:
            with postgres.transaction() as connection:
                connection.execute("INSERT INTO jobs VALUES (1, 'a')")
                connection.execute("INSERT INTO jobs VALUES (1, 'a')")

        with pytest.raises(StorageError, match="duplicate"):
            insert_twice()
        assert value(postgres, "SELECT count(*) FROM jobs") == 0
        with postgres.transaction() as connection:
            connection.execute("INSERT INTO jobs VALUES (1, 'a')")
        assert value(postgres, "SELECT count(*) FROM jobs") == 1


def test_threads_share_a_few_connections(postgres_url: str) -> None:
    with opened(postgres_url, FIRST, connections=3) as postgres:

        def work(number: int) -> None:
            for part in range(20):
                with postgres.connection() as connection:
                    connection.execute("INSERT INTO jobs VALUES (%s, 'x')", (number * 100 + part,))

        threads = [threading.Thread(target=work, args=(number,)) for number in range(8)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert value(postgres, "SELECT count(*) FROM jobs") == 160
        question = "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database()"
        mine = value(postgres, question)
        assert isinstance(mine, int)
        assert mine <= 3


def test_a_connection_cut_in_a_transaction_loses_it_and_the_next_call_works(
    postgres_url: str, postgres_server: PostgresServer
) -> None:
    with opened(postgres_url, FIRST) as postgres:

        def cut_off() -> None:
            with postgres.transaction() as connection:
                connection.execute("INSERT INTO jobs VALUES (1, 'a')")
                pid = connection.info.backend_pid
                postgres_server.execute(f"SELECT pg_terminate_backend({pid}, 5000)")
                connection.execute("INSERT INTO jobs VALUES (2, 'b')")

        with pytest.raises(StorageError, match=r"was stopped or is starting|lost the connection"):
            cut_off()
        assert value(postgres, "SELECT count(*) FROM jobs") == 0


def test_a_restarted_server_is_found_again(own_postgres: PostgresServer) -> None:
    with opened(own_postgres.new_database(), FIRST) as postgres:
        with postgres.connection() as connection:
            connection.execute("INSERT INTO jobs VALUES (1, 'a')")
        own_postgres.kill()
        with pytest.raises(StorageError, match="cannot connect"):
            value(postgres, "SELECT 1")
        own_postgres.start()
        assert value(postgres, "SELECT body FROM jobs") == "a"


def test_an_idle_connection_that_was_closed_is_not_used(
    postgres_url: str, postgres_server: PostgresServer
) -> None:
    with opened(postgres_url) as postgres:
        pid = value(postgres, "SELECT pg_backend_pid()")
        postgres_server.execute(f"SELECT pg_terminate_backend({pid}, 5000)")
        assert value(postgres, "SELECT pg_backend_pid()") != pid


def test_too_many_connections_is_a_clear_error(own_postgres: PostgresServer) -> None:
    url = own_postgres.new_database()
    with opened(url) as postgres, postgres.connection():
        # Of 60, one is in use.
        others = [psycopg.connect(own_postgres.url("postgres")) for _ in range(59)]
        try:
            with pytest.raises(BusyError, match="has too many connections"):
                value(postgres, "SELECT 1")
        finally:
            for each in others:
                each.close()
        assert value(postgres, "SELECT 1") == 1


def test_a_missing_database_or_server_is_a_clear_error(postgres_server: PostgresServer) -> None:
    with (
        pytest.raises(NotFoundError, match="no such database"),
        opened(postgres_server.url("nothing")),
    ):
        pass
    secret = "postgresql://bee:honey@127.0.0.1:1/nothing"
    with pytest.raises(StorageError, match="cannot connect") as caught, opened(secret):
        pass
    assert "honey" not in str(caught.value)


def test_power_needs_a_server_that_syncs(own_postgres: PostgresServer) -> None:
    own_postgres.execute("ALTER SYSTEM SET fsync = off")
    own_postgres.execute("SELECT pg_reload_conf()")
    own_postgres.restart()
    url = own_postgres.new_database()
    with opened(url):
        pass
    with pytest.raises(UsageError, match="survives a power cut"), opened(url, durability="power"):
        pass


def test_a_missing_driver_names_the_extra(run_python: Runner) -> None:
    code = """
import sys
sys.modules["psycopg"] = None
from holdfast.engines.postgres import Postgres
from holdfast.engines.urls import parse_url
from holdfast.errors import MissingError
try:
    Postgres(parse_url("postgresql://localhost/x"), room="jobs", migrations=())
except MissingError as error:
    print(error)
"""
    assert "pip install 'holdfast[postgres]'" in run_python(code).stdout


if sys.platform != "win32":

    def test_a_forked_child_has_connections_of_its_own(postgres_url: str) -> None:
        with opened(postgres_url, FIRST) as postgres:
            before = value(postgres, "SELECT pg_backend_pid()")
            child = os.fork()
            if child == 0:
                try:
                    os._exit(0 if value(postgres, "SELECT pg_backend_pid()") != before else 2)
                finally:
                    os._exit(1)
            assert os.waitpid(child, 0)[1] == 0
            assert value(postgres, "SELECT pg_backend_pid()") == before

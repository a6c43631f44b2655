"""A home that is a repository, as in the seed, with a workspace in it; real git throughout."""

import os
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from holdfast.durable.quarantine import Quarantine
from holdfast.history import History
from tests.conftest import GIT_CONFIG, require_program

Call = Callable[..., str]


@pytest.fixture(autouse=True)
def person(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The person's own git configuration, which a test may change."""
    require_program("git")
    config = tmp_path / "gitconfig"
    config.write_text(GIT_CONFIG + "[gc]\n\tauto = 0\n", encoding="utf-8", newline="\n")
    monkeypatch.setenv("GIT_CONFIG_GLOBAL", str(config))
    return config


@pytest.fixture
def home(tmp_path: Path) -> Path:
    home = tmp_path / "Corbin"
    (home / "development" / "agents").mkdir(parents=True)
    (home / "development" / ".gitignore").write_bytes(b"logs/\n.env\n")
    (home / "notes.txt").write_bytes(b"tracked\n")
    (home / ".mcp.json").write_bytes(b'{"mcpServers": {}}\n')
    (home / "development" / "agents" / "director-agent.py").write_bytes(b"print('one')\r\n")
    call_git(home, "init", "-q")
    call_git(home, "add", "notes.txt")
    call_git(home, "commit", "-qm", "first")
    return home


@pytest.fixture
def root(home: Path) -> Path:
    return home / "development"


@pytest.fixture
def history(root: Path, tmp_path: Path) -> History:
    return History(root, quarantine=Quarantine(tmp_path / "quarantine"))


@pytest.fixture
def git(home: Path) -> Call:
    return lambda *arguments: call_git(home, *arguments)


def call_git(folder: Path, *arguments: str) -> str:
    """What git prints, with what is no UTF-8 as lone surrogates; a failure fails the test."""
    done = subprocess.run(
        ["git", "-c", "core.quotepath=false", "-c", "core.longpaths=true", *arguments],
        cwd=folder,
        capture_output=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr.decode("utf-8", "replace")
    return os.fsdecode(done.stdout)

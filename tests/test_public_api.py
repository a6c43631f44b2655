"""The public names, and that reaching for them costs nothing."""

import json
import re
from importlib import import_module

import click
import pytest

import holdfast
from holdfast.cli.main import COMMANDS
from tests.conftest import Runner

NAMES = [
    "EventLog",
    "HoldfastError",
    "Queue",
    "Workspace",
    "__version__",
    "get_logger",
    "get_registry",
    "open_workspace",
    "step",
    "workflow",
]

HEAVY = {
    "asyncio",
    "blake3",
    "concurrent.futures",
    "ctypes",
    "logging",
    "msgspec",
    "multiprocessing",
    "pathspec",
    "platformdirs",
    "psutil",
    "psycopg",
    "redis",
    "rich",
    "socket",
    "sqlite3",
    "ssl",
    "subprocess",
    "zstandard",
}


def test_the_public_names_are_exactly_these() -> None:
    assert holdfast.__all__ == NAMES
    assert dir(holdfast) == NAMES
    assert re.fullmatch(r"\d+\.\d+\.\d+", holdfast.__version__)


@pytest.mark.parametrize("name", NAMES)
def test_every_public_name_is_there_and_documented(name: str) -> None:
    value = getattr(holdfast, name)
    assert name == "__version__" or value.__doc__


def test_an_unknown_name_is_an_attribute_error() -> None:
    with pytest.raises(AttributeError, match="nonsense"):
        _ = holdfast.nonsense


def loaded(run_python: Runner, code: str) -> set[str]:
    done = run_python(f"{code}\nimport json, sys\nprint(json.dumps(sorted(sys.modules)))")
    assert done.returncode == 0, done.stderr
    return set(json.loads(done.stdout.splitlines()[-1]))


def test_importing_the_library_imports_nothing_heavy(run_python: Runner) -> None:
    bare = loaded(run_python, "pass")
    assert (loaded(run_python, "import holdfast") - bare) & HEAVY == set()


def test_the_entry_of_the_command_imports_nothing_but_click(run_python: Runner) -> None:
    code = "import click\n"
    bare = loaded(run_python, code)
    added = loaded(run_python, code + "import holdfast.cli.main") - bare
    assert added & HEAVY == set()


def test_the_help_of_the_command_imports_no_room(run_python: Runner) -> None:
    code = """
import sys
from holdfast.cli.main import main
sys.argv = ["holdfast", "--help"]
try:
    main()
except SystemExit as end:
    assert not end.code
"""
    rooms = {name for name in loaded(run_python, code) if name.startswith("holdfast.")}
    assert rooms <= {
        "holdfast.cli",
        "holdfast.cli.consoles",
        "holdfast.cli.main",
        "holdfast.cli.places",
        "holdfast.cli.terminal",
        "holdfast.durable",
        "holdfast.durable.exports",
        "holdfast.errors",
    }


def _verbs(group: click.Group) -> list[list[str]]:
    """All commands of a group, those of its groups too."""
    found = []
    for verb, command in group.commands.items():
        below = _verbs(command) if isinstance(command, click.Group) else [[]]
        found += [[verb, *rest] for rest in below]
    return found


@pytest.mark.parametrize("name", COMMANDS)
def test_every_command_has_help_with_examples(name: str, holdfast: Runner) -> None:
    command = getattr(import_module(COMMANDS[name][0]), name)
    paths = [[name]]
    if hasattr(command, "commands"):
        paths = [[name, *verbs] for verbs in _verbs(command)]
        assert paths, f"{name} has no commands"
        assert holdfast(name, "--help").returncode == 0
    for path in paths:
        done = holdfast(*path, "--help")
        assert done.returncode == 0, done.stderr
        assert "Examples:" in done.stdout, path
        assert f"holdfast {name}" in done.stdout.partition("Examples:")[2], path
        assert "--json" in done.stdout, path

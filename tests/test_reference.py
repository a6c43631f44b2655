"""docs/reference/ is made from the code, current and complete."""

import re
import shutil
import subprocess
import sys
import tomllib
from collections.abc import Iterator
from pathlib import Path

import click
import pytest

from holdfast.cli.main import holdfast
from tests.conftest import child_environment, require_program
from tests.pages import ROOT

VARIABLE = re.compile(r"\bHOLDFAST_[A-Z_]*[A-Z]\b")


@pytest.mark.skipif(sys.platform == "win32", reason="its places are written with slashes")
def test_the_reference_is_current() -> None:
    done = subprocess.run(
        [sys.executable, ROOT / "scripts/make_reference.py", "--check"],
        env=child_environment(),
        capture_output=True,
        text=True,
        encoding="utf-8",
        check=False,
    )
    assert done.returncode == 0, done.stderr


@pytest.mark.skipif(sys.platform == "win32", reason="Windows has no manual pages")
def test_the_manual_page_is_sound() -> None:
    page = ROOT / "docs/reference/holdfast.1"
    told = lint([require_program("mandoc"), "-T", "lint", "-W", "warning", page])
    assert told == ""
    if groff := shutil.which("groff"):
        assert lint([groff, "-ww", "-man", "-T", "utf8", "-z", page]) == ""


def lint(command: list[str | Path]) -> str:
    done = subprocess.run(command, capture_output=True, text=True, encoding="utf-8", check=False)
    return done.stdout + done.stderr


def test_the_manual_page_is_in_the_wheel() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
    shared = project["tool"]["hatch"]["build"]["targets"]["wheel"]["shared-data"]
    assert shared == {"docs/reference/holdfast.1": "share/man/man1/holdfast.1"}


def test_every_command_is_in_the_manual_page() -> None:
    text = (ROOT / "docs/reference/holdfast.1").read_text(encoding="utf-8").replace("\\-", "-")
    missing = [
        " ".join(path)
        for path, _ in commands_below(holdfast, ("holdfast",))
        if f"\n.SS {' '.join(path)}\n" not in text
    ]
    assert missing == []


def test_every_variable_of_the_environment_is_in_the_reference() -> None:
    used = {
        name
        for path in (ROOT / "src").rglob("*.py")
        for name in VARIABLE.findall(path.read_text(encoding="utf-8"))
    }
    told = set(VARIABLE.findall((ROOT / "docs/reference/settings.md").read_text(encoding="utf-8")))
    assert used - told == set()


def test_every_command_is_in_the_reference() -> None:
    text = (ROOT / "docs/reference/commands.md").read_text(encoding="utf-8")
    missing = [
        " ".join(path)
        for path, command in commands_below(holdfast, ("holdfast",))
        if not command.help or f" {' '.join(path)}\n" not in text
    ]
    assert missing == []


def test_every_option_says_what_it_means() -> None:
    silent = [
        f"{' '.join(path)} {option.opts[0]}"
        for path, command in commands_below(holdfast, ("holdfast",))
        for option in command.params
        if isinstance(option, click.Option) and not option.help
    ]
    assert silent == []


def test_every_name_of_the_library_says_what_it_means() -> None:
    text = (ROOT / "docs/reference/library.md").read_text(encoding="utf-8")
    names = re.findall(r"^### (\w+)\n\n```python\n[^`]*```\n\n(.*)$", text, re.MULTILINE)
    members = re.findall(r"^- `(.+)`\n\n(.*)$", text, re.MULTILINE)
    assert len(names) > 60
    assert len(members) > 200
    silent = [name for name, told in names if not told or told.startswith(("#", "- `"))]
    silent += [name for name, told in members if not told.startswith("    ")]
    assert silent == []


def commands_below(
    group: click.Group, path: tuple[str, ...]
) -> Iterator[tuple[tuple[str, ...], click.Command]]:
    context = click.Context(group)
    for name in group.list_commands(context):
        command = group.get_command(context, name)
        assert command is not None
        yield (*path, name), command
        if isinstance(command, click.Group):
            yield from commands_below(command, (*path, name))

"""``holdfast config``: every setting, its value, and where that comes from."""

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from holdfast.cli.terminal import Terminal, command

if TYPE_CHECKING:
    from holdfast.workspace.layout import Layout

_COLUMNS = {"key": "Setting", "value": "Value"}
_WITH_ORIGIN = {**_COLUMNS, "origin": "From", "place": "Where"}
_FILES = {"layer": "Layer", "path": "File", "state": ""}


@click.group()
def config() -> None:
    """The settings: what holds, where it comes from, changing and checking it."""


@command(
    config,
    "show",
    examples=[
        "holdfast config show",
        "holdfast config show --origin",
        "HOLDFAST_QUEUES_DURABILITY=power holdfast config show --origin",
    ],
)
@click.option("--origin", is_flag=True, help="Say where each value comes from.")
def show(terminal: Terminal, origin: bool) -> None:
    """Show every setting and its value.

    Weakest first, values come from: the defaults, ~/.holdfast.json, ~/.claude/holdfast.json,
    configs/holdfast.json, the environment (HOLDFAST_QUEUES_URL=…), and --set on the command line.
    """
    from holdfast.upkeep.configuration import values_of

    rows = [
        {"key": value.key.name, "value": value.shown, "meaning": value.key.meaning}
        | ({"origin": value.layer.name, "place": value.layer.place} if origin else {})
        for value in values_of(terminal.layout(), terminal.settings)
    ]
    terminal.emit_rows(rows, _WITH_ORIGIN if origin else _COLUMNS, empty="")


@command(config, "get", examples=["holdfast config get queues.url"])
@click.argument("key", metavar="KEY")
def get(terminal: Terminal, key: str) -> None:
    """Print the value of one setting."""
    from holdfast.upkeep.configuration import value_of

    value = value_of(terminal.layout(), key, terminal.settings)
    terminal.emit({"key": key, "value": value.shown, "origin": value.layer.name}, value.text)


@command(
    config,
    "set",
    examples=[
        "holdfast config set queues.durability power",
        "holdfast config set backups /mnt/disk/backups",
        "holdfast config set --home queues.durability power",
    ],
)
@click.argument("key", metavar="KEY")
@click.argument("value", metavar="VALUE")
@click.option("--home", "in_home", is_flag=True, help="For all workspaces: in ~/.holdfast.json.")
def set_(terminal: Terminal, key: str, value: str, in_home: bool) -> None:
    """Set one value in configs/holdfast.json; the rest of the file stays as it is."""
    from holdfast.upkeep.configuration import change_setting

    path = change_setting(terminal.layout(), key, value, in_home=in_home)
    terminal.emit({"key": key, "value": value, "path": str(path)}, f"{key} = {value}  ({path})")


@command(config, "validate", examples=["holdfast config validate"])
def validate(terminal: Terminal) -> int:
    """Check every file of settings: is it readable, of the right types, are all keys known."""
    from holdfast.upkeep.configuration import check_settings

    layout = terminal.layout()
    problems = check_settings(layout)
    rows = [problem.as_dict() for problem in problems]
    terminal.emit(
        {"valid": not rows, "problems": rows},
        "\n".join(map(str, problems)) or "All settings are in order.",
    )
    return max((problem.exit_status for problem in problems), default=0)


@command(config, "path", examples=["holdfast config path"])
def path_(terminal: Terminal) -> None:
    """Print which files hold settings, the strongest last."""
    rows = _files(terminal.layout())
    terminal.emit_rows(rows, _FILES, empty="")


def _files(layout: "Layout") -> list[dict[str, Any]]:
    from holdfast.workspace.layers import files_of

    return [
        {"layer": name, "path": str(path), "state": "there" if Path(path).is_file() else "absent"}
        for name, path in files_of(layout).items()
    ]

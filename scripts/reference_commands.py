"""docs/reference/commands.md: every command, as click knows it."""

import inspect
import re
from collections.abc import Iterator

import click
from reference_text import code, markdown, table

from holdfast.cli.main import COMMANDS
from holdfast.cli.main import holdfast as root

SHARED = ("as_json", "workspace", "settings")

_HEAD = """# Commands

Every command is below with its arguments, options and examples, as `holdfast COMMAND --help` tells
them. Exit statuses are the same everywhere: see [errors and exit statuses](errors.md).

## Options of every command

"""

_TAIL = """
`--version` and `--help` (`-h`) are options of `holdfast` itself; `--help` is one of every command.
With `--json` a command prints one document on standard output: an array for lists, else an object.

"""


def commands_page() -> str:
    """The whole page."""
    everywhere = click.Context(root, info_name="holdfast")
    commands = list(walk(root, everywhere))
    _, any_command, any_context = next(each for each in commands if not _is_group(each[1]))
    shared = [each for each in any_command.params if each.name in SHARED]
    parts = [_HEAD, _options(shared, any_context), _TAIL]
    rows = [
        (f"[`holdfast {name}`](#holdfast-{name})", line) for name, (_, line) in COMMANDS.items()
    ]
    parts += [table(["command", "what it does"], rows), "\n"]
    parts += [_entry(*each) for each in commands]
    return "".join(parts)


def walk(
    group: click.Group, context: click.Context, above: str = "holdfast"
) -> Iterator[tuple[str, click.Command, click.Context]]:
    """Each command below `group`, by its whole name; groups come before what they hold."""
    for name in group.list_commands(context):
        command = group.get_command(context, name)
        assert command is not None
        inner = click.Context(command, info_name=name, parent=context)
        path = f"{above} {name}"
        yield path, command, inner
        if isinstance(command, click.Group):
            yield from walk(command, inner, path)


def _entry(path: str, command: click.Command, context: click.Context) -> str:
    level = "##" if path.count(" ") == 1 else "###"
    text = f"{level} {path}\n\n{markdown(command.help)}\n\n"
    if _is_group(command):
        return text
    usage = " ".join([path, *command.collect_usage_pieces(context)])
    text += f"```\n{usage}\n```\n\n"
    own = [each for each in command.params if each.name not in SHARED]
    if options := _options(own, context):
        text += f"{options}\n"
    return f"{text}```sh\n{examples_of(command)}\n```\n\n"


def _options(parameters: list[click.Parameter], context: click.Context) -> str:
    options = [each for each in parameters if isinstance(each, click.Option)]
    records = [each.get_help_record(context) for each in options]
    rows = [(code(names), meaning) for names, meaning in filter(None, records)]
    return table(["option", "meaning"], rows) if rows else ""


def examples_of(command: click.Command) -> str:
    """The lines of the command's help that show how it is called."""
    _, _, lines = (command.epilog or "").partition("Examples:\n")
    return inspect.cleandoc(re.sub(r"^\s*\n", "", lines))


def _is_group(command: click.Command) -> bool:
    return isinstance(command, click.Group)

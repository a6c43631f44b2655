"""What every command shares: its options, its output for people and programs, its errors."""

import functools
import shlex
import sys
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click
import msgspec

from holdfast.cli.consoles import is_terminal
from holdfast.cli.places import Place
from holdfast.errors import HoldfastError, RefusedError

if TYPE_CHECKING:
    from rich.console import Console

    from holdfast.facade import Workspace
    from holdfast.workspace.layout import Layout


@dataclass(frozen=True)
class Terminal:
    """The way a command speaks: JSON for programs, tables for people, plain text in a pipe."""

    json: bool
    folder: Path | None
    settings: tuple[str, ...] = ()
    _scope: ExitStack = field(default_factory=ExitStack, compare=False)

    def open(self, *, new_passphrase: bool = False) -> "Workspace":
        """The workspace this command works on; from here on what it destroys is an undo point.

        It is closed when the command ends. A person at a terminal is asked for a passphrase that is
        needed; a new one twice. Raises `NotFoundError`, `UnreadableError`.
        """
        from holdfast.facade import open_workspace

        workspace = self._scope.enter_context(open_workspace(self.folder, self.settings))
        self._begin_point(workspace.layout)
        workspace.ask_passphrase = self.passphrase_prompt(new=new_passphrase)
        return workspace

    def passphrase_prompt(self, *, new: bool = False) -> Callable[[], str] | None:
        """Asks for the passphrase of the backups, a new one twice; None when nobody is there."""
        if not is_terminal(sys.stdin):
            return None
        return lambda: str(
            click.prompt(
                "Passphrase of the backups", hide_input=True, confirmation_prompt=new, err=True
            )
        )

    def layout(self) -> "Layout":
        """Where everything of that workspace lies; its settings are not read."""
        from holdfast.workspace.layout import find_layout

        layout = find_layout(self.folder)
        self._begin_point(layout)
        return layout

    def _begin_point(self, layout: "Layout") -> None:
        """What the command destroys from here on is one undo point."""
        from holdfast.durable import points

        if points.current() is None:
            self.record_below(layout.points)

    def record_below(self, folder: Path) -> None:
        """From here on what the command destroys is an undo point in `folder`."""
        from holdfast.durable import points

        line = _line(["holdfast", *sys.argv[1:]])
        self._scope.enter_context(points.recording(points.PointLog(folder), line))

    def run(self, function: Callable[..., Any], options: Mapping[str, Any]) -> Any:
        """Call the command's function; its undo point ends with it."""
        with self._scope:
            return function(self, **options)

    @property
    def for_people(self) -> bool:
        """Whether a person looks at standard output."""
        return not self.json and is_terminal(sys.stdout)

    def emit(self, document: Any, text: str | Callable[[], str]) -> None:
        """Print one result: `document` with ``--json``, else `text`."""
        if self.json:
            click.echo(msgspec.json.format(msgspec.json.encode(document), indent=2).decode())
        else:
            click.echo(text if isinstance(text, str) else text())

    def emit_rows(
        self, rows: Sequence[Mapping[str, Any]], columns: Mapping[str, str], *, empty: str
    ) -> None:
        """Print a list: an array with ``--json``, a table for people, tabs in a pipe.

        `columns` maps keys of a row to headings; `empty` is what people read when there is none.
        """
        if self.json:
            self.emit(rows, "")
        elif not rows:
            click.echo(empty, err=not self.for_people)
        elif self.for_people:
            self._print_table(rows, columns)
        else:
            for row in rows:
                click.echo("\t".join(_cell(row.get(key)) for key in columns))

    def note(self, text: str) -> None:
        """A remark for people, on standard error; silent with ``--json``."""
        if not self.json:
            click.echo(text, err=True)

    def require_consent(self, question: str, *, yes: bool, hint: str = "pass --yes") -> None:
        """Go on only if `yes` or a person agrees; else `RefusedError`."""
        if yes:
            return
        asked = self.for_people and is_terminal(sys.stdin)
        if not (asked and click.confirm(question)):
            raise RefusedError(f"not confirmed: {question}", hint=hint)

    def console(self) -> "Console":
        """A rich console on standard output, for tables, trees and progress bars."""
        from rich.console import Console

        return Console(highlight=False, soft_wrap=False)

    def _print_table(self, rows: Iterable[Mapping[str, Any]], columns: Mapping[str, str]) -> None:
        from rich import box
        from rich.table import Table
        from rich.text import Text

        table = Table(box=box.SIMPLE_HEAD, pad_edge=False, header_style="bold")
        for heading in columns.values():
            table.add_column(heading)
        for row in rows:
            table.add_row(*(Text(_cell(row.get(key))) for key in columns))
        self.console().print(table)


class _WithBelow(click.Group):
    """A command that does something itself, unless one of those below it is named."""

    def __init__(self, *args: Any, **options: Any) -> None:
        super().__init__(*args, **options)
        self.invoke_without_command, self.no_args_is_help = True, False

    def invoke(self, ctx: click.Context) -> Any:
        if not ctx._protected_args:
            return super().invoke(ctx)
        given = [name for name in ctx.params if _was_typed(ctx, name)]
        if given:
            raise click.UsageError("options stand behind the command's whole name", ctx)
        self.callback, own = None, self.callback
        try:
            return super().invoke(ctx)
        finally:
            self.callback = own


def _was_typed(context: click.Context, name: str) -> bool:
    return context.get_parameter_source(name) is click.core.ParameterSource.COMMANDLINE


_JSON = click.option("--json", "as_json", is_flag=True, help="Print one JSON document.")
_SET = click.option(
    "--set",
    "settings",
    metavar="KEY=VALUE",
    multiple=True,
    help="Another setting for this call only; see: holdfast config show",
)
_WORKSPACE = click.option(
    "-w",
    "--workspace",
    type=Place(file_okay=False),
    metavar="DIR",
    help="The workspace; else $HOLDFAST_WORKSPACE, else the nearest folder upwards.",
)


def command(
    group: click.Group | None,
    name: str,
    *,
    examples: Sequence[str],
    below: Mapping[str, click.Command] | None = None,
) -> Callable[[Callable[..., Any]], click.Command]:
    """Declare a command: adds the options every command has, prints `examples` in its help.

    The function gets a `Terminal` first, then its own options. It returns the exit status, or None
    for 0. `below` are commands that may be named in the place of its options.
    """

    def declare(function: Callable[..., Any]) -> click.Command:
        @functools.wraps(function)
        def call(
            as_json: bool, workspace: Path | None, settings: tuple[str, ...], **options: Any
        ) -> Any:
            return Terminal(as_json, workspace, settings).run(function, options)

        decorated = _JSON(_WORKSPACE(_SET(call)))
        epilog = "\b\nExamples:\n" + "\n".join(f"  {line}" for line in examples)
        made: click.Command
        if below is None:
            made = click.command(name, epilog=epilog)(decorated)
        else:
            made = click.command(name, cls=_WithBelow, epilog=epilog)(decorated)
            made.commands.update(below)
        if group is not None:
            group.add_command(made)
        return made

    return declare


def report(error: BaseException, *, as_json: bool) -> int:
    """Print `error` to standard error and return the exit status it stands for."""
    if isinstance(error, click.exceptions.Exit):
        return error.exit_code
    if isinstance(error, (KeyboardInterrupt, click.Abort)):
        click.echo("interrupted; the same command goes on from here", err=True)
        return 130
    if isinstance(error, BrokenPipeError):
        sys.stderr.close()
        return 0
    if isinstance(error, HoldfastError):
        _print_error(error.as_dict(), str(error), as_json)
        return error.exit_status
    if isinstance(error, click.ClickException):
        facts = {"type": "UsageError", "message": error.format_message(), "path": None}
        context = getattr(error, "ctx", None)
        hint = f"{context.command_path} --help" if context is not None else "holdfast --help"
        _print_error({**facts, "hint": hint}, f"{error.format_message()} (see: {hint})", as_json)
        return 2
    raise error


def _print_error(facts: dict[str, Any], text: str, as_json: bool) -> None:
    if as_json:
        click.echo(msgspec.json.encode({"error": facts}).decode(), err=True)
    else:
        click.secho(f"error: {text}", err=True, fg="red" if is_terminal(sys.stderr) else None)


def _line(words: list[str]) -> str:
    """The command line that says `words`, as it is typed on this system."""
    if sys.platform == "win32":
        import subprocess

        return subprocess.list2cmdline(words)
    return shlex.join(words)


def _cell(value: Any) -> str:
    if value is None:
        return ""
    text = value if isinstance(value, str) else str(value)
    return text.replace("\t", " ").replace("\n", " ")

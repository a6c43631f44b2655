"""``holdfast mcp``: the MCP server on standard input and output, and its place in the clients."""

from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click
import msgspec

from holdfast.cli.places import Place
from holdfast.cli.terminal import Terminal, command

if TYPE_CHECKING:
    from collections.abc import Sequence

    from holdfast.claude.guest_file import Edit

_CLIENT = click.option(
    "--client",
    "clients",
    multiple=True,
    type=click.Choice(["code", "desktop"]),
    help="Claude Code or Claude Desktop; else every one installed.",
)
_NAME = click.option("--name", default="holdfast", show_default=True, help="Its name there.")
_DRY_RUN = click.option("--dry-run", is_flag=True, help="Show what would change, change nothing.")
_EPILOG = """\b
Examples:
  holdfast mcp install
  holdfast mcp -w ~/development      (what the client runs)"""


@click.group(invoke_without_command=True, epilog=_EPILOG)
@click.option(
    "-w",
    "--workspace",
    type=Place(file_okay=False),
    metavar="DIR",
    help="The workspace; else $HOLDFAST_WORKSPACE, else the nearest folder upwards.",
)
@click.option("--set", "settings", metavar="KEY=VALUE", multiple=True, help="Another setting.")
@click.pass_context
def mcp(context: click.Context, workspace: Path | None, settings: tuple[str, ...]) -> None:
    """Serve the workspace to Claude and other agents over MCP, on standard input and output.

    It is started by the client: see 'holdfast mcp install'. What it has to say is in logs/mcp.log.
    """
    if context.invoked_subcommand is None:
        # A face of its own: it is started here, nothing of it is used.
        import_module("holdfast.mcp_server.serving").serve(workspace, settings)


@command(
    mcp,
    "install",
    examples=[
        "holdfast mcp install --dry-run",
        "holdfast mcp install --client desktop",
        "holdfast mcp install --client code --scope project",
    ],
)
@_CLIENT
@click.option(
    "--scope",
    type=click.Choice(["user", "local", "project"]),
    default="user",
    show_default=True,
    help="Which of Claude Code's scopes.",
)
@_NAME
@_DRY_RUN
def install(
    terminal: Terminal, clients: tuple[Any, ...], scope: Any, name: str, dry_run: bool
) -> None:
    """Add the server to Claude Code and Claude Desktop. Nothing else in their files changes.

    Undo takes it out again.
    """
    from holdfast.services.own_server import install as change

    edits = change(terminal.open(), clients, scope=scope, name=name, dry_run=dry_run)
    _emit(terminal, edits, dry_run)


@command(mcp, "uninstall", examples=["holdfast mcp uninstall", "holdfast mcp uninstall --dry-run"])
@_CLIENT
@_NAME
@_DRY_RUN
def uninstall(terminal: Terminal, clients: tuple[Any, ...], name: str, dry_run: bool) -> None:
    """Take the server of this workspace out of the clients' files."""
    from holdfast.services.own_server import uninstall as change

    _emit(terminal, change(terminal.open(), clients, name=name, dry_run=dry_run), dry_run)


@command(mcp, "status", examples=["holdfast mcp status"])
@_NAME
def status(terminal: Terminal, name: str) -> int:
    """Show which clients have the server. Exits 1 when none has it, or something is wrong."""
    from holdfast.services.own_server import offered

    found = offered(terminal.open(), name)
    rows = [
        {**msgspec.to_builtins(each), "state": "installed" if each.installed else "-"}
        for each in found
    ]
    columns = {"client": "Client", "scope": "Scope", "state": "State", "path": "File"}
    terminal.emit_rows(rows, {**columns, "problem": "Problem"}, empty="No client is known.")
    healthy = any(each.installed for each in found) and not any(each.problem for each in found)
    return 0 if healthy else 1


def _emit(terminal: Terminal, edits: "Sequence[Edit]", dry_run: bool) -> None:
    lines = [line for edit in edits for line in _lines(edit)]
    if dry_run:
        lines.append("(nothing was written)")
    files = [
        {
            "path": str(edit.path),
            "changed": edit.changed,
            "changes": [msgspec.to_builtins(each) for each in edit.differences],
        }
        for edit in edits
    ]
    text = "\n".join(lines) or "The server is in no client's file."
    terminal.emit({"dryRun": dry_run, "files": files}, text)


def _lines(edit: "Edit") -> "Sequence[str]":
    if not edit.differences:
        return [f"{edit.path}: up to date"]
    marks = {"added": "+", "changed": "~", "removed": "-"}
    shown = [
        (each, each.after if each.kind != "removed" else each.before) for each in edit.differences
    ]
    return [
        f"{edit.path}:",
        *(
            f"  {marks[each.kind]} {'.'.join(each.keys)}  {msgspec.json.encode(value).decode()}"
            for each, value in shown
        ),
    ]

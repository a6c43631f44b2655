"""The entry of the ``holdfast`` command: the table of nouns, and what errors end with."""

import os
import sys
from importlib import import_module
from io import TextIOWrapper

import click

from holdfast import __version__

# name: (module, one line of help). A module is imported when its command is used or its own help
# is asked for, so that `holdfast --help` imports none of them.
COMMANDS = {
    "demo": ("holdfast.cli.demo", "The whole story on a throw-away workspace, narrated."),
    "init": ("holdfast.cli.workspace", "Make a new workspace."),
    "adopt": ("holdfast.cli.workspace", "Take an existing folder as a workspace; nothing moves."),
    "status": ("holdfast.cli.status", "Everything at a glance, and what to do next."),
    "start": ("holdfast.cli.services", "Start the services, and keep them running."),
    "stop": ("holdfast.cli.services", "Stop the services."),
    "restart": ("holdfast.cli.services", "Stop services and start them anew."),
    "ps": ("holdfast.cli.services", "What runs: state, processor share, memory, age."),
    "agents": ("holdfast.cli.agents", "The agent registry: list, add, change, discover."),
    "servers": ("holdfast.cli.servers", "MCP servers: import, sync, verify, watch."),
    "workflows": ("holdfast.cli.workflows", "Durable workflows: run, list, show, resume."),
    "queues": ("holdfast.cli.queues", "Durable queues: put, take, ack, dead letters."),
    "events": ("holdfast.cli.events", "The event log: append, read, follow, list streams."),
    "migrate": ("holdfast.cli.migrate", "Workflows, queues or events to another engine."),
    "logs": ("holdfast.cli.logs", "Search, follow and prune JSON logs; search transcripts."),
    "backup": ("holdfast.cli.backup", "Snapshots: create, list, diff, find, verify, forget."),
    "restore": ("holdfast.cli.restore", "Bring files back from a snapshot."),
    "recover": ("holdfast.cli.recover", "Everything back: files, dependencies, services."),
    "undo": ("holdfast.cli.undo", "What a command or an agent's tool destroyed comes back."),
    "ui": ("holdfast.cli.ui", "The workspace in the browser, on this machine alone."),
    "mcp": ("holdfast.cli.mcp", "The MCP server for Claude and other agents; install it there."),
    "guard": ("holdfast.cli.guard", "Undo points before an agent's tool runs: install, status."),
    "secrets": ("holdfast.cli.secrets", "Secrets: scan, move to the keyring, mask, trace a leak."),
    "schedule": ("holdfast.cli.schedule", "Jobs by the clock and on change; the watcher."),
    "history": ("holdfast.cli.history", "Daily work as git commits: save, log, restore."),
    "clean": ("holdfast.cli.clean", "What can be made again goes to quarantine."),
    "usage": ("holdfast.cli.usage", "What takes the space: folders, kinds, ages, large files."),
    "quarantine": ("holdfast.cli.quarantine", "What was moved aside: list, restore, empty."),
    "config": ("holdfast.cli.config", "The settings: show, get, set, validate."),
    "completion": ("holdfast.cli.completion", "Complete commands in bash, zsh, fish, PowerShell."),
}


class LazyGroup(click.Group):
    """A group that knows its commands' names and help lines without importing them."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        return list(COMMANDS)

    def get_command(self, ctx: click.Context, name: str) -> click.Command | None:
        if name not in COMMANDS:
            return None
        command = getattr(import_module(COMMANDS[name][0]), name)
        assert isinstance(command, click.Command)
        return command

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        with formatter.section("Commands"):
            formatter.write_dl([(name, line) for name, (_, line) in COMMANDS.items()])


@click.group(
    cls=LazyGroup,
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100},
    epilog="Start with: holdfast demo",
)
@click.version_option(__version__, prog_name="holdfast")
def holdfast() -> None:
    """The storage layer and safety net of a workspace of AI agents and MCP servers."""


def _speak_utf8() -> None:
    """Read and write UTF-8 also in a pipe, where Windows has the old code pages."""
    if isinstance(sys.stdin, TextIOWrapper):
        sys.stdin.reconfigure(encoding="utf-8")
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, TextIOWrapper):
            # Names that are no text are shown escaped; showing them is no reason to fail.
            stream.reconfigure(encoding="utf-8", errors="backslashreplace")


def main() -> None:
    """Run the command and exit: 0 healthy, 1 something is wrong, 2 wrong usage, 3 unreadable,
    4 refused, 5 something is missing, 130 interrupted."""
    from holdfast.cli.terminal import report

    _speak_utf8()
    if os.environ.get("_HOLDFAST_COMPLETE", "").startswith("powershell"):
        import_module("holdfast.cli.completion")  # which click does not know by itself
    try:
        status = holdfast.main(
            prog_name="holdfast", standalone_mode=False, windows_expand_args=False
        )
    except BaseException as error:
        sys.exit(report(error, as_json="--json" in sys.argv[1:]))
    sys.exit(status if isinstance(status, int) else 0)

"""``holdfast servers``: the registry of MCP servers, and the clients that use them."""

from typing import TYPE_CHECKING, Any

import click
import msgspec

from holdfast.claude.masking import mask
from holdfast.cli.terminal import Terminal, command
from holdfast.errors import UsageError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from holdfast.registry import Server
    from holdfast.registry.clients.syncing import SyncedFile

_COLUMNS = {"id": "Name", "group": "Group", "type": "Type", "status": "Status", "what": "Starts"}


@click.group()
def servers() -> None:
    """The MCP servers: register, import and sync, verify, watch the clients' files."""


@command(
    servers, "list", examples=["holdfast servers list", "holdfast servers list --group staging"]
)
@click.option("--group", help="Only this group.")
def list_(terminal: Terminal, group: str | None) -> None:
    """List the registered servers."""
    found = terminal.open().servers.list(group)
    rows = [{**_facts(server), "what": _what(server)} for server in found]
    terminal.emit_rows(rows, _COLUMNS, empty="No servers. Take them over: holdfast servers import")


@command(servers, "show", examples=["holdfast servers show utilities"])
@click.argument("name")
def show(terminal: Terminal, name: str) -> None:
    """Show all that is known of one server, secrets masked."""
    facts = _facts(terminal.open().servers.get(name))
    terminal.emit(facts, lambda: _card(facts))


@command(
    servers,
    "add",
    examples=[
        "holdfast servers add utilities -- python mcp-servers/utilities/server.py",
        "holdfast servers add github --env 'TOKEN=${TOKEN}' -- docker run -i mcp/github",
        "holdfast servers add tracker --type http --url http://127.0.0.1:8000/mcp --client code",
    ],
)
@click.argument("name")
@click.argument("command_line", metavar="[-- CMD ARGS...]", nargs=-1, type=click.UNPROCESSED)
@click.option("--type", "kind", type=click.Choice(["stdio", "http", "sse"]), help="Else guessed.")
@click.option("--url", help="Where an http or sse server answers.")
@click.option("--env", multiple=True, metavar="KEY=VALUE", help="A variable; secrets as ${NAME}.")
@click.option("--header", multiple=True, metavar="KEY=VALUE", help="A header of each request.")
@click.option("--client", "clients", multiple=True, help="Only for code or desktop; else for all.")
@click.option("--group", default="production", show_default=True)
@click.option("--status", default="active", show_default=True)
@click.option("--description", help="What it does, in a sentence.")
def add(
    terminal: Terminal,
    name: str,
    command_line: tuple[str, ...],
    kind: str | None,
    url: str | None,
    env: tuple[str, ...],
    header: tuple[str, ...],
    clients: tuple[str, ...],
    **values: Any,
) -> None:
    """Register a server. Clients get it at the next sync."""
    settings: dict[str, Any] = {"type": kind, "url": url}
    if command_line:
        settings |= {"command": command_line[0], "args": [*command_line[1:]]}
    settings |= {"env": _pairs(env) or None, "headers": _pairs(header) or None}
    given = {key: value for key, value in settings.items() if value is not None}
    registry = terminal.open().servers
    server = registry.add(name, clients=clients or None, **given, **values)
    _warn_of_secrets(terminal, server)
    terminal.emit(_facts(server), f"Registered {name} in {server.group}: {_what(server)}")


@command(servers, "remove", examples=["holdfast servers remove tracker --yes"])
@click.argument("name")
@click.option("--dry-run", is_flag=True, help="Show what would go, change nothing.")
@click.option("--yes", is_flag=True, help="Do not ask.")
def remove(terminal: Terminal, name: str, dry_run: bool, yes: bool) -> None:
    """Take a server out of the registry; clients lose it at the next sync. Undo brings it back."""
    registry = terminal.open().servers
    server = registry.get(name)
    if not dry_run:
        question = f"Take {name} out of the registry?"
        terminal.require_consent(question, yes=yes, hint="look first with --dry-run, then --yes")
        server = registry.remove(name)
    done = "Would remove" if dry_run else "Removed"
    way_back = "" if dry_run else " (bring it back with: holdfast servers undo)"
    terminal.emit({"dryRun": dry_run, "server": _facts(server)}, f"{done} {name}{way_back}")


@command(servers, "history", examples=["holdfast servers history"])
def history(terminal: Terminal) -> None:
    """List the registry's generations, oldest first."""
    rows = [
        {
            "generation": generation.number,
            "publishedAt": generation.published_at.isoformat().replace("+00:00", "Z"),
            "path": str(generation.path),
        }
        for generation in terminal.open().servers.generations()
    ]
    columns = {"generation": "Generation", "publishedAt": "Published", "path": "File"}
    terminal.emit_rows(rows, columns, empty="No generation yet: nothing was changed so far.")


@command(servers, "undo", examples=["holdfast servers undo", "holdfast servers undo 4"])
@click.argument("generation", type=int, required=False)
def undo(terminal: Terminal, generation: int | None) -> None:
    """Bring back the registry's generation before the present, or GENERATION."""
    registry = terminal.open().servers
    brought = registry.undo(generation)
    count = len(registry.list())
    terminal.emit(
        {"generation": brought.number, "publishedAt": brought.published_at, "servers": count},
        f"Brought back generation {brought.number} of {brought.published_at:%Y-%m-%d %H:%M:%S} "
        f"UTC: {count} servers",
    )


@command(
    servers,
    "import",
    examples=[
        "holdfast servers import",
        "holdfast servers import --from desktop --dry-run",
        "holdfast servers import --from old/.mcp.json --replace",
    ],
)
@click.option("--from", "source", metavar="CLIENT|FILE", help="code, desktop or a file; else both.")
@click.option("--group", default="production", show_default=True)
@click.option("--replace", is_flag=True, help="Also take what is registered with other settings.")
@click.option("--dry-run", is_flag=True, help="Show what would be registered, change nothing.")
def import_(
    terminal: Terminal, source: str | None, group: str, replace: bool, dry_run: bool
) -> None:
    """Register the servers that Claude Code (all scopes), Claude Desktop or a file knows."""
    from holdfast.registry.clients.importing import import_servers

    workspace = terminal.open()
    report = import_servers(
        workspace.servers, workspace.layout, source, group=group, replace=replace, dry_run=dry_run
    )
    for note in report.notes:
        terminal.note(f"note: {note}")
    lines = [f"+ {name}" for name in report.added] + [f"~ {name}" for name in report.replaced]
    lines += [f"! {name}: registered with other settings (--replace)" for name in report.different]
    counts = f"{len(report.added)} new, {len(report.unchanged)} unchanged"
    lines.append(counts + (" (nothing was written)" if dry_run else ""))
    terminal.emit({"dryRun": dry_run, **msgspec.to_builtins(report)}, "\n".join(lines))


@command(
    servers,
    "sync",
    examples=[
        "holdfast servers sync --dry-run",
        "holdfast servers sync --to code",
        "holdfast servers sync --to code --scope project",
    ],
)
@click.option("--to", metavar="CLIENT", help="code or desktop; else every client installed.")
@click.option(
    "--scope",
    type=click.Choice(["user", "local", "project"]),
    default="user",
    show_default=True,
    help="Which of Claude Code's scopes.",
)
@click.option("--dry-run", is_flag=True, help="Show the differences, change nothing.")
def sync(terminal: Terminal, to: str | None, scope: Any, dry_run: bool) -> None:
    """Write the registered servers into the clients' files, key by key.

    Everything else in them stays byte for byte. The bytes before are kept: see put-back.
    """
    from holdfast.registry.clients.syncing import sync_servers

    workspace = terminal.open()
    report = sync_servers(workspace.servers, workspace.layout, to, scope=scope, dry_run=dry_run)
    for file in report.files:
        for note in file.notes:
            terminal.note(f"note: {file.client}: {note}")
    lines = [line for file in report.files for line in _lines_of(file)]
    if dry_run:
        lines.append("(nothing was written)")
    terminal.emit(report, "\n".join(lines))


def _lines_of(file: "SyncedFile") -> "Sequence[str]":
    if not file.differences:
        return [f"{file.path}: up to date"]
    marks = {"added": "+", "changed": "~", "removed": "-"}
    lines = [f"{file.path}:"]
    for each in file.differences:
        lines.append(f"  {marks[each.kind]} {'.'.join(each.keys)}")
        if each.kind != "added":
            lines.append(f"      - {_shown(each.before)}")
        if each.kind != "removed":
            lines.append(f"      + {_shown(each.after)}")
    if file.former_version is not None:
        lines.append(f"  (the file before is kept as version {file.former_version})")
    return lines


def _shown(value: Any) -> str:
    return msgspec.json.encode(value).decode()


def _pairs(assignments: "Sequence[str]") -> dict[str, str]:
    pairs = {}
    for text in assignments:
        key, equals, value = text.partition("=")
        if not (key and equals):
            raise UsageError(f"{text.split('=')[0]!r} is no KEY=VALUE")
        pairs[key] = value
    return pairs


def _facts(server: "Server") -> dict[str, Any]:
    facts: dict[str, Any] = msgspec.to_builtins(server)
    facts["settings"] = mask(facts["settings"])
    return facts


def _what(server: "Server") -> str:
    settings = mask(server.settings)
    if server.type != "stdio":
        return str(settings.get("url"))
    return " ".join([settings["command"], *(settings.get("args") or [])])


def _card(facts: dict[str, Any]) -> str:
    shown = {**facts, **facts["settings"]}
    del shown["settings"]
    return "\n".join(
        f"{key}: {value if isinstance(value, str) else _shown(value)}"
        for key, value in shown.items()
        if value is not None
    )


def _warn_of_secrets(terminal: Terminal, server: "Server") -> None:
    from holdfast.claude.masking import literal_secrets

    for keys in literal_secrets(server.settings):
        terminal.note(f"note: {'.'.join(keys)} is a literal secret; write a reference (${{…}})")

"""``holdfast servers``: the registry of MCP servers, and the clients that use them."""

from typing import TYPE_CHECKING, Any

import click
import msgspec

from holdfast.claude.masking import mask
from holdfast.cli.server_clients import import_, put_back_, sync, verify, watch
from holdfast.cli.terminal import Terminal, command
from holdfast.errors import UsageError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from holdfast.registry import Server

_COLUMNS = {"id": "Name", "group": "Group", "type": "Type", "status": "Status", "what": "Starts"}


@click.group()
def servers() -> None:
    """The MCP servers: register, import and sync, verify, watch the clients' files."""


for _command in (import_, sync, verify, watch, put_back_):
    servers.add_command(_command)


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
@click.option("--group", default="production", show_default=True, help="The group it is put into.")
@click.option("--status", default="active", show_default=True, help="inactive: no client gets it.")
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
    "set",
    examples=[
        "holdfast servers set financial status=active",
        "holdfast servers set tracker 'clients=[\"code\"]' group=staging",
        "holdfast servers set tracker description=null",
    ],
)
@click.argument("name")
@click.argument("changes", metavar="KEY=VALUE...", nargs=-1, required=True)
def set_(terminal: Terminal, name: str, changes: tuple[str, ...]) -> None:
    """Change keys of a server. group=… moves it; a value is JSON if it can be; null removes."""
    values = {key: _value(text) for key, text in _pairs(changes).items()}
    server = terminal.open().servers.update(name, **values)
    _warn_of_secrets(terminal, server)
    facts = _facts(server)
    terminal.emit(facts, lambda: _card(facts))


def _value(text: str) -> Any:
    try:
        return msgspec.json.decode(text)
    except (msgspec.DecodeError, UnicodeEncodeError):
        return text


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
    facts["settings"], facts["service"] = mask(facts["settings"]), mask(facts["service"])
    return facts


def _what(server: "Server") -> str:
    settings = mask(server.settings)
    if server.type != "stdio":
        return str(settings.get("url"))
    return " ".join([settings.get("command") or "", *(settings.get("args") or [])])


def _card(facts: dict[str, Any]) -> str:
    shown = {**facts, **facts["settings"]}
    del shown["settings"]
    return "\n".join(
        f"{key}: {value if isinstance(value, str) else msgspec.json.encode(value).decode()}"
        for key, value in shown.items()
        if value is not None
    )


def _warn_of_secrets(terminal: Terminal, server: "Server") -> None:
    from holdfast.claude.masking import literal_secrets

    for keys in literal_secrets(server.settings):
        terminal.note(f"note: {'.'.join(keys)} is a literal secret; write a reference (${{…}})")

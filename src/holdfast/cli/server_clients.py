"""``holdfast servers`` with the clients: import, sync, verify, watch, put-back."""

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click
import msgspec

from holdfast.cli.places import Place
from holdfast.cli.terminal import Terminal, command
from holdfast.errors import UsageError

if TYPE_CHECKING:
    from holdfast.claude.guest_file import Difference
    from holdfast.registry.clients.syncing import SyncedFile
    from holdfast.registry.clients.watching import Alarm

_MARKS = {"added": "+", "changed": "~", "removed": "-"}


@command(
    None,
    "import",
    examples=[
        "holdfast servers import",
        "holdfast servers import --from desktop --dry-run",
        "holdfast servers import --from old/.mcp.json --replace",
    ],
)
@click.option("--from", "source", metavar="CLIENT|FILE", help="code, desktop or a file; else both.")
@click.option("--group", default="production", show_default=True, help="The group it is put into.")
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
    None,
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


@command(
    None,
    "verify",
    examples=[
        "holdfast servers verify",
        "holdfast servers verify utilities --timeout 10",
        "holdfast servers verify --static",
    ],
)
@click.argument("names", metavar="[NAME...]", nargs=-1)
@click.option("--static", is_flag=True, help="Only look at the settings; start nothing.")
@click.option("--timeout", type=float, default=30.0, show_default=True, help="Seconds a server.")
def verify(terminal: Terminal, names: tuple[str, ...], static: bool, timeout: float) -> int:
    """Check the settings of all servers, then start each and shake hands.

    Exits 1 when a setting is wrong or a server does not answer; its stderr is shown.
    """
    from holdfast.cli.verifying import line_of, lines_of_health
    from holdfast.services.verification import verify_server_settings, verify_servers

    if timeout <= 0:
        raise UsageError("--timeout must be more than 0")
    workspace = terminal.open()
    findings = verify_server_settings(workspace)
    if names:
        named = tuple(f"server {name} " for name in names)
        findings = [each for each in findings if f"{each.subject} ".startswith(named)]
    results = [] if static else verify_servers(workspace, names, timeout=timeout)
    wrong = sum(each.problem is not None for each in findings)
    wrong += sum(not each.healthy for each in results)
    lines = [line_of(each) for each in findings]
    lines += [line for each in results for line in lines_of_health(each)]
    lines.append(f"{len(findings) + len(results)} checked, {wrong} wrong")
    document = {"healthy": not wrong, "findings": findings, "servers": results}
    terminal.emit(document, "\n".join(lines))
    return 1 if wrong else 0


@command(
    None,
    "watch",
    examples=[
        "holdfast servers watch",
        "holdfast servers watch --once --json",
        "holdfast servers watch --accept",
    ],
)
@click.option("--once", is_flag=True, help="Look once and end; exits 1 when something is wrong.")
@click.option("--accept", is_flag=True, help="Take the files as they are now for right, and end.")
def watch(terminal: Terminal, once: bool, accept: bool) -> int:
    """Watch the clients' files: alarm when one is torn, gone, shrinks or loses servers.

    Torn files, and versions with other servers, are kept; put-back brings them back. With --json
    it looks once.
    """
    from holdfast.registry.clients.watching import look

    layout = terminal.open().layout
    if once or accept or terminal.json:
        alarms = look(layout, accept=accept)
        text = "\n".join(map(_alarm_line, alarms)) or "All clients' files are as they were."
        terminal.emit(alarms, text)
        return 1 if alarms else 0
    return _watch_on(terminal)


def _watch_on(terminal: Terminal) -> int:
    import watchfiles

    from holdfast.registry.clients.watching import look, watched_folders

    layout = terminal.open().layout
    folders = watched_folders(layout)
    terminal.note(f"watching {', '.join(map(str, folders))}; end it with Ctrl-C")
    shown: list[str] = []
    for _ in watchfiles.watch(
        *folders, recursive=False, yield_on_timeout=True, rust_timeout=60_000, step=200
    ):
        lines = list(map(_alarm_line, look(layout)))
        for line in lines:
            if line not in shown:
                click.echo(line)
        shown = lines
    return 1 if shown else 0


def _alarm_line(alarm: "Alarm") -> str:
    way_out = f"holdfast servers put-back {alarm.path}"
    kept = f"; kept as {alarm.kept}" if alarm.kept else ""
    return f"ALARM  {alarm.path}: {alarm.message}{kept} (bring it back with: {way_out})"


@command(
    None,
    "put-back",
    examples=[
        "holdfast servers put-back ~/.claude.json --dry-run",
        "holdfast servers put-back ~/.claude.json --yes",
        "holdfast servers put-back .mcp.json --list",
        "holdfast servers put-back .mcp.json --from kept-3 --yes",
    ],
)
@click.argument("path", type=Place(dir_okay=False))
@click.option("--from", "source", help="A version that --list shows; else the newest not poorer.")
@click.option("--list", "listing", is_flag=True, help="List the known versions, newest first.")
@click.option("--dry-run", is_flag=True, help="Show the differences, change nothing.")
@click.option("--yes", is_flag=True, help="Do not ask.")
def put_back_(
    terminal: Terminal, path: Path, source: str | None, listing: bool, dry_run: bool, yes: bool
) -> None:
    """Put the servers back that a client's file lost, key by key.

    The newest version that parses and is not poorer is looked for among those kept by Holdfast,
    the client's own backups and the snapshots. A file that cannot be read is replaced as a whole;
    its bytes are kept.
    """
    from holdfast.services.putting_back import put_back, versions_of

    workspace = terminal.open()
    if listing:
        rows = [
            {
                "source": each.source,
                "at": each.at.isoformat().replace("+00:00", "Z"),
                "servers": each.count,
                "bytes": len(each.content),
            }
            for each in versions_of(workspace, path)
        ]
        columns = {"source": "Version", "at": "Time", "servers": "Servers", "bytes": "Bytes"}
        terminal.emit_rows(rows, columns, empty="No version of the file is known.")
        return
    plan = put_back(workspace, path, source=source, dry_run=True)
    if not dry_run and plan.differences:
        question = f"Put {len(plan.differences)} servers from {plan.source} back into {path}?"
        terminal.require_consent(question, yes=yes, hint="look first with --dry-run, then --yes")
        plan = put_back(workspace, path, source=plan.source)
    lines = [f"{plan.path}: from {plan.source} of {plan.at:%Y-%m-%d %H:%M:%S} UTC"]
    if plan.whole:
        lines[0] += " (the whole file)"
    lines += [line for each in plan.differences for line in _difference_lines(each)]
    if not plan.differences:
        lines.append("  nothing is missing")
    if dry_run:
        lines.append("(nothing was written)")
    terminal.emit(plan, "\n".join(lines))


def _lines_of(file: "SyncedFile") -> Sequence[str]:
    if not file.differences:
        return [f"{file.path}: up to date"]
    lines = [f"{file.path}:"]
    lines += [line for each in file.differences for line in _difference_lines(each)]
    if file.former_version is not None:
        lines.append(f"  (the file before is kept as version {file.former_version})")
    return lines


def _difference_lines(each: "Difference") -> Iterator[str]:
    yield f"  {_MARKS[each.kind]} {'.'.join(each.keys)}"
    if each.before is not None:
        yield f"      - {_shown(each.before)}"
    if each.after is not None:
        yield f"      + {_shown(each.after)}"


def _shown(value: Any) -> str:
    return msgspec.json.encode(value).decode()

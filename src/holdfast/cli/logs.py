"""``holdfast logs``: search and follow the workspace's JSON logs."""

import sys
from collections.abc import Iterable
from datetime import datetime
from typing import TYPE_CHECKING

import click

from holdfast.cli.terminal import Terminal, command
from holdfast.errors import HoldfastError, UsageError

if TYPE_CHECKING:
    from holdfast.logs.reading import Record, Search

_COLOURS = {"DEBUG": "bright_black", "WARNING": "yellow", "ERROR": "red", "CRITICAL": "magenta"}
_SEED_KEYS = frozenset(("timestamp", "component", "level", "message", "task_id"))


@command(
    None,
    "logs",
    examples=[
        "holdfast logs --since 2h --level WARNING",
        "holdfast logs --task workflow-123",
        "holdfast logs --component 'agent-*' --grep 'time(d )?out' --limit 20",
        "holdfast logs --since yesterday --until today --json",
        "holdfast logs --follow",
    ],
)
@click.option(
    "--component", "components", multiple=True, metavar="C", help="Only this one; 'agent-*' works."
)
@click.option("--level", metavar="L", help="This level and above: DEBUG, INFO, WARNING, ERROR, …")
@click.option("--since", metavar="TIME", help="From then on: 2h, yesterday, 2025-01-20T10:30.")
@click.option("--until", metavar="TIME", help="Before then.")
@click.option("--task", metavar="ID", help="A task id, or a run's id for all of its steps.")
@click.option("--grep", metavar="REGEX", help="In the message or the further values.")
@click.option("--limit", type=click.IntRange(min=0), metavar="N", help="The newest N lines only.")
@click.option("-f", "--follow", is_flag=True, help="Go on with new lines as they are written.")
def logs(
    terminal: Terminal,
    components: tuple[str, ...],
    level: str | None,
    since: str | None,
    until: str | None,
    task: str | None,
    grep: str | None,
    limit: int | None,
    follow: bool,
) -> None:
    """Search the workspace's logs, oldest line first, rotated and compressed files included.

    With --task, what the run, its steps, messages and events have to say stands between the lines.
    People see columns and colours; a pipe gets the JSON lines as they are. Lines that cannot be
    read are counted on standard error.
    """
    if follow and terminal.json:
        raise UsageError("--json is one document and --follow never ends", hint="pipe the lines")
    from holdfast.logs.reading import search
    from holdfast.logs.times import parse_time

    def moment(text: str | None) -> datetime | None:
        return None if text is None else parse_time(text)

    workspace = terminal.open()
    found = search(
        workspace.layout.logs,
        components=components,
        level=level,
        since=moment(since),
        until=moment(until),
        task=task,
        grep=grep,
        limit=10 if follow and limit is None else limit,
        follow=follow,
    )
    records: Iterable[Record] = found
    problems: list[HoldfastError] = []
    if task is not None and not follow:
        from holdfast.upkeep.timeline import timeline

        records = timeline(workspace, found, task, problems)
    if terminal.json:
        terminal.emit([record.data for record in records], "")
    else:
        printed = _print(records, for_people=terminal.for_people, at_once=follow)
        if not printed:
            terminal.note("No log line matches.")
    _report_unreadable(found)
    for problem in problems:
        click.echo(f"not shown: {problem}", err=True)


def _print(records: "Iterable[Record]", *, for_people: bool, at_once: bool) -> int:
    """Columns for people, else the lines byte for byte; returns how many."""
    stream, printed = sys.stdout.buffer, 0
    for printed, record in enumerate(records, start=1):  # noqa: B007
        if for_people:
            click.echo(_for_people(record))
        else:
            stream.write(record.line + b"\n")
            if at_once:
                stream.flush()
    stream.flush()
    return printed


def _for_people(record: "Record") -> str:
    """One record on one line: local time, level, component, message, task, further keys."""
    from holdfast.logs.lines import shown_time, visible

    data = record.data
    level = str(data.get("level", ""))
    parts = [
        click.style(shown_time(record.key), dim=True),
        click.style(f"{visible(level):8}", fg=_COLOURS.get(level.upper())),
        click.style(visible(data.get("component", record.path.stem)), bold=True),
        visible(data.get("message", "")),
    ]
    if data.get("task_id") is not None:
        parts.append(click.style(visible(data["task_id"]), fg="cyan"))
    further = [f"{key}={visible(data[key])}" for key in data if key not in _SEED_KEYS]
    return " ".join([*parts, click.style(visible(" ".join(further)), dim=True)]).rstrip()


def _report_unreadable(found: "Search") -> None:
    total = sum(found.unreadable.values())
    if total:
        where = ", ".join(f"{path.name} ({n})" for path, n in sorted(found.unreadable.items()))
        click.echo(f"{total} unreadable line(s) skipped: {where}", err=True)

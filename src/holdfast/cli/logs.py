"""``holdfast logs``: search and follow the workspace's JSON logs."""

import sys
from collections.abc import Iterable
from datetime import datetime
from typing import TYPE_CHECKING

import click
import msgspec

from holdfast.cli.terminal import Terminal, command
from holdfast.errors import HoldfastError, UsageError

if TYPE_CHECKING:
    from holdfast.logs.reading import Record, Search

_COLOURS = {"DEBUG": "bright_black", "WARNING": "yellow", "ERROR": "red", "CRITICAL": "magenta"}
_TRANSCRIPT_RECORDS = 20  # shown unless a limit is given
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
        "holdfast logs --transcripts 'rm -rf' --since 2d",
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
@click.option(
    "--transcripts", metavar="TEXT", help="Search what was said in Claude Code's sessions instead."
)
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
    transcripts: str | None,
) -> None:
    """Search the workspace's logs, oldest line first, rotated and compressed files included.

    With --task, what the run, its steps, messages and events have to say stands between the lines.
    People see columns and colours; a pipe gets the JSON lines as they are. Lines that cannot be
    read are counted on standard error.

    --transcripts takes --since, --until and --limit: sessions of this workspace and its home, tool
    calls and their results included, the newest first, secrets masked.
    """
    if transcripts is not None:
        if components or level or task or grep or follow:
            raise UsageError("--transcripts goes with --since, --until and --limit only")
        _search_transcripts(terminal, transcripts, since, until, limit)
        return
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


def _search_transcripts(
    terminal: Terminal, text: str, since: str | None, until: str | None, limit: int | None
) -> None:
    from holdfast.claude.places import claude_places
    from holdfast.claude.transcripts import Wanted, search_transcripts
    from holdfast.logs.times import parse_time
    from holdfast.secrets.masking import masked_text

    layout = terminal.open().layout
    wanted = Wanted(
        folders=(layout.root,),
        places=(layout.home,),
        text=text,
        since=None if since is None else parse_time(since),
        until=None if until is None else parse_time(until),
    )
    most = _TRANSCRIPT_RECORDS if limit is None else limit
    found = search_transcripts(claude_places(layout.home).transcripts, wanted, limit=most)
    rows = [{**msgspec.to_builtins(each), "text": masked_text(each.text)} for each in found.found]
    if terminal.json:
        terminal.emit(rows, "")
    for row in rows if not terminal.json else ():
        where = f"{row['path']}:{row['line']}"
        click.echo(f"{row['at']} {row['role']}: {_visible(row['text'])}\n    {where}")
    if not rows:
        terminal.note("Nothing of that kind was said.")
    if found.unreadable:
        terminal.note(f"{found.unreadable} unreadable line(s) skipped")
    if not found.complete:
        terminal.note(
            f"only {found.transcripts} transcripts were read in time: narrow it by --since"
        )


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
    data = record.data
    level = str(data.get("level", ""))
    parts = [
        click.style(_local_time(record.key), dim=True),
        click.style(f"{_visible(level):8}", fg=_COLOURS.get(level.upper())),
        click.style(_visible(data.get("component", record.path.stem)), bold=True),
        _visible(data.get("message", "")),
    ]
    if data.get("task_id") is not None:
        parts.append(click.style(_visible(data["task_id"]), fg="cyan"))
    further = [f"{key}={_visible(data[key])}" for key in data if key not in _SEED_KEYS]
    return " ".join([*parts, click.style(_visible(" ".join(further)), dim=True)]).rstrip()


def _local_time(key: str) -> str:
    moment = datetime.fromisoformat(key[:26] + "+00:00").astimezone()
    return moment.strftime("%Y-%m-%d %H:%M:%S.%f")[:-3]


def _visible(value: object) -> str:
    """`value` without what would steer the terminal: newlines and escape sequences."""
    text = str(value)
    return text if text.isprintable() else "".join(map(_visible_character, text))


def _visible_character(character: str) -> str:
    return character if character.isprintable() else repr(character)[1:-1]


def _report_unreadable(found: "Search") -> None:
    total = sum(found.unreadable.values())
    if total:
        where = ", ".join(f"{path.name} ({n})" for path, n in sorted(found.unreadable.items()))
        click.echo(f"{total} unreadable line(s) skipped: {where}", err=True)

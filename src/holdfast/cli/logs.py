"""``holdfast logs``: search and follow the workspace's JSON logs."""

import sys
from collections.abc import Iterable, Iterator
from datetime import datetime
from itertools import islice
from typing import TYPE_CHECKING

import click
import msgspec

from holdfast.cli.log_pruning import prune
from holdfast.cli.terminal import Terminal, command
from holdfast.errors import HoldfastError, UsageError

if TYPE_CHECKING:
    from collections import Counter
    from pathlib import Path

    from holdfast.logs.reading import Record

_COLOURS = {"DEBUG": "bright_black", "WARNING": "yellow", "ERROR": "red", "CRITICAL": "magenta"}
_BATCH = 200  # lines that are looked through for secrets at once
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
        "holdfast logs --transcripts --component user --since 2d --grep bees",
        "holdfast logs prune --older-than 7d --dry-run",
    ],
    below={"prune": prune},
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
@click.option("--transcripts", is_flag=True, help="Claude Code's sessions instead of the logs.")
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
    transcripts: bool,
) -> None:
    """Search the workspace's logs, oldest line first, rotated and compressed files included.

    With --task, what the run, its steps, messages and events have to say stands between the lines.
    People see columns and colours; a pipe gets the JSON lines as they are, but for what has the
    shape of a secret, which is masked. Lines that cannot be read are counted on standard error.

    With --transcripts, what was said in Claude Code's sessions in the workspace and its home:
    --component is user, assistant or prompt (what was typed, from history.jsonl), --task the
    beginning of a session's id; the newest 500 unless --limit.
    """
    if transcripts and (follow or level is not None):
        raise UsageError("a transcript has no levels and is not followed", hint="use --component")
    if follow and terminal.json:
        raise UsageError("--json is one document and --follow never ends", hint="pipe the lines")
    from holdfast.logs.reading import search
    from holdfast.logs.times import parse_time

    def moment(text: str | None) -> datetime | None:
        return None if text is None else parse_time(text)

    workspace = terminal.open()
    if transcripts:
        from holdfast.cli.transcripts import Transcripts

        said = Transcripts(
            workspace.layout,
            roles=components,
            since=moment(since),
            until=moment(until),
            session=task,
            grep=grep,
            limit=limit,
        )
        _show(terminal, said, empty="Nobody said that.")
        _report_unreadable(said.unreadable)
        if said.cut:
            terminal.note(said.cut)
        return
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
    _show(terminal, records, empty="No log line matches.", at_once=follow)
    _report_unreadable(found.unreadable)
    for problem in problems:
        click.echo(f"not shown: {problem}", err=True)


def _show(
    terminal: Terminal, records: "Iterable[Record]", *, empty: str, at_once: bool = False
) -> None:
    if terminal.json:
        found = (record for batch in _batches(records, _BATCH) for record in _masked(batch))
        terminal.emit([record.data for record in found], "")
    elif not _print(records, for_people=terminal.for_people, at_once=at_once):
        terminal.note(empty)


def _print(records: "Iterable[Record]", *, for_people: bool, at_once: bool) -> int:
    """Columns for people, else the lines byte for byte; returns how many."""
    stream, printed = sys.stdout.buffer, 0
    for batch in _batches(records, 1 if at_once else _BATCH):
        for record in _masked(batch):
            if for_people:
                click.echo(_for_people(record))
            else:
                stream.write(record.line + b"\n")
        stream.flush()
        printed += len(batch)
    return printed


def _batches(records: "Iterable[Record]", size: int) -> "Iterator[list[Record]]":
    rest = iter(records)
    while batch := list(islice(rest, size)):
        yield batch


def _masked(records: "list[Record]") -> "Iterator[Record]":
    """The records, those that seem to hold secrets with these masked; they are few."""
    from holdfast.secrets.masking import masked_values, seems_to_hold_secrets

    sound = not seems_to_hold_secrets(b"\n".join(record.line for record in records))
    for record in records:
        if sound or not seems_to_hold_secrets(record.line):
            yield record
        else:
            data = masked_values(record.data)
            yield record._replace(data=data, line=msgspec.json.encode(data))


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


def _report_unreadable(unreadable: "Counter[Path]") -> None:
    total = sum(unreadable.values())
    if total:
        where = ", ".join(f"{path.name} ({n})" for path, n in sorted(unreadable.items()) if n)
        click.echo(f"{total} unreadable line(s) skipped: {where}", err=True)

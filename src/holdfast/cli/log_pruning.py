"""``holdfast logs prune``: old log files go to quarantine."""

from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

import click

from holdfast.cli.terminal import Terminal, command
from holdfast.workspace.sizes import readable_size

if TYPE_CHECKING:
    from holdfast.logs.pruning import OldLog

_COLUMNS = {"until": "Last line", "size": "Size", "path": "File"}


@command(
    None,
    "prune",
    examples=[
        "holdfast logs prune --dry-run",
        "holdfast logs prune --older-than 7d --yes",
        "holdfast logs prune --older-than yesterday --component 'agent-*'",
        "holdfast undo",
    ],
)
@click.option(
    "--older-than",
    default="30d",
    show_default=True,
    metavar="TIME",
    help="Files whose last line is older: 7 (days), 12h, 2w, yesterday, 2025-01-20.",
)
@click.option(
    "--component", "components", multiple=True, metavar="C", help="Only this one; 'agent-*' works."
)
@click.option("--dry-run", is_flag=True, help="Show what would go.")
@click.option("--yes", is_flag=True, help="Do not ask.")
def prune(
    terminal: Terminal, older_than: str, components: tuple[str, ...], dry_run: bool, yes: bool
) -> None:
    """Move log files that are past their time to quarantine, rotated and compressed ones too.

    What a program writes to stays. "holdfast undo" brings all of it back until the quarantine is
    emptied. Rotated files also go by themselves when their component writes again, 30 days after
    the rotation unless it was told otherwise.
    """
    from holdfast.logs.pruning import logs_before, take_away

    workspace = terminal.open()
    folder = workspace.layout.logs
    doomed = logs_before(folder, _moment(older_than), components)
    kept: list[OldLog] = []
    entry: str | None = None
    if doomed and not dry_run:
        size = readable_size(sum(log.size for log in doomed))
        question = f"Move {len(doomed)} log file(s), {size}, to quarantine?"
        terminal.require_consent(question, yes=yes, hint="look first with --dry-run, then --yes")
        collection = workspace.quarantine.collect(folder, reason="logs prune")
        doomed, kept = take_away(folder, doomed, collection.take)
        entry = collection.entry.id if doomed else None
    rows = [
        {
            "path": log.path.name,
            "component": log.component,
            "until": f"{log.until:%Y-%m-%dT%H:%M:%SZ}",
            "size": log.size if terminal.json else readable_size(log.size),
        }
        for log in doomed
    ]
    if terminal.json:
        terminal.emit(
            {
                "dryRun": dry_run,
                "quarantined": entry,
                "files": rows,
                "kept": [log.path.name for log in kept],
            },
            "",
        )
        return
    terminal.emit_rows(rows, _COLUMNS, empty="No log file is that old.")
    for log in kept:
        terminal.note(f"stays: {log.path.name}: a program writes to it")
    if dry_run and rows:
        terminal.note("nothing was moved; without --dry-run it goes to quarantine")
    elif entry is not None:
        terminal.note(f"in quarantine as {entry}; back with: holdfast undo")


def _moment(older_than: str) -> datetime:
    from holdfast.logs.times import parse_time

    word = older_than.strip()
    if word.replace(".", "", 1).isdigit() and word.isascii():
        return datetime.now(UTC) - timedelta(days=float(word))
    return parse_time(word)

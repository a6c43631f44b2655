"""``holdfast quarantine``: what was moved aside instead of being deleted."""

from pathlib import Path

import click
import msgspec

from holdfast.cli.places import Place
from holdfast.cli.terminal import Terminal, command


@click.group()
def quarantine() -> None:
    """What Holdfast moved aside instead of deleting: list it, put it back, empty it."""


@command(quarantine, "list", examples=["holdfast quarantine list"])
def list_(terminal: Terminal) -> None:
    """List what is in quarantine, oldest first."""
    entries = terminal.open().quarantine.list_entries()
    terminal.emit_rows(
        [msgspec.to_builtins(entry) for entry in entries],
        {"id": "Id", "takenAt": "Taken", "origin": "Was at", "reason": "Reason"},
        empty="The quarantine is empty.",
    )


@command(
    quarantine,
    "restore",
    examples=[
        "holdfast quarantine restore 20261123-120000-1a2b3c4d",
        "holdfast quarantine restore 20261123-120000-1a2b3c4d --to old-agent",
    ],
)
@click.argument("entry_id", metavar="ID")
@click.option("--to", type=Place(), help="Another place than where it was.")
def restore(terminal: Terminal, entry_id: str, to: Path | None) -> None:
    """Put an item back where it was, or to another place. Nothing is overwritten."""
    place = terminal.open().quarantine.restore(entry_id, to=to)
    terminal.emit({"id": entry_id, "path": str(place)}, f"Restored to {place}")


@command(
    quarantine,
    "empty",
    examples=[
        "holdfast quarantine empty --expired --dry-run",
        "holdfast quarantine empty --older-than 7 --yes",
    ],
)
@click.option("--expired", is_flag=True, help="Only what is older than quarantine.keepDays.")
@click.option("--older-than", type=float, default=0.0, metavar="DAYS", help="Only what is older.")
@click.option("--dry-run", is_flag=True, help="Show what would go, delete nothing.")
@click.option("--yes", is_flag=True, help="Do not ask.")
def empty(terminal: Terminal, expired: bool, older_than: float, dry_run: bool, yes: bool) -> None:
    """Delete for good what is in quarantine.

    The schedule does so every night with --expired: after 30 days, or as many as the setting
    quarantine.keepDays says.
    """
    workspace = terminal.open()
    store = workspace.quarantine
    days = max(older_than, workspace.settings.quarantine.keep_days if expired else 0.0)
    doomed = store.list_entries(older_than=days * 86_400)
    if doomed and not dry_run:
        question = f"Delete {len(doomed)} item(s) for good?"
        terminal.require_consent(question, yes=yes, hint="look first with --dry-run, then --yes")
        doomed = store.empty(older_than=days * 86_400)
    verb = "would go" if dry_run else "deleted"
    terminal.emit(
        {"dryRun": dry_run, "items": [msgspec.to_builtins(entry) for entry in doomed]},
        lambda: "\n".join(f"{verb}: {entry.origin}" for entry in doomed) or "Nothing to delete.",
    )

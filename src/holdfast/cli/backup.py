"""``holdfast backup``: snapshots of the workspace."""

from datetime import datetime
from typing import Any

import click
import msgspec

from holdfast.cli.backup_contents import diff, find
from holdfast.cli.backup_creation import create
from holdfast.cli.backup_destinations import destinations
from holdfast.cli.backup_drill import drill
from holdfast.cli.backup_keys import key
from holdfast.cli.backup_options import AT
from holdfast.cli.backup_upkeep import forget, prune, repair
from holdfast.cli.terminal import Terminal, command
from holdfast.errors import HoldfastError
from holdfast.workspace.sizes import readable_size


@click.group()
def backup() -> None:
    """Backups of the workspace: make one, list, look inside, verify, thin out; where they go."""


for _command in (create, diff, drill, find, forget, prune, repair, destinations, key):
    backup.add_command(_command)


@command(
    backup,
    "list",
    examples=[
        "holdfast backup list",
        "holdfast backup list --at disk --tag before-upgrade",
        "holdfast backup list --json",
    ],
)
@click.option("--at", metavar="NAME", help="Only this destination.")
@click.option("--tag", metavar="TAG", help="Only those with this tag.")
@click.option("--host", metavar="NAME", help="Only those taken on this machine.")
@click.option("--of", "workspace_name", metavar="NAME", help="Only those of this workspace.")
def list_(
    terminal: Terminal,
    at: str | None,
    tag: str | None,
    host: str | None,
    workspace_name: str | None,
) -> int:
    """List the backups of all destinations, oldest first."""
    from holdfast.vault.listing import backups_of

    workspace = terminal.open()
    sites = workspace.sites if at is None else [workspace.site(at)]
    rows: list[dict[str, Any]] = []
    failed = False
    for site in sites:
        try:
            found = backups_of(site)
        except HoldfastError as error:
            if len(sites) == 1:
                raise
            terminal.note(f"{site.name}: {error}")
            failed = True
            continue
        rows += [row for row in found if _matches(row, tag, host, workspace_name)]
    damaged = failed or any(row.get("damage") and not row.get("locked") for row in rows)
    columns = {
        "short": "Backup",
        "when": "Taken",
        "files": "Files",
        "bytes": "Size",
        "added": "Added",
        "labels": "Tags",
        "state": "State",
    }
    if len(sites) > 1:
        columns = {"destination": "At", **columns}
    shown = rows if terminal.json else [_shown_row(row) for row in rows]
    asked = tag or host or workspace_name
    empty = (
        "No backup is like that"
        if asked
        else "No snapshot yet; take one with: holdfast backup create"
    )
    terminal.emit_rows(shown, columns, empty=empty)
    return 1 if damaged else 0


@command(backup, "show", examples=["holdfast backup show latest", "holdfast backup show 1a2b3c4d"])
@click.argument("snapshot", metavar="S")
@AT
def show(terminal: Terminal, snapshot: str, at: str | None) -> None:
    """Show what is in a snapshot: `latest`, or the first digits of its id."""
    from holdfast.vault.listing import entry_document

    vault = terminal.open().vault_at(at)
    identity = vault.resolve(snapshot)
    header, entries = vault.read(identity)
    proof = vault.last_proof(identity)
    document: dict[str, Any] = {
        "id": identity,
        "header": msgspec.to_builtins(header),
        "proof": msgspec.to_builtins(proof),
        "entries": [entry_document(entry, header) for entry in entries],
    }

    def text() -> str:
        proven = f"{proof.proven_at.astimezone():%Y-%m-%d %H:%M:%S}" if proof else "never"
        lines = [
            f"Snapshot {identity}",
            f"taken {header.started_at.astimezone():%Y-%m-%d %H:%M:%S} on {header.host} "
            f"of {header.roots[0].path}, last proven {proven}"
            + (f", tags: {', '.join(header.tags)}" if header.tags else ""),
            *(["partial: it was cut off, the rest is missing"] if header.partial else []),
            *(f"not captured: {problem.path}: {problem.reason}" for problem in header.problems),
            *(
                f"{entry['kind']:<9}{entry['size']:>12}  {entry['path']}{_remade(entry)}"
                for entry in listed()
            ),
        ]
        return "\n".join(lines)

    def listed() -> list[dict[str, Any]]:
        return [{"size": 0, **entry} for entry in document["entries"]]

    terminal.emit(document, text)


@command(
    backup,
    "verify",
    examples=["holdfast backup verify", "holdfast backup verify latest --full"],
)
@click.argument("snapshot", metavar="[S]", required=False)
@click.option("--full", is_flag=True, help="Read every byte of every pack.")
@AT
def verify(terminal: Terminal, snapshot: str | None, full: bool, at: str | None) -> int:
    """Check that snapshots are whole and that a sample of their files comes back."""
    from holdfast.cli.progress import Bar

    workspace = terminal.open()
    vault, stores = workspace.vault_at(at), list(workspace.store_paths().values())
    with Bar("Verify", terminal) as bar:
        report = vault.verify(snapshot, full=full, stores=stores, progress=bar.update)
    for finding in report.findings:
        about = f" ({finding.path} in {finding.snapshot[:12]})" if finding.snapshot else ""
        terminal.note(f"damage: {finding.where}: {finding.problem}{about}")
    outcome = "healthy" if report.healthy else f"{len(report.findings)} finding(s)"
    terminal.emit(
        {"healthy": report.healthy, **msgspec.to_builtins(report)},
        f"snapshots: {report.snapshots}, packs: {report.packs}, "
        f"{report.files_restored} files restored and compared: {outcome}",
    )
    return 0 if report.healthy else 1


def _matches(
    row: dict[str, Any], tag: str | None, host: str | None, workspace_name: str | None
) -> bool:
    return (
        (tag is None or tag in row.get("tags", ()))
        and (host is None or row.get("host") == host)
        and (workspace_name is None or row.get("workspaceName") == workspace_name)
    )


def _shown_row(row: dict[str, Any]) -> dict[str, Any]:
    if row["kind"] != "snapshot":
        return {**row, "short": row["id"], "when": _when(row), "state": row["kind"]}
    return {
        **row,
        "short": row["id"][:12],
        "when": "unreadable" if row["damage"] else _when(row),
        "files": row["totals"]["files"],
        "bytes": readable_size(row["totals"]["size"]),
        "added": readable_size(row["totals"]["stored"]),
        "labels": ", ".join(row["tags"]),
        "state": _state(row),
    }


def _when(row: dict[str, Any]) -> str:
    return f"{datetime.fromisoformat(row['startedAt']).astimezone():%Y-%m-%d %H:%M:%S}"


def _state(row: dict[str, Any]) -> str:
    if row["locked"]:
        return f"locked: {row['damage']}"
    if row["damage"]:
        return f"damaged: {row['damage']}"
    state = f"{len(row['problems'])} not captured" if row["problems"] else "ok"
    return f"partial: it was cut off; {state}" if row["partial"] else state


def _remade(entry: dict[str, Any]) -> str:
    """How something that was left out is made again."""
    if entry["kind"] != "excluded":
        return ""
    command = entry.get("remake")
    if command is None:
        return "  (left out by your rules)"
    return f"  (made again by: {command})" if command else "  (made again by itself)"

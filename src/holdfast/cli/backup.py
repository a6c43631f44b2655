"""``holdfast backup``: snapshots of the workspace."""

from typing import TYPE_CHECKING, Any

import click
import msgspec

from holdfast.cli.backup_contents import diff, find
from holdfast.cli.backup_drill import drill
from holdfast.cli.backup_upkeep import forget, prune, repair
from holdfast.cli.terminal import Terminal, command, readable_size

if TYPE_CHECKING:
    from holdfast.vault import SnapshotInfo, Vault
    from holdfast.vault.entries import Entry, Header


@click.group()
def backup() -> None:
    """Snapshots of the workspace: take one, list, look inside, verify, thin out."""


for _command in (diff, drill, find, forget, prune, repair):
    backup.add_command(_command)


@command(
    backup,
    "create",
    examples=[
        "holdfast backup create",
        "holdfast backup create --tag before-upgrade",
        "holdfast backup create --everything",
    ],
)
@click.option("--tag", "tags", multiple=True, metavar="TAG", help="A label; may be repeated.")
@click.option("--everything", is_flag=True, help="Leave nothing out, not even node_modules.")
@click.option("--exclude", "excludes", multiple=True, metavar="PATTERN", help="As in .gitignore.")
def create(
    terminal: Terminal, tags: tuple[str, ...], everything: bool, excludes: tuple[str, ...]
) -> int:
    """Take a snapshot and prove it by a sampled restore.

    Configurations and shared libraries go first. What can be regenerated (node_modules,
    __pycache__, .venv, caches) and what .holdfastignore names is left out; `backup show` lists it
    and how it is made again. Files that cannot be read are reported, and the exit status is 1.
    """
    from holdfast.cli.progress import Bar

    workspace = terminal.open()
    with Bar("Snapshot", terminal) as bar:
        report = workspace.snapshot(
            excludes=excludes, tags=tags, everything=everything, progress=bar.update
        )
    for problem in report.snapshot.problems:
        terminal.note(f"not captured: {problem.path}: {problem.reason}")
    for finding in report.findings:
        terminal.note(f"damage: {finding.path or finding.where}: {finding.problem}")
    totals = report.snapshot.totals
    proven = f", proven with {report.proof.files} files" if report.proof else ", NOT proven"
    terminal.emit(
        {
            "healthy": report.healthy,
            "vault": str(workspace.vault.path),
            **msgspec.to_builtins(report),
        },
        f"Snapshot {report.snapshot.id[:12]}: {totals.files} files ({totals.unchanged} unchanged), "
        f"{readable_size(totals.size)}, {readable_size(totals.stored)} added "
        f"in {report.seconds:.1f} s{proven}",
    )
    return 0 if report.healthy else 1


@command(backup, "list", examples=["holdfast backup list", "holdfast backup list --json"])
def list_(terminal: Terminal) -> int:
    """List the snapshots, oldest first."""
    vault = _existing(terminal)
    snapshots = vault.snapshots() if vault is not None else []
    rows = [
        {
            **msgspec.to_builtins(info),
            "short": info.id[:12],
            "when": "unreadable"
            if info.damage
            else f"{info.started_at.astimezone():%Y-%m-%d %H:%M:%S}",
            "files": info.totals.files,
            "bytes": readable_size(info.totals.size),
            "added": readable_size(info.totals.stored),
            "labels": ", ".join(info.tags),
            "state": _state(info),
        }
        for info in snapshots
    ]
    if terminal.json:
        rows = [msgspec.to_builtins(info) for info in snapshots]
    columns = {
        "short": "Snapshot",
        "when": "Taken",
        "files": "Files",
        "bytes": "Size",
        "added": "Added",
        "labels": "Tags",
        "state": "State",
    }
    empty = "No snapshot yet; take one with: holdfast backup create"
    terminal.emit_rows(rows, columns, empty=empty)
    return 1 if any(info.damage for info in snapshots) else 0


@command(backup, "show", examples=["holdfast backup show latest", "holdfast backup show 1a2b3c4d"])
@click.argument("snapshot", metavar="S")
def show(terminal: Terminal, snapshot: str) -> None:
    """Show what is in a snapshot: `latest`, or the first digits of its id."""
    vault = terminal.open().vault
    identity = vault.resolve(snapshot)
    header, entries = vault.read(identity)
    proof = vault.last_proof(identity)
    document: dict[str, Any] = {
        "id": identity,
        "header": msgspec.to_builtins(header),
        "proof": msgspec.to_builtins(proof),
        "entries": [_shown(entry, header) for entry in entries],
    }

    def text() -> str:
        proven = f"{proof.proven_at.astimezone():%Y-%m-%d %H:%M:%S}" if proof else "never"
        lines = [
            f"Snapshot {identity}",
            f"taken {header.started_at.astimezone():%Y-%m-%d %H:%M:%S} on {header.host} "
            f"of {header.roots[0].path}, last proven {proven}",
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
def verify(terminal: Terminal, snapshot: str | None, full: bool) -> int:
    """Check that snapshots are whole and that a sample of their files comes back."""
    from holdfast.cli.progress import Bar

    vault = terminal.open().vault
    with Bar("Verify", terminal) as bar:
        report = vault.verify(snapshot, full=full, progress=bar.update)
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


def _existing(terminal: Terminal) -> "Vault | None":
    """The workspace's vault; None before the first snapshot made it."""
    from holdfast.errors import NotFoundError

    workspace = terminal.open()
    try:
        return workspace.vault
    except NotFoundError:
        return None


def _remade(entry: dict[str, Any]) -> str:
    """How something that was left out is made again."""
    if entry["kind"] != "excluded":
        return ""
    command = entry.get("remake")
    if command is None:
        return "  (left out by your rules)"
    return f"  (made again by: {command})" if command else "  (made again by itself)"


def _state(info: "SnapshotInfo") -> str:
    if info.damage:
        return f"damaged: {info.damage}"
    state = f"{len(info.problems)} not captured" if info.problems else "ok"
    return f"partial: it was cut off; {state}" if info.partial else state


def _shown(entry: "Entry", header: "Header") -> dict[str, Any]:
    from holdfast.vault.coverage import shown
    from holdfast.vault.entries import printable

    document: dict[str, Any] = msgspec.to_builtins(entry)
    document["path"] = shown(entry, header.roots)
    if entry.target is not None:
        document["target"] = printable(entry.target)
    return document

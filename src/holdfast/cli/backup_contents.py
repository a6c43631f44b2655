"""``holdfast backup diff`` and ``find``: what snapshots hold."""

import click
import msgspec

from holdfast.cli.backup_options import AT
from holdfast.cli.terminal import Terminal, command
from holdfast.workspace.sizes import readable_size

_SIGNS = {"added": "+", "removed": "-", "content": "M", "kind": "T", "target": "M", "mode": "m"}


@command(
    None,
    "diff",
    examples=["holdfast backup diff latest", "holdfast backup diff 1a2b3c4d latest"],
)
@click.argument("before", metavar="A")
@click.argument("after", metavar="[B]", default="now")
@AT
def diff(terminal: Terminal, at: str | None, before: str, after: str) -> None:
    """Show what changed from snapshot A to snapshot B, or to the files as they are now.

    + added, - removed, M content or a link's target changed, m only the mode, T another kind.
    """
    vault = terminal.open().vault_at(at)
    differences = vault.diff(before, None if after == "now" else after)
    lines = [f"{_SIGNS[each.change]}  {each.path}" for each in differences]
    changed = sum(each.change not in ("added", "removed") for each in differences)
    added = sum(each.change == "added" for each in differences)
    removed = len(differences) - changed - added
    lines.append(f"{added} added, {removed} removed, {changed} changed")
    document = {
        "before": vault.resolve(before),
        "after": "now" if after == "now" else vault.resolve(after),
        "differences": msgspec.to_builtins(differences),
    }
    terminal.emit(document, "\n".join(lines))


@command(
    None,
    "find",
    examples=["holdfast backup find '*.sqlite'", "holdfast backup find 'configs/*' --json"],
)
@click.argument("pattern", metavar="PATTERN")
@AT
def find(terminal: Terminal, at: str | None, pattern: str) -> int:
    """Find paths in all snapshots, every version of them.

    A PATTERN with a slash is compared with whole paths, else with the last part of each.
    """
    report = terminal.open().vault_at(at).find(pattern)
    for finding in report.findings:
        terminal.note(f"not searched: {finding.where}: {finding.problem}")
    rows = [
        {
            **msgspec.to_builtins(version),
            "bytes": readable_size(version.size),
            "modified": f"{version.modified_at.astimezone():%Y-%m-%d %H:%M:%S}",
            "count": len(version.snapshots),
            "newest": version.snapshots[-1][:12],
        }
        for version in report.versions
    ]
    if terminal.json:
        terminal.emit(report, "")
        return 1 if report.findings else 0
    columns = {
        "path": "Path",
        "bytes": "Size",
        "modified": "Modified",
        "count": "Snapshots",
        "newest": "Newest",
    }
    terminal.emit_rows(rows, columns, empty=f"No snapshot holds {pattern!r}.")
    return 1 if report.findings else 0

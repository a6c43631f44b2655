"""``holdfast clean``: what can be made again goes to quarantine, after a plan."""

from typing import TYPE_CHECKING

import click
import msgspec

from holdfast.cli.terminal import Terminal, command
from holdfast.workspace.sizes import readable_size

if TYPE_CHECKING:
    from holdfast.upkeep.cleaning import CleanReport

_COLUMNS = {"size": "Size", "kind": "Kind", "path": "Path", "back": "Comes back by"}
_SPARED = {"path": "Stays", "reason": "Because"}
_LISTED = 40


@command(
    None,
    "clean",
    examples=[
        "holdfast clean",
        "holdfast clean --apply",
        "holdfast clean --kind node-modules --kind python-cache --apply --yes",
        "holdfast quarantine list",
    ],
)
@click.option("--apply", is_flag=True, help="Do it; without, only the plan is shown.")
@click.option("--dry-run", is_flag=True, help="Show the plan only, as without --apply.")
@click.option("--kind", "kinds", multiple=True, metavar="KIND", help="Only this kind of clutter.")
@click.option("--log-days", type=float, default=30.0, show_default=True, help="Age of old logs.")
@click.option("--yes", is_flag=True, help="Do not ask.")
def clean(
    terminal: Terminal,
    apply: bool,
    dry_run: bool,
    kinds: tuple[str, ...],
    log_days: float,
    yes: bool,
) -> None:
    """Find what can be made again, or is past its days, and move it to quarantine.

    Kinds: python-cache, tool-cache, node-modules, logs, shell-snapshots, client-logs. Nothing that
    git tracks or a running program uses is touched, links are not followed. What went comes back
    with `holdfast undo` or `holdfast quarantine restore`, until the quarantine is emptied.
    """
    from holdfast.cli.progress import Bar
    from holdfast.upkeep.cleaning import Plan
    from holdfast.upkeep.clutter import Ages

    workspace = terminal.open()
    plan = Plan(workspace, kinds, Ages(logs=log_days))
    report = plan.report()
    if apply and not dry_run and report.items:
        _show(terminal, report)
        question = f"Move {len(report.items)} item(s), {readable_size(report.size)}, to quarantine?"
        terminal.require_consent(question, yes=yes, hint="look without --apply, then pass --yes")
        with Bar("Clean", terminal) as bar:
            report = plan.apply(progress=bar.update)
        kept = workspace.settings.quarantine.keep_days
        terminal.note(f"the schedule empties the quarantine after {kept:g} days")
    elif not terminal.json:
        _show(terminal, report)
    terminal.emit({**msgspec.to_builtins(report), "size": report.size}, lambda: _summary(report))


def _show(terminal: Terminal, report: "CleanReport") -> None:
    if terminal.json:
        return
    rows = [
        {**msgspec.to_builtins(item), "size": readable_size(item.size)}
        for item in report.items[:_LISTED]
    ]
    if rows:
        terminal.emit_rows(rows, _COLUMNS, empty="")
    if len(report.items) > _LISTED:
        terminal.note(f"… and {len(report.items) - _LISTED} more (all with --json)")
    for each in report.spared[:_LISTED]:
        terminal.note(f"stays: {each.path}: {each.reason}")


def _summary(report: "CleanReport") -> str:
    count, size = len(report.items), readable_size(report.size)
    if not count:
        return "Nothing to clean."
    if not report.applied:
        return f"{count} item(s), {size}, can go: holdfast clean --apply"
    entries = ", ".join(report.quarantined)
    return (
        f"{count} item(s), {size}, are in quarantine as {entries}; "
        "the space is free once it is emptied: holdfast quarantine empty"
    )

"""``holdfast undo``: what a command, or an agent's tool, destroyed comes back."""

from datetime import UTC
from typing import TYPE_CHECKING, Any

import click
import msgspec

from holdfast.cli.terminal import Terminal, command
from holdfast.errors import UsageError

if TYPE_CHECKING:
    from holdfast.upkeep.undo import PointInfo, UndoReport

_LISTED = 40  # paths of a plan that people are shown
_COLUMNS = {"id": "Point", "startedAt": "Made", "source": "By", "command": "Command", "state": ""}


@command(
    None,
    "undo",
    examples=[
        "holdfast undo --list",
        "holdfast undo --dry-run",
        "holdfast undo --yes",
        "holdfast undo 20261125-101500-1a2b3c4d --only agents --yes",
    ],
)
@click.argument("point", required=False)
@click.option("--list", "listing", is_flag=True, help="List the points, newest first.")
@click.option("--limit", type=click.IntRange(1), default=50, show_default=True, help="Of the list.")
@click.option("--expire", is_flag=True, help="Forget points older than the settings keep them.")
@click.option("--only", "paths", multiple=True, metavar="PATH", help="Only this, of a tool's.")
@click.option("--new", is_flag=True, help="Take also away what the tool made.")
@click.option("--changed-since", is_flag=True, help="Also files that changed after the tool.")
@click.option("--dry-run", is_flag=True, help="Show the plan, change nothing.")
@click.option("--yes", is_flag=True, help="Do not ask.")
def undo(
    terminal: Terminal,
    point: str | None,
    listing: bool,
    limit: int,
    expire: bool,
    paths: tuple[str, ...],
    new: bool,
    changed_since: bool,
    dry_run: bool,
    yes: bool,
) -> int:
    """Undo the last command that destroyed something, or the one of POINT (or of its last digits).

    Each Holdfast command that changes or takes away files makes a point, and so does each tool an
    agent runs, once 'holdfast guard install' was run. What an undo replaces or takes away is kept
    in a point of its own: undo that one to go back again.
    """
    from holdfast.upkeep.undo import expire_points, list_points
    from holdfast.upkeep.undo import undo as carry_out
    from holdfast.upkeep.undo_parts import Choice

    workspace = terminal.open()
    if listing:
        if point is not None:
            raise UsageError("--list stands alone")
        rows = [_row(each) for each in list_points(workspace)[:limit]]
        terminal.emit_rows(rows, _COLUMNS, empty="No undo points.")
        return 0
    if expire:
        gone = expire_points(workspace)
        terminal.emit({"expired": [each.id for each in gone]}, f"{len(gone)} point(s) forgotten")
        return 0

    def ask(plan: "UndoReport") -> None:
        if not yes:
            terminal.note(_plan_text(plan))
        question = f"Undo: {plan.command}?"
        terminal.require_consent(question, yes=yes, hint="look with --dry-run, then pass --yes")

    choice = Choice(paths, new, changed_since)
    report = carry_out(workspace, point, choice=choice, dry_run=dry_run, consent=ask)
    for problem in report.problems:
        terminal.note(f"not undone: {problem}")
    document = {"healthy": report.healthy, **msgspec.to_builtins(report)}
    terminal.emit(document, lambda: _plan_text(report) if dry_run else _done_text(report))
    return 0 if report.healthy else 1


def _row(info: "PointInfo") -> dict[str, Any]:
    row: dict[str, Any] = msgspec.to_builtins(info)
    made = info.started_at.astimezone(UTC)
    row["startedAt"] = f"{made:%Y-%m-%dT%H:%M:%SZ}"
    row["state"] = "undone" if info.undone_by else "" if info.ended_at else "interrupted"
    return row


def _plan_text(plan: "UndoReport") -> str:
    lines = [f"{plan.point}  {plan.command}"]
    steps = [*plan.steps, *plan.left]
    for step in steps[:_LISTED]:
        remark = f"  ({step.remark})" if step.remark else ""
        lines.append(f"{step.action:<11}{step.path}{remark}")
    if len(steps) > _LISTED:
        lines.append(f"… and {len(steps) - _LISTED} more (all with --json)")
    lines += [f"the same files were touched later by {other}" for other in plan.later]
    lines += [f"cannot be undone: {problem}" for problem in plan.problems]
    if not plan.steps:
        lines.append("nothing to undo: all is as it was before")
    return "\n".join(lines)


def _done_text(report: "UndoReport") -> str:
    counts = f"{len(report.steps)} undone, {len(report.left)} left as they are"
    back = f"; undo that with: holdfast undo {report.made}" if report.made else ""
    return f"{_plan_text(report)}\n{counts}{back}"

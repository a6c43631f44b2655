"""``holdfast status``: everything at a glance."""

from collections.abc import Iterator
from datetime import UTC, datetime

import click

from holdfast.cli.backup_destinations import rule_text
from holdfast.cli.terminal import Terminal, command
from holdfast.upkeep.protection import Protection
from holdfast.upkeep.space import Space
from holdfast.upkeep.status import Status, StoreStatus, workspace_status
from holdfast.workspace.sizes import readable_size

_HEADINGS = ("STORE", "ENGINE", "SIZE", "HOLDS", "HEALTH", "BACKED UP", "PROVEN")


@command(
    None,
    "status",
    examples=["holdfast status", "holdfast status --json | jq .next", "holdfast status --fix"],
)
@click.option("--fix", is_flag=True, help="Close to others what is for the owner only.")
def status(terminal: Terminal, fix: bool) -> int:
    """Show each store, its engine, size and health, what is unprotected, and what to do next."""
    found = workspace_status(terminal.open(), fix=fix)
    terminal.emit(found, lambda: _as_text(found))
    return 0 if found.healthy else 1


def _as_text(found: Status) -> str:
    lines = [f"workspace  {found.workspace}", f"home       {found.home}", ""]
    lines += _aligned([_HEADINGS, *map(_cells, found.stores)])
    for store in found.stores:
        if store.problem:
            lines += ["", f"{store.name}: {store.problem}"]
    lines += ["", rule_text(found.rule)]
    sections = (
        ("Unprotected", found.unprotected),
        ("Fixed", found.fixed),
        ("Open to others", list(_open_to_others(found.protection))),
        ("Space", list(_space(found.space))),
        ("Next", found.next),
    )
    for title, items in sections:
        if items:
            lines += ["", f"{title}:", *(f"  {item}" for item in items)]
    lines += ["", "Schedule:", *(f"  {line}" for line in _schedule(found))]
    return "\n".join(lines)


def _open_to_others(found: Protection) -> Iterator[str]:
    yield from (f"{each.path} ({each.now}, not {each.wanted})" for each in found.too_open)
    if found.git.missing:
        yield f"not in .gitignore: {', '.join(found.git.missing)}"
    yield from (f"git tracks it: {name} (git rm --cached {name})" for name in found.git.tracked)
    if found.problem:
        yield found.problem
    if found.disk.state != "on":
        reason = f" ({found.disk.reason})" if found.disk.reason else ""
        yield f"disk encryption, {found.disk.means}: {found.disk.state}{reason}"


def _space(there: Space) -> Iterator[str]:
    yield from (f"WARNING: {warning}" for warning in there.warnings)
    for budget in there.budgets:
        if budget.state == "ok" and budget.size is not None:
            sizes = f"{readable_size(budget.size)} of {readable_size(budget.limit)}"
            yield f"{budget.folder}: {sizes}, measured {_ago(budget.measured_at)}"
        elif budget.size is None:
            yield f"{budget.folder}: {budget.state}, of {readable_size(budget.limit)}"


def _schedule(found: Status) -> Iterator[str]:
    for problem in found.schedule.problems:
        yield f"PROBLEM: {problem}"
    jobs = [job for job in found.schedule.jobs if job.next is not None]
    if not any(job.last for job in found.schedule.jobs):
        yield "never run: holdfast schedule install"
    elif jobs:
        soonest = min(jobs, key=lambda job: job.next or datetime.max.replace(tzinfo=UTC))
        assert soonest.next is not None
        yield f"next: {soonest.name} at {soonest.next.astimezone():%Y-%m-%d %H:%M}"


def _cells(store: StoreStatus) -> tuple[str, ...]:
    return (
        store.name,
        store.engine,
        readable_size(store.size),
        store.holds,
        store.health,
        _ago(store.backed_up),
        _ago(store.proven) + (" (drill)" if store.proven_by == "drill" else ""),
    )


def _aligned(rows: list[tuple[str, ...]]) -> list[str]:
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    return [
        "  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip()
        for row in rows
    ]


def _ago(moment: datetime | None) -> str:
    if moment is None:
        return "never"
    seconds = max(0.0, (datetime.now(UTC) - moment).total_seconds())
    for unit, length in (("d", 86_400), ("h", 3_600), ("min", 60)):
        if seconds >= length:
            return f"{seconds / length:.0f} {unit} ago"
    return "just now"

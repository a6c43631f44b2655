"""``holdfast migrate``: workflows, queues or events to another engine."""

from typing import TYPE_CHECKING

import click
import msgspec

from holdfast.cli.terminal import Terminal, command
from holdfast.workspace.sizes import readable_size

if TYPE_CHECKING:
    from holdfast.migration.content import Content
    from holdfast.migration.migrate import MigrationReport, Plan
    from holdfast.migration.room import RoomName

_STATE = "migrations"


@command(
    None,
    "migrate",
    examples=[
        "holdfast migrate queues file:///srv/bees/.holdfast/queues redis://127.0.0.1/0 --dry-run",
        "holdfast migrate workflows sqlite:////srv/bees/.holdfast/state.db postgresql:///agents",
        "holdfast migrate events postgresql:///agents sqlite:////srv/events.db --switch",
    ],
)
@click.argument("room", metavar="ROOM", type=click.Choice(["workflows", "queues", "events"]))
@click.argument("source", metavar="FROM_URL")
@click.argument("target", metavar="TO_URL")
@click.option("--dry-run", is_flag=True, help="Show what would be moved, change nothing.")
@click.option("--switch", is_flag=True, help="When all is there, let the workspace use it.")
@click.option(
    "--wait",
    metavar="SECONDS",
    type=click.FloatRange(min=0),
    default=30.0,
    show_default=True,
    help="How long messages may still be out before it is refused.",
)
def migrate(
    terminal: Terminal,
    room: "RoomName",
    source: str,
    target: str,
    dry_run: bool,
    switch: bool,
    wait: float,
) -> int:
    """Move workflows, queues or events from the engine at FROM_URL to the one at TO_URL.

    Ids, orders, times, attempts and signals stay as they are; an unfinished run goes on there. In
    the end both sides are read again and compared (exit status 1 when they differ). Interrupted at
    any instant, the same command goes on.

    Nothing of the source is deleted. While it is copied its queues are paused, and so they stay,
    that no message is worked on twice. It is refused (4) while runs are executed or messages are
    out, and when TO_URL holds something else. Appends and puts cannot be held: stop them first;
    what came meanwhile is noticed, and the same command takes it along where it can.
    """
    from holdfast.cli.progress import Bar
    from holdfast.migration.migrate import migrate as carry_out
    from holdfast.migration.migrate import plan

    workspace = terminal.open()
    if dry_run:
        planned = plan(room, source, target)
        terminal.emit(planned, lambda: _plan_text(planned))
        return 0
    state = workspace.layout.state / _STATE
    with Bar("Migrate", terminal) as bar:
        report = carry_out(state, room, source, target, wait=wait, moved=bar.update)
    if report.healthy and switch:
        from holdfast.upkeep.configuration import change_setting

        change_setting(workspace.layout, f"{room}.url", target)
    healthy = {"healthy": report.healthy, "unchanged": report.unchanged}
    switched = {"switched": report.healthy and switch}
    terminal.emit(
        {**msgspec.to_builtins(report), **healthy, **switched},
        lambda: _report_text(report, switched=switch),
    )
    return 0 if report.healthy else 1


def _plan_text(planned: "Plan") -> str:
    there = "does not exist yet" if planned.there is None else f"holds {_counts(planned.there)}"
    return (
        f"{planned.source} holds {_counts(planned.holds)}\n{planned.target} {there}\n"
        "Nothing was changed."
    )


def _report_text(report: "MigrationReport", *, switched: bool) -> str:
    lines = [
        f"{report.target} holds {_counts(report.copied)}",
        f"hash {report.copied.hash}",
    ]
    if not report.healthy:
        lines[1:] = [
            f"{report.source} holds {_counts(report.after)}",
            "They differ: the source changed meanwhile. Stop whoever writes to it and run the same"
            " command again: it goes on.",
        ]
        return "\n".join(lines)
    if report.held:
        lines.append(f"paused on {report.source}: {', '.join(report.held)}")
    if switched:
        lines.append(f"{report.room}.url is {report.target} now; start what uses it anew")
    else:
        lines.append(f"switch over with: holdfast config set {report.room}.url {report.target}")
    lines.append(f"{report.source} is as it was; remove it when you need it no more.")
    return "\n".join(lines)


def _counts(content: "Content") -> str:
    parts = [f"{count:,} {kind}" for kind, count in content.counts.items() if kind != "logs"]
    return f"{', '.join(parts) or 'nothing'} ({readable_size(content.size)})"

"""``holdfast backup forget``, ``prune`` and ``repair``: the upkeep of a vault."""

from typing import TYPE_CHECKING

import click
import msgspec

from holdfast.cli.backup_options import AT
from holdfast.cli.terminal import Terminal, command, readable_size

if TYPE_CHECKING:
    from holdfast.vault import PruneReport, SnapshotInfo


@command(
    None,
    "forget",
    examples=[
        "holdfast backup forget --keep-last 10 --keep-daily 7 --keep-weekly 8 --dry-run",
        "holdfast backup forget 1a2b3c4d --yes",
        "holdfast backup forget --undo 1a2b3c4d",
    ],
)
@click.argument("snapshots", nargs=-1, metavar="[S]...")
@click.option("--keep-last", type=click.IntRange(0), default=0, metavar="N", help="The newest N.")
@click.option(
    "--keep-hourly", type=click.IntRange(0), default=0, metavar="N", help="One for each of N hours."
)
@click.option(
    "--keep-daily", type=click.IntRange(0), default=0, metavar="N", help="One for each of N days."
)
@click.option(
    "--keep-weekly", type=click.IntRange(0), default=0, metavar="N", help="One for each of N weeks."
)
@click.option(
    "--keep-monthly",
    type=click.IntRange(0),
    default=0,
    metavar="N",
    help="One for each of N months.",
)
@click.option(
    "--keep-yearly", type=click.IntRange(0), default=0, metavar="N", help="One for each of N years."
)
@click.option("--keep-tag", "tags", multiple=True, metavar="TAG", help="All with this tag.")
@click.option("--tag", metavar="TAG", help="The rules look only at those with this tag.")
@click.option("--host", metavar="NAME", help="… only at those taken on this machine.")
@click.option("--of", "workspace_name", metavar="NAME", help="… only at those of this workspace.")
@click.option("--undo", metavar="S", help="Take a forgotten snapshot back.")
@click.option("--dry-run", is_flag=True, help="Show what would go, change nothing.")
@click.option("--yes", is_flag=True, help="Do not ask.")
@AT
def forget(
    terminal: Terminal,
    at: str | None,
    snapshots: tuple[str, ...],
    tags: tuple[str, ...],
    tag: str | None,
    host: str | None,
    workspace_name: str | None,
    undo: str | None,
    dry_run: bool,
    yes: bool,
    **keep: int,
) -> int:
    """Give up the snapshots named, or those that no --keep rule keeps.

    Of each tree the newest snapshot is always kept by the rules. What is forgotten can be taken
    back with --undo until the next prune; only prune frees space.
    """
    from holdfast.errors import UsageError
    from holdfast.vault import Retention

    vault = terminal.open().vault_at(at)
    counts = {name.removeprefix("keep_"): count for name, count in keep.items()}
    ruled = any(counts.values()) or bool(tags)
    if undo is not None:
        if snapshots or ruled:
            raise UsageError("--undo stands alone")
        identity = vault.remember(undo)
        terminal.emit({"id": identity}, f"Snapshot {identity[:12]} is back")
        return 0
    if snapshots and ruled:
        raise UsageError("name snapshots or give --keep rules, not both")
    retention = None if snapshots else Retention(**counts, tags=tags)

    def among(info: "SnapshotInfo") -> bool:
        return (
            (tag is None or tag in info.tags)
            and host in (None, info.host)
            and workspace_name in (None, info.workspace_name)
        )

    plan = vault.forget(snapshots, retention=retention, among=among, dry_run=True)
    if plan.forgotten and not dry_run:
        if not yes:
            terminal.note("\n".join(_line(info) for info in plan.forgotten))
        question = f"Forget {len(plan.forgotten)} snapshot(s), keep {plan.kept}?"
        terminal.require_consent(question, yes=yes, hint="look with --dry-run, then pass --yes")
        # What was shown, and nothing that a backup added since.
        plan = vault.forget([info.id for info in plan.forgotten])
    verb = "would forget" if dry_run else "forgot"
    lines = [f"{verb}: {_line(info)}" for info in plan.forgotten]
    lines.append(f"{len(plan.forgotten)} forgotten, {plan.kept} kept")
    terminal.emit(plan, "\n".join(lines))
    return 0


@command(
    None,
    "prune",
    examples=["holdfast backup prune --dry-run", "holdfast backup prune --yes"],
)
@click.option(
    "--grace",
    type=click.FloatRange(0),
    default=24.0,
    metavar="HOURS",
    help="How long unneeded packs stay; longer than a backup lasts. [24]",
)
@click.option("--dry-run", is_flag=True, help="Show what would go, change nothing.")
@click.option("--yes", is_flag=True, help="Do not ask.")
@AT
def prune(terminal: Terminal, at: str | None, grace: float, dry_run: bool, yes: bool) -> int:
    """Remove forgotten snapshots for good, and free what no snapshot needs.

    Backups may run meanwhile. Packs are removed by the first prune after the time of grace.
    """
    from holdfast.cli.progress import Bar

    vault = terminal.open().vault_at(at)
    plan = vault.prune(grace=grace * 3600, dry_run=True)
    if dry_run:
        terminal.emit(plan, _prune_text(plan))
        return 0
    if plan.snapshots:
        question = f"Remove {len(plan.snapshots)} forgotten snapshot(s) for good?"
        terminal.require_consent(question, yes=yes, hint="look with --dry-run, then pass --yes")
    with Bar("Prune", terminal) as bar:
        done = vault.prune(grace=grace * 3600, progress=bar.update)
    terminal.emit(done, _prune_text(done))
    return 0


@command(
    None,
    "repair",
    examples=["holdfast backup repair --dry-run", "holdfast backup repair"],
)
@click.option("--dry-run", is_flag=True, help="Only look; change nothing.")
@AT
def repair(terminal: Terminal, at: str | None, dry_run: bool) -> int:
    """Mend a damaged vault: index from packs, packs from what is left and from the disk.

    What is replaced is kept in the vault's folder damaged/. The exit status is 1 when something is
    lost for good; it is named.
    """
    from holdfast.cli.progress import Bar

    vault = terminal.open().vault_at(at)
    with Bar("Repair", terminal) as bar:
        report = vault.repair(dry_run=dry_run, progress=bar.update)
    for finding in report.findings:
        about = f" ({finding.path} in {finding.snapshot[:12]})" if finding.snapshot else ""
        terminal.note(f"lost: {finding.where}: {finding.problem}{about}")
    terminal.emit(
        {"healthy": report.healthy, **msgspec.to_builtins(report)},
        f"{len(report.indexed)} packs indexed, {len(report.replaced)} damaged files replaced, "
        f"{report.saved} chunks saved, {report.remade} read from the disk again"
        + (" (dry run)" if dry_run else ""),
    )
    return 0 if report.healthy else 1


def _line(info: "SnapshotInfo") -> str:
    taken = "unreadable" if info.damage else f"{info.started_at.astimezone():%Y-%m-%d %H:%M:%S}"
    tags = f"  [{', '.join(info.tags)}]" if info.tags else ""
    return f"{info.id[:12]}  {taken}  {info.root}{tags}"


def _prune_text(report: "PruneReport") -> str:
    will = "would be " if report.dry_run else ""
    return (
        f"{len(report.snapshots)} forgotten snapshots {will}removed, "
        f"{len(report.removed)} packs {will}removed ({readable_size(report.freed)}); "
        f"{len(report.rewritten)} packs {will}rewritten, "
        f"{readable_size(report.waiting)} wait for the time of grace"
    )

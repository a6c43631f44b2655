"""``holdfast backup forget``, ``prune`` and ``repair``: the upkeep of a vault."""

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import click
import msgspec

from holdfast.cli.backup_options import AT
from holdfast.cli.terminal import Terminal, command
from holdfast.errors import HoldfastError, RefusedError, UsageError
from holdfast.workspace.sizes import readable_size

if TYPE_CHECKING:
    from holdfast.facade import Workspace
    from holdfast.vault import ForgetReport, PruneReport, SnapshotInfo, Vault

EVERYWHERE = click.option(
    "--everywhere", is_flag=True, help="At every destination of snapshots, each by itself."
)


@command(
    None,
    "forget",
    examples=[
        "holdfast backup forget --keep-last 10 --keep-daily 7 --keep-weekly 8 --dry-run",
        "holdfast backup forget --keep-daily 30 --everywhere --yes",
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
@EVERYWHERE
@AT
def forget(
    terminal: Terminal,
    at: str | None,
    everywhere: bool,
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
    from holdfast.vault import Retention

    workspace = terminal.open()
    counts = {name.removeprefix("keep_"): count for name, count in keep.items()}
    ruled = any(counts.values()) or bool(tags)
    if everywhere and (snapshots or undo is not None):
        raise UsageError("--everywhere goes with --keep rules")
    if undo is not None:
        if snapshots or ruled:
            raise UsageError("--undo stands alone")
        identity = workspace.vault_at(at).remember(undo)
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

    def thin(vault: "Vault") -> "ForgetReport":
        plan = vault.forget(snapshots, retention=retention, among=among, dry_run=True)
        if dry_run or not plan.forgotten:
            return plan
        if not yes:
            terminal.note("\n".join(_line(info) for info in plan.forgotten))
        question = f"Forget {len(plan.forgotten)} snapshot(s), keep {plan.kept}?"
        terminal.require_consent(question, yes=yes, hint="look with --dry-run, then pass --yes")
        # What was shown, and nothing that a backup added since.
        return vault.forget([info.id for info in plan.forgotten])

    return _at_each(
        terminal, workspace, at, thin, lambda plan: _forget_text(plan, dry_run), everywhere
    )


@command(
    None,
    "prune",
    examples=[
        "holdfast backup prune --dry-run",
        "holdfast backup prune --yes",
        "holdfast backup prune --everywhere --yes",
    ],
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
@EVERYWHERE
@AT
def prune(
    terminal: Terminal, at: str | None, everywhere: bool, grace: float, dry_run: bool, yes: bool
) -> int:
    """Remove forgotten snapshots for good, and free what no snapshot needs.

    Backups may run meanwhile. Packs are removed by the first prune after the time of grace.
    """
    from holdfast.cli.progress import Bar

    workspace = terminal.open()

    def clear(vault: "Vault") -> "PruneReport":
        plan = vault.prune(grace=grace * 3600, dry_run=True)
        if dry_run:
            return plan
        if plan.snapshots:
            question = f"Remove {len(plan.snapshots)} forgotten snapshot(s) for good?"
            hint = "look with --dry-run, then pass --yes"
            terminal.require_consent(question, yes=yes, hint=hint)
        with Bar("Prune", terminal) as bar:
            return vault.prune(grace=grace * 3600, progress=bar.update)

    return _at_each(terminal, workspace, at, clear, _prune_text, everywhere)


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


def _at_each(
    terminal: Terminal,
    workspace: "Workspace",
    at: str | None,
    work: "Callable[[Vault], Any]",
    text: Callable[[Any], str],
    everywhere: bool,
) -> int:
    """Do `work` at one destination, or at every one; there one that fails hides no other."""
    if not everywhere:
        report = work(workspace.vault_at(at))
        terminal.emit(report, lambda: text(report))
        return 0
    if at is not None:
        raise UsageError("give --at or --everywhere, not both")
    done: list[dict[str, Any]] = []
    said: list[str] = []
    failed = False
    for site in workspace.sites:
        if site.destination.kind != "snapshot":
            continue
        try:
            if site.is_absent():
                terminal.note(f"{site.name}: not there, passed over")
                continue
            if site.is_new():
                continue
            report = work(workspace.vault_at(site.name))
        except RefusedError:  # nobody agreed
            raise
        except HoldfastError as error:
            terminal.note(f"{site.name}: {error}")
            done.append({"destination": site.name, "error": error.as_dict()})
            failed = True
            continue
        done.append({"destination": site.name, **msgspec.to_builtins(report)})
        said.append(f"{site.name}: {text(report)}")
    terminal.emit(done, "\n".join(said))
    return 1 if failed else 0


def _forget_text(plan: "ForgetReport", dry_run: bool) -> str:
    verb = "would forget" if dry_run else "forgot"
    lines = [f"{verb}: {_line(info)}" for info in plan.forgotten]
    return "\n".join([*lines, f"{len(plan.forgotten)} forgotten, {plan.kept} kept"])


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

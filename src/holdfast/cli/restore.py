"""``holdfast restore``: files back from a snapshot."""

from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING

import click
import msgspec

from holdfast.cli.backup_options import AT
from holdfast.cli.backup_sources import is_path, unpack
from holdfast.cli.places import Place
from holdfast.cli.terminal import Terminal, command
from holdfast.errors import UsageError

if TYPE_CHECKING:
    from holdfast.facade import Workspace
    from holdfast.vault import RestoreReport, Vault

_LISTED = 40  # paths of a plan that people are shown


@command(
    None,
    "restore",
    examples=[
        "holdfast restore latest --dry-run",
        "holdfast restore latest agents/director-agent.py configs",
        "holdfast restore 1a2b3c4d --to ../restored",
        "holdfast restore latest '~/.claude.json'",
        "holdfast restore latest --agent director-agent",
        "holdfast restore latest --server financial --dry-run",
        "holdfast restore latest --store workflows",
        "holdfast restore ../backups/development-20261125-190000.tar.zst",
    ],
)
@click.argument("snapshot", metavar="S")
@click.argument("paths", nargs=-1, metavar="[PATH]...")
@click.option("--to", type=Place(), help="Another folder than the workspace.")
@click.option("--home", type=Place(), help="Another folder than the home for ~/ paths.")
@click.option("--agent", metavar="ID", help="One agent: its files and its registry entry.")
@click.option("--server", metavar="NAME", help="One MCP server: its files and its entry.")
@click.option(
    "--store",
    type=click.Choice(["workflows", "queues", "events", "registry", "logs"]),
    help="One store alone.",
)
@AT
@click.option("--dry-run", is_flag=True, help="Show the plan, change nothing.")
@click.option("--yes", is_flag=True, help="Do not ask before files are replaced.")
def restore(
    terminal: Terminal,
    snapshot: str,
    paths: tuple[str, ...],
    to: Path | None,
    home: Path | None,
    agent: str | None,
    server: str | None,
    store: str | None,
    at: str | None,
    dry_run: bool,
    yes: bool,
) -> int:
    """Bring back all of a snapshot, some paths (relative to the workspace), or one part.

    S is `latest`, the first digits of an id, or the path of an archive (.tar.zst, .tar.zst.age) or
    a copy (a folder). Files that differ are replaced; what was there goes
    to quarantine first. Files that the snapshot does not have are left alone. Files of the home
    come back only when named, with `~/` before them; a `~` alone means all of them.

    --agent and --server bring back one component as it was, other entries of the registry stay;
    --store exchanges one store and leaves the others as they are, though they share a file.
    """
    from holdfast.cli.restore_parts import restore_component, restore_store
    from holdfast.recovery.source import Source

    if sum(map(bool, (agent, server, store, paths))) > 1:
        raise UsageError("give paths, or one of --agent, --server and --store")
    if store is not None and to is not None:
        raise UsageError("--store has its one place", hint="without --store, name its path")
    workspace = terminal.open()
    with ExitStack() as stack:
        vault, identity, whole = _choose(terminal, workspace, snapshot, at, stack)
        if agent is None and server is None and store is None:
            asked = {"dry_run": dry_run, "yes": yes}
            status = _restore(terminal, workspace, vault, identity, paths, to, home, **asked)
        elif store is not None:
            source = Source(vault, identity)
            status = restore_store(terminal, workspace, source, store, dry_run=dry_run, yes=yes)
        else:
            source = Source(vault, identity)
            status = restore_component(
                terminal, workspace, source, agent, server, to, dry_run=dry_run, yes=yes
            )
        return status if whole else status or 1


def _choose(
    terminal: Terminal, workspace: "Workspace", named: str, at: str | None, stack: ExitStack
) -> "tuple[Vault, str, bool]":
    """The vault and the snapshot meant, and whether nothing was refused of an archive."""
    if not is_path(named):
        vault = workspace.vault_at(at)
        return vault, vault.resolve(named), True
    from holdfast.vault.sites import key_source

    site = workspace.site(at)
    keys = key_source(ask=workspace.ask_passphrase) if at is None else site.source
    return unpack(terminal, Path(named), keys, site.private, stack)


def _restore(
    terminal: Terminal,
    workspace: "Workspace",
    vault: "Vault",
    identity: str,
    paths: tuple[str, ...],
    to: Path | None,
    home: Path | None,
    *,
    dry_run: bool,
    yes: bool,
) -> int:
    from holdfast.cli.progress import Bar
    from holdfast.recovery.paths import restore_paths

    if dry_run:
        plan = restore_paths(workspace, vault, identity, paths, to=to, home=home, dry_run=True)
        terminal.emit(_document(plan), lambda: plan_text(plan))
        return 0 if plan.healthy else 1
    bar = Bar("Restore", terminal)
    with ExitStack() as stack:

        def ask(plan: "RestoreReport") -> None:
            ask_to_replace(terminal, plan, yes=yes)
            stack.enter_context(bar)

        report = restore_paths(
            workspace,
            vault,
            identity,
            paths,
            to=to,
            home=home,
            consent=ask,
            progress=bar.update,
        )
    for problem in report.problems:
        terminal.note(f"not restored: {problem.path}: {problem.reason}")
    kept = "; what was there is in quarantine" if report.quarantined else ""
    terminal.emit(
        _document(report),
        f"Restored to {report.target}: {report.created} created, {report.replaced} replaced, "
        f"{report.unchanged} unchanged{kept}",
    )
    return 0 if report.healthy else 1


def ask_to_replace(terminal: Terminal, plan: "RestoreReport", *, yes: bool) -> None:
    """Go on if nothing is replaced, or `yes`, or a person agrees; else `RefusedError`."""
    if not plan.replaced or yes:
        return
    newer = sum(step.newer for step in plan.plan)
    question = f"Replace {plan.replaced} files in {plan.target} ({newer} newer than the snapshot)?"
    terminal.note(plan_text(plan, only_replaced=True))
    terminal.require_consent(question, yes=yes, hint="look with --dry-run, then pass --yes")


def _document(report: "RestoreReport") -> dict[str, object]:
    return {"healthy": report.healthy, **msgspec.to_builtins(report)}


def plan_text(plan: "RestoreReport", *, only_replaced: bool = False) -> str:
    """What a restore would do, for people."""
    steps = [s for s in plan.plan if not only_replaced or s.action in ("replace", "conflict")]
    lines = [
        f"{step.action:<9}{step.path}{'  (newer than the snapshot)' if step.newer else ''}"
        for step in steps[:_LISTED]
    ]
    if len(steps) > _LISTED:
        lines.append(f"… and {len(steps) - _LISTED} more (all with --json)")
    lines += [f"not restorable: {problem.path}: {problem.reason}" for problem in plan.problems]
    lines.append(
        f"{plan.created} to create, {plan.replaced} to replace, {plan.unchanged} unchanged"
    )
    return "\n".join(lines)

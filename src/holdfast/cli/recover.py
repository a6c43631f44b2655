"""``holdfast recover``: everything back, from a snapshot, an archive or a copy."""

from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import click
import msgspec

from holdfast.cli.backup_options import AT
from holdfast.cli.backup_sources import is_path, unpack
from holdfast.cli.places import Place
from holdfast.cli.restore import ask_to_replace, plan_text
from holdfast.cli.terminal import Terminal, command
from holdfast.errors import HoldfastError, UsageError

if TYPE_CHECKING:
    from holdfast.recovery.order import RecoveryReport, StepReport
    from holdfast.recovery.source import Source
    from holdfast.vault import RestoreReport, Vault


@command(
    None,
    "recover",
    examples=[
        "holdfast recover",
        "holdfast recover 1a2b3c4d --dry-run",
        "holdfast recover latest --from /mnt/disk/backups/development --to ~/development",
        "holdfast recover latest --from /mnt/disk/vault --identity key.txt --to ~/development",
        "holdfast recover /mnt/disk/development-20261125-190000.tar.zst --to ~/development",
    ],
)
@click.argument("snapshot", metavar="[S|ARCHIVE]", default="latest")
@click.option("--to", type=Place(), help="Another folder than the workspace.")
@click.option(
    "--from",
    "vault",
    type=Place(file_okay=False),
    help="The folder of a vault, where no workspace is left to name it.",
)
@AT
@click.option(
    "--identity",
    type=Place(dir_okay=False),
    metavar="FILE",
    help="The private key (age) of what is encrypted, where no settings name it.",
)
@click.option(
    "--home",
    type=Place(file_okay=False),
    help="Bring the files of the home back too, below this folder, also over others.",
)
@click.option("--dry-run", is_flag=True, help="Show what would happen to files, change nothing.")
@click.option("--yes", is_flag=True, help="Do not ask before files are replaced.")
def recover(
    terminal: Terminal,
    snapshot: str,
    to: Path | None,
    vault: Path | None,
    at: str | None,
    identity: Path | None,
    home: Path | None,
    dry_run: bool,
    yes: bool,
) -> int:
    """Bring a whole workspace back: files, dependencies, configurations, services.

    Files come from the snapshot S, or from an archive (.tar.zst, .tar.zst.age) or a copy (a
    folder) by its path; then requirements.txt is installed into .venv, what each MCP
    server needs with npm and pip, verify-mcp-setup.py is run, and initialize.py starts the
    services. A step that fails is shown, and the next ones are done all the same (exit status 1).

    Interrupted at any instant, the same command goes on. What is replaced goes to quarantine. In
    place, files of the home come back where they are missing; with --to only with --home.

    What is encrypted is opened by --identity, HOLDFAST_IDENTITY, HOLDFAST_PASSPHRASE or a prompt.
    """
    with ExitStack() as stack:
        asked = _Asked(snapshot, vault, at, identity, to)
        source, target, own_home, whole = _places(terminal, asked, stack)
        at_home = home.absolute() if home is not None else own_home
        status = _recover(
            terminal, source, target, at_home, dry_run=dry_run, yes=yes, all_of_home=bool(home)
        )
        return status if whole else status or 1


def _recover(
    terminal: Terminal,
    source: "Source",
    target: Path,
    home: Path | None,
    *,
    dry_run: bool,
    yes: bool,
    all_of_home: bool,
) -> int:
    from holdfast.cli.progress import Bar
    from holdfast.recovery.order import plan, points_of
    from holdfast.recovery.recover import recover as carry_out

    if dry_run:
        planned = plan(source, target, home, all_of_home=all_of_home)
        terminal.emit(planned, lambda: plan_text(planned))
        return 0 if planned.healthy else 1
    if target.is_dir():
        terminal.record_below(points_of(target))
    bar = Bar("Restore", terminal)
    with ExitStack() as stack:

        def consent(planned: "RestoreReport") -> None:
            ask_to_replace(terminal, planned, yes=yes)
            stack.enter_context(bar)

        def tell(report: "StepReport") -> None:
            stack.close()  # the bar is about the files, which are the first step
            _tell(terminal, report)

        report = carry_out(
            source,
            target,
            home=home,
            all_of_home=all_of_home,
            consent=consent,
            told=tell,
            progress=bar.update,
        )
    terminal.emit(msgspec.to_builtins(report), lambda: _summary(report))
    return 0 if report.healthy else 1


class _Asked(NamedTuple):
    """What a person said of where the backup is and where it goes."""

    snapshot: str
    vault: Path | None
    at: str | None
    identity: Path | None
    to: Path | None


def _places(
    terminal: Terminal, asked: _Asked, stack: ExitStack
) -> "tuple[Source, Path, Path | None, bool]":
    """What is recovered, to which folder, and the home whose missing files come back with it.

    The last is False when something was refused of an archive.
    """
    from holdfast.recovery.source import Source

    if asked.vault is not None or (asked.to is not None and is_path(asked.snapshot)):
        if asked.to is None:
            raise UsageError("--from needs --to: the folder that becomes the workspace")
        vault, identity, whole = _by_path(terminal, asked, asked.to.absolute(), stack)
        return Source(vault, identity), asked.to.absolute(), None, whole
    try:
        workspace = terminal.open()
    except HoldfastError as error:
        error.hint = "name the backup and the place: holdfast recover S --from VAULT --to DIR"
        raise
    root, home = workspace.layout.root, workspace.layout.home
    if is_path(asked.snapshot):
        vault, identity, whole = _by_path(terminal, asked, root, stack)
        return Source(vault, identity), root, home, whole
    site = workspace.site(asked.at)
    if asked.identity is not None:
        site.source.identity_files = [asked.identity]
    source = Source(workspace.vault_at(asked.at), asked.snapshot)
    if asked.to is None:
        return source, root, home, True
    return source, asked.to.absolute(), None, True


def _by_path(
    terminal: Terminal, asked: _Asked, target: Path, stack: ExitStack
) -> "tuple[Vault, str, bool]":
    """The vault and snapshot meant, for which no workspace is needed; whether all is there."""
    from holdfast.durable.files import remove_empty_folders
    from holdfast.recovery.order import state_of
    from holdfast.vault import Access, Vault
    from holdfast.vault.sites import key_source

    keys = key_source(asked.identity, ask=terminal.passphrase_prompt())
    if asked.vault is None:
        private = state_of(target)
        there = next(folder for folder in private.parents if folder.exists())
        # What a refusal or --dry-run leaves.
        stack.callback(remove_empty_folders, private / "scratch", below=there)
        return unpack(terminal, Path(asked.snapshot), keys, private, stack)
    return Vault.open(asked.vault, Access(keys)), asked.snapshot, True


def _tell(terminal: Terminal, report: "StepReport") -> None:
    if terminal.json:
        return
    click.echo(f"{'ok' if report.ok else 'FAILED':<7}{report.name}: {report.summary}")
    for line in report.output.splitlines():
        click.echo(f"       {line}")


def _summary(report: "RecoveryReport") -> str:
    failed = [each.name for each in report.steps if not each.ok]
    if not failed:
        return f"Recovered {report.target} from snapshot {report.snapshot[:12]}"
    return (
        f"Recovered {report.target}, but not all: {', '.join(failed)}; "
        "mend what is said above and run the same command again"
    )

"""``holdfast recover``: everything back, from a snapshot."""

from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING

import click
import msgspec

from holdfast.cli.restore import ask_to_replace, plan_text
from holdfast.cli.terminal import Terminal, command
from holdfast.errors import HoldfastError, UsageError

if TYPE_CHECKING:
    from holdfast.recovery.order import RecoveryReport, StepReport
    from holdfast.recovery.source import Source
    from holdfast.vault import RestoreReport


@command(
    None,
    "recover",
    examples=[
        "holdfast recover",
        "holdfast recover 1a2b3c4d --dry-run",
        "holdfast recover latest --from /mnt/disk/backups/development --to ~/development",
    ],
)
@click.argument("snapshot", metavar="[S]", default="latest")
@click.option("--to", type=click.Path(path_type=Path), help="Another folder than the workspace.")
@click.option(
    "--from",
    "vault",
    type=click.Path(path_type=Path, file_okay=False),
    help="The folder of a vault, where no workspace is left to name it.",
)
@click.option(
    "--home",
    type=click.Path(path_type=Path, file_okay=False),
    help="Bring the files of the home back too, below this folder, also over others.",
)
@click.option("--dry-run", is_flag=True, help="Show what would happen to files, change nothing.")
@click.option("--yes", is_flag=True, help="Do not ask before files are replaced.")
def recover(
    terminal: Terminal,
    snapshot: str,
    to: Path | None,
    vault: Path | None,
    home: Path | None,
    dry_run: bool,
    yes: bool,
) -> int:
    """Bring a whole workspace back: files, dependencies, configurations, services.

    Files come from the snapshot S; then requirements.txt is installed into .venv, what each MCP
    server needs with npm and pip, verify-mcp-setup.py is run, and initialize.py starts the
    services. A step that fails is shown, and the next ones are done all the same (exit status 1).

    Interrupted at any instant, the same command goes on. What is replaced goes to quarantine. In
    place, files of the home come back where they are missing; with --to only with --home.
    """
    from holdfast.cli.progress import Bar
    from holdfast.recovery.order import plan
    from holdfast.recovery.recover import recover as carry_out

    source, target, own_home = _places(terminal, snapshot, vault, to)
    at_home = home.absolute() if home is not None else own_home
    if dry_run:
        planned = plan(source, target, at_home, all_of_home=home is not None)
        terminal.emit(planned, lambda: plan_text(planned))
        return 0 if planned.healthy else 1
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
            home=at_home,
            all_of_home=home is not None,
            consent=consent,
            told=tell,
            progress=bar.update,
        )
    terminal.emit(msgspec.to_builtins(report), lambda: _summary(report))
    return 0 if report.healthy else 1


def _places(
    terminal: Terminal, snapshot: str, vault: Path | None, to: Path | None
) -> "tuple[Source, Path, Path | None]":
    """What is recovered, to which folder, and the home whose missing files come back with it."""
    from holdfast.recovery.source import Source
    from holdfast.vault import Vault

    if vault is not None:
        if to is None:
            raise UsageError("--from needs --to: the folder that becomes the workspace")
        return Source(Vault.open(vault), snapshot), to.absolute(), None
    try:
        workspace = terminal.open()
    except HoldfastError as error:
        error.hint = "name the vault and the place: holdfast recover S --from VAULT --to DIR"
        raise
    source = Source(workspace.vault, snapshot)
    if to is not None:
        return source, to.absolute(), None
    return source, workspace.layout.root, workspace.layout.home


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

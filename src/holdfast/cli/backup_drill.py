"""``holdfast backup drill``: the proof that all of a snapshot comes back."""

from pathlib import Path
from typing import TYPE_CHECKING

import click
import msgspec

from holdfast.cli.backup_options import AT
from holdfast.cli.places import Place
from holdfast.cli.terminal import Terminal, command
from holdfast.workspace.sizes import readable_size

if TYPE_CHECKING:
    from holdfast.vault import DrillReport


@command(
    None,
    "drill",
    examples=[
        "holdfast backup drill",
        "holdfast backup drill 1a2b3c4d --scratch /mnt/spare",
        "holdfast backup drill --at disk",
    ],
)
@click.argument("snapshot", metavar="[S]", default="latest")
@click.option(
    "--scratch",
    type=Place(file_okay=False),
    metavar="DIR",
    help="A folder with enough space; else the vault's own.",
)
@AT
def drill(terminal: Terminal, snapshot: str, scratch: Path | None, at: str | None) -> int:
    """Recover a whole snapshot into a scratch folder and look at all of it.

    Every file is compared with the snapshot, every database checked, every registry, queue and
    other store opened and counted. Then the folder is removed. The result is recorded, and status
    shows it. The exit status is 1 when anything did not come back as it was.
    """
    from holdfast.cli.progress import Bar
    from holdfast.upkeep.drill import drill as run

    workspace = terminal.open()
    with Bar("Drill", terminal) as bar:
        report = run(workspace, snapshot, at=at, scratch=scratch, progress=bar.update)
    for finding in report.findings:
        terminal.note(f"not as it was: {finding.path or finding.where}: {finding.problem}")
    document = {"healthy": report.healthy, **msgspec.to_builtins(report)}
    terminal.emit(document, lambda: _text(report))
    return 0 if report.healthy else 1


def _text(report: "DrillReport") -> str:
    lines = [f"{store.name:<10}{store.problem or store.holds}" for store in report.stores]
    outcome = (
        "all as it was" if report.healthy else f"{len(report.findings)} finding(s), NOT proven"
    )
    lines.append(
        f"Snapshot {report.snapshot[:12]}: {report.files} files, {readable_size(report.size)}, "
        f"{report.databases} databases recovered and compared in {report.seconds:.1f} s: {outcome}"
    )
    return "\n".join(lines)

"""``holdfast backup create``: to all destinations, as snapshot, archive, copy or commit."""

from typing import TYPE_CHECKING, Any

import click
import msgspec

from holdfast.cli.terminal import Terminal, command
from holdfast.workspace.sizes import readable_size

if TYPE_CHECKING:
    from holdfast.facade import Workspace
    from holdfast.vault.backing import Outcome, Report


@command(
    None,
    "create",
    examples=[
        "holdfast backup create",
        "holdfast backup create --tag before-upgrade --to disk",
        "holdfast backup create --kind archive",
        "holdfast backup create --everything",
    ],
)
@click.option("--to", multiple=True, metavar="NAME", help="Only this destination; repeatable.")
@click.option(
    "--kind",
    type=click.Choice(["snapshot", "archive", "copy", "git"]),
    help="Only this kind; archives and copies without a destination go beside the vault.",
)
@click.option("--tag", "tags", multiple=True, metavar="TAG", help="A label; may be repeated.")
@click.option("--everything", is_flag=True, help="Leave nothing out, not even node_modules.")
@click.option("--exclude", "excludes", multiple=True, metavar="PATTERN", help="As in .gitignore.")
def create(
    terminal: Terminal,
    to: tuple[str, ...],
    kind: Any,
    tags: tuple[str, ...],
    everything: bool,
    excludes: tuple[str, ...],
) -> int:
    """Back up to every destination and prove what was written.

    A snapshot is proven by a sampled restore, an archive and a copy by comparing every file. What
    can be regenerated (node_modules, __pycache__, .venv, caches) and what .holdfastignore names is
    left out. Files that cannot be read, and destinations that fail, are reported, and the exit
    status is 1; what one destination lacks does not keep the others back.
    """
    from holdfast.cli.progress import Bar
    from holdfast.errors import UsageError

    if to and kind is not None:
        raise UsageError("--to names destinations, and each has its kind: give one of the two")
    workspace = terminal.open()
    if kind == "git":
        return _commit(terminal, workspace)
    with Bar("Backup", terminal) as bar:
        outcomes = workspace.back_up(
            to, kind=kind, excludes=excludes, tags=tags, everything=everything, progress=bar.wanted
        )
    if len(outcomes) == 1 and outcomes[0].error is not None:
        raise outcomes[0].error
    for outcome in outcomes:
        _note(terminal, outcome, several=len(outcomes) > 1)
    documents = [outcome.as_dict() for outcome in outcomes]
    healthy = all(outcome.healthy for outcome in outcomes)
    terminal.emit(
        documents[0] if len(documents) == 1 else {"healthy": healthy, "destinations": documents},
        "\n".join(_line(outcome, several=len(outcomes) > 1) for outcome in outcomes),
    )
    return 0 if healthy else 1


def _commit(terminal: Terminal, workspace: "Workspace") -> int:
    report = workspace.history.save()
    commit = getattr(report, "commit", None)
    text = f"Commit {commit[:12]}" if commit else "Nothing to commit"
    terminal.emit({"healthy": report.healthy, **msgspec.to_builtins(report)}, text)
    return 0 if report.healthy else 1


def _note(terminal: Terminal, outcome: "Outcome", *, several: bool) -> None:
    about = f"{outcome.name}: " if several else ""
    if outcome.error is not None:
        terminal.note(f"{about}FAILED: {outcome.error}")
        return
    assert outcome.report is not None
    for problem in _problems(outcome.report):
        terminal.note(f"{about}not captured: {problem.path}: {problem.reason}")
    for finding in outcome.report.findings:
        terminal.note(f"{about}damage: {finding.path or finding.where}: {finding.problem}")
    for remark in getattr(outcome.report, "notes", ()):
        terminal.note(f"{about}{remark}")


def _problems(report: "Report") -> Any:
    snapshot = getattr(report, "snapshot", None)
    return report.problems if snapshot is None else snapshot.problems  # type: ignore[union-attr]


def _line(outcome: "Outcome", *, several: bool) -> str:
    from holdfast.vault.reports import ArchiveReport, CopyReport, SnapshotReport

    about = f"{outcome.name}: " if several else ""
    report = outcome.report
    if isinstance(report, SnapshotReport):
        totals = report.snapshot.totals
        return (
            f"{about}Snapshot {report.snapshot.id[:12]}: {totals.files} files "
            f"({totals.unchanged} unchanged), {readable_size(totals.size)}, "
            f"{readable_size(totals.stored)} added in {report.seconds:.1f} s{_proven(report)}"
        )
    if isinstance(report, ArchiveReport):
        proof = {"full": "every file compared", "sealed": "on the disk as written"}
        how = proof.get(str(report.proof), "NOT proven")
        return (
            f"{about}Archive {report.path}: {report.files} files, {readable_size(report.size)} in "
            f"{readable_size(report.stored)}, {report.seconds:.1f} s, {how}"
        )
    if isinstance(report, CopyReport):
        return (
            f"{about}Copy {report.path}: {report.files} files, {readable_size(report.size)}; "
            f"{report.linked} shared with the copy before, {report.cloned} with the source, "
            f"{readable_size(report.copied)} written in {report.seconds:.1f} s"
        )
    return f"{outcome.name}: FAILED"


def _proven(report: Any) -> str:
    if report.proof is None:
        return ", NOT proven"
    if report.proof.how == "sealed":
        return ", on the disk as written (without the key nothing can be restored to prove it)"
    return f", proven with {report.proof.files} files"

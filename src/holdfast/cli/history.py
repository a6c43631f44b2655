"""``holdfast history``: daily work saved as git commits."""

import base64
from pathlib import Path
from typing import TYPE_CHECKING, TypedDict

import click
import msgspec

from holdfast.cli.places import Place
from holdfast.cli.terminal import Terminal, command
from holdfast.errors import UsageError

if TYPE_CHECKING:
    from holdfast.facade import Workspace
    from holdfast.history import HistoryStatus, Names, RestoreReport, SaveReport

_LISTED = 20  # paths of one kind that people are shown
_PATH = Place()


class _SaveOptions(TypedDict):
    message: str | None
    allow_secrets: bool
    dry_run: bool


@click.group()
def history() -> None:
    """Daily work as git commits: save, look back, bring a file back.

    Relative paths are relative to the current folder if it lies in the repository, else to the
    workspace.
    """


@command(history, "status", examples=["holdfast history status", "holdfast history status --json"])
def status(terminal: Terminal) -> int:
    """Show the repository that holds the workspace, and what is not saved.

    The exit status is 1 when there is none, when the whole workspace is untracked, or when a merge,
    a conflict, a detached HEAD or a lock stands in the way of a save.
    """
    found = terminal.open().history.status()
    terminal.emit(found, lambda: _status_text(found))
    return 0 if found.healthy else 1


@command(history, "init", examples=["holdfast history init"])
def init(terminal: Terminal) -> None:
    """Make a git repository in the workspace, unless one holds it already."""
    kept = terminal.open().history
    made = kept.init()
    outcome = "made" if made else "there already"
    terminal.emit({"root": str(kept.root), "made": made}, f"Repository {kept.root}: {outcome}")


@command(
    history,
    "save",
    examples=[
        "holdfast history save",
        'holdfast history save -m "Teach the director to wait"',
        "holdfast history save configs agents/director-agent.py",
        "holdfast history save --configs",
        "holdfast history save --dry-run",
    ],
)
@click.argument("paths", nargs=-1, type=_PATH, metavar="[PATH]...")
@click.option("--configs", is_flag=True, help="Only the configurations, of the home too.")
@click.option("-m", "--message", metavar="MSG", help="The commit's message; else date and count.")
@click.option("--allow-secrets", is_flag=True, help="Commit also what looks like a secret.")
@click.option("--push", "to_remote", is_flag=True, help="Then push the branch to its remote.")
@click.option("--dry-run", is_flag=True, help="Show what would be committed, change nothing.")
def save(
    terminal: Terminal,
    paths: tuple[Path, ...],
    configs: bool,
    message: str | None,
    allow_secrets: bool,
    to_remote: bool,
    dry_run: bool,
) -> int:
    """Commit what changed in the workspace, or in some paths.

    What you have staged stays staged; .gitignore holds. Likely secrets are refused with exit status
    4. Every file is looked for in the commit afterwards; a missing one is reported, exit status 1.
    """
    workspace = terminal.open()
    options: _SaveOptions = {
        "message": message,
        "allow_secrets": allow_secrets,
        "dry_run": dry_run,
    }
    if configs:
        if paths:
            raise UsageError("name paths or give --configs, not both")
        report = workspace.history.save_configurations(workspace.layout.home, **options)
    else:
        report = workspace.history.save([_place(workspace, path) for path in paths], **options)
    for problem in report.problems:
        terminal.note(f"NOT SAVED: {problem.path}: {problem.reason}")
    for name in report.nested:
        terminal.note(f"not saved: {name} is a repository of its own; save it from there")
    pushed = workspace.history.push() if to_remote and not dry_run else None
    document = {
        "healthy": report.healthy,
        **msgspec.to_builtins(report),
        "pushed": msgspec.to_builtins(pushed),
    }
    sent = f"\nPushed {pushed.branch} to {pushed.url}" if pushed else ""
    terminal.emit(document, lambda: _save_text(report) + sent)
    return 0 if report.healthy else 1


@command(history, "push", examples=["holdfast history push"])
def push(terminal: Terminal) -> None:
    """Push the branch to its remote, as `save --push` does; no other command pushes."""
    pushed = terminal.open().history.push()
    terminal.emit(pushed, f"Pushed {pushed.branch} ({pushed.commit[:12]}) to {pushed.url}")


@command(
    history,
    "log",
    examples=["holdfast history log", "holdfast history log configs --limit 5"],
)
@click.argument("path", type=_PATH, required=False)
@click.option(
    "--limit",
    type=click.IntRange(1),
    default=20,
    show_default=True,
    metavar="N",
    help="How many at most.",
)
def log(terminal: Terminal, path: Path | None, limit: int) -> None:
    """List the commits that touched the workspace, or PATH; newest first."""
    workspace = terminal.open()
    place = None if path is None else _place(workspace, path)
    rows = [
        {
            **msgspec.to_builtins(commit),
            "short": commit.id[:12],
            "when": f"{commit.moment.astimezone():%Y-%m-%d %H:%M:%S}",
        }
        for commit in workspace.history.log(place, limit=limit)
    ]
    columns = {"short": "Commit", "when": "When", "author": "Author", "subject": "Message"}
    terminal.emit_rows(rows, columns, empty="No commit yet; make one with: holdfast history save")


@command(
    history,
    "show",
    examples=["holdfast history show HEAD", "holdfast history show HEAD~3:configs/holdfast.json"],
)
@click.argument("rev", metavar="REV[:PATH]")
def show(terminal: Terminal, rev: str) -> None:
    """Show what a commit changed, or print a file as it was then, byte by byte."""
    workspace = terminal.open()
    commit, colon, path = rev.partition(":")
    if colon:
        _show_file(terminal, workspace, commit or "HEAD", path)
        return
    detail = workspace.history.show(commit)

    def text() -> str:
        facts = detail.commit
        lines = [
            f"commit {facts.id}",
            f"{facts.author}, {facts.moment.astimezone():%Y-%m-%d %H:%M:%S}",
            "",
            detail.message,
            "",
            *(f"{change.kind:<9} {change.path}" for change in detail.changes),
        ]
        return "\n".join(lines)

    terminal.emit(detail, text)


@command(
    history,
    "restore",
    examples=[
        "holdfast history restore agents/director-agent.py",
        "holdfast history restore configs --rev HEAD~2 --dry-run",
    ],
)
@click.argument("file", type=_PATH)
@click.option("--rev", default="HEAD", show_default=True, metavar="REV", help="The commit.")
@click.option("--dry-run", is_flag=True, help="Show the plan, change nothing.")
@click.option("--yes", is_flag=True, help="Do not ask before files are replaced.")
def restore(terminal: Terminal, file: Path, rev: str, dry_run: bool, yes: bool) -> int:
    """Bring FILE (or all files of a folder) back from a commit.

    What differs goes to quarantine first. Files that the commit does not have are left alone.
    """
    workspace = terminal.open()
    place = _place(workspace, file)
    report = plan = workspace.history.restore(place, rev=rev, dry_run=True)
    if not dry_run:
        if plan.replaced:
            question = f"Replace {plan.replaced} file(s) by those of {plan.commit[:12]}?"
            if not yes:
                terminal.note(_restore_text(plan))
            hint = "look with --dry-run, then pass --yes"
            terminal.require_consent(question, yes=yes, hint=hint)
        report = workspace.history.restore(place, rev=plan.commit)
    for problem in report.problems:
        terminal.note(f"not restored: {problem.path}: {problem.reason}")
    document = {"healthy": report.healthy, **msgspec.to_builtins(report)}
    terminal.emit(document, lambda: _restore_text(report))
    return 0 if report.healthy else 1


def _place(workspace: "Workspace", path: Path) -> Path:
    """`path` as the user means it; see the group's help."""
    from holdfast.durable.names import is_within

    here = Path.cwd()
    within = is_within(here, workspace.history.root)
    return (here if within else workspace.layout.root) / path


def _show_file(terminal: Terminal, workspace: "Workspace", rev: str, path: str) -> None:
    content = workspace.history.read(_place(workspace, Path(path)), rev=rev)
    if not terminal.json:
        click.echo(content, nl=False)
        return
    document: dict[str, object] = {"rev": rev, "path": path, "size": len(content)}
    try:
        document["text"] = content.decode()
    except UnicodeDecodeError:
        document["base64"] = base64.b64encode(content).decode()
    terminal.emit(document, "")


def _status_text(found: "HistoryStatus") -> str:
    lines = [f"workspace   {found.workspace}"]
    if found.root is not None:
        commit = found.commit[:12] if found.commit else "no commit yet"
        lines += [
            f"repository  {found.root}",
            f"branch      {found.branch or 'none (detached)'} ({commit})",
            f"remote      {_remote(found)}",
            f"tracked     {found.tracked} files of the workspace",
        ]
        for title in ("staged", "modified", "untracked", "conflicted"):
            lines += _names_text(title, getattr(found, title))
    lines += [f"warning: {warning}" for warning in found.warnings]
    return "\n".join(lines)


def _remote(found: "HistoryStatus") -> str:
    if found.remote is None:
        return "local only"
    if found.ahead is None:
        return f"{found.remote} (no upstream)"
    return f"{found.remote} ({found.ahead} ahead, {found.behind} behind {found.upstream})"


def _save_text(report: "SaveReport") -> str:
    kinds = ("added", "modified", "deleted")
    counts = ", ".join(f"{getattr(report, kind).count} {kind}" for kind in kinds)
    if report.commit is not None:
        return f"Saved {report.commit[:12]} on {report.branch}: {counts}"
    if not report.dry_run or not report.changes:
        return "Nothing to save."
    lines = [f"Would save on {report.branch}: {counts}"]
    for kind in kinds:
        lines += _names_text(kind, getattr(report, kind))
    lines += [f"likely secret: {s.path}:{s.line}: {s.kind} {s.masked}" for s in report.secrets]
    return "\n".join(lines)


def _names_text(title: str, names: "Names") -> list[str]:
    if not names.count:
        return []
    lines = [f"{title:<11} {names.count}", *(f"  {path}" for path in names.paths[:_LISTED])]
    if names.count > _LISTED:
        lines.append(f"  … and {names.count - _LISTED} more")
    return lines


def _restore_text(report: "RestoreReport") -> str:
    steps = [step for step in report.paths if step.action != "unchanged"]
    lines = [f"{step.action:<9} {step.path}" for step in steps[:_LISTED]]
    if len(steps) > _LISTED:
        lines.append(f"… and {len(steps) - _LISTED} more (all with --json)")
    unchanged = len(report.paths) - len(steps)
    verb = "To restore" if report.dry_run else "Restored"
    kept = f"; {len(report.quarantined)} kept in quarantine" if report.quarantined else ""
    lines.append(f"{verb} from {report.commit[:12]}: {len(steps)}, {unchanged} unchanged{kept}")
    return "\n".join(lines)

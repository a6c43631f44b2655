"""``holdfast guard``: hooks that make an undo point before an agent's tool runs."""

from typing import TYPE_CHECKING

import click
import msgspec

from holdfast.cli.terminal import Terminal, command

if TYPE_CHECKING:
    from holdfast.claude.guest_file import Edit
    from holdfast.guard.installation import GuardStatus, Scope
    from holdfast.guard.secrets.git_hook import GitHook

_SCOPE = click.option(
    "--scope",
    type=click.Choice(["home", "workspace"]),
    default="home",
    show_default=True,
    help="Claude Code's settings of the home (every project) or of the workspace.",
)
_GIT = click.option(
    "--git", is_flag=True, help="Git's pre-commit hook instead: no commit with a secret in it."
)
_DRY_RUN = click.option("--dry-run", is_flag=True, help="Show what would change, change nothing.")


@click.group()
def guard() -> None:
    """Undo points before an agent's tool runs: what it destroys comes back with 'undo'."""


@command(
    guard,
    "install",
    examples=[
        "holdfast guard install --dry-run",
        "holdfast guard install --scope workspace",
        "holdfast guard install --git",
    ],
)
@_SCOPE
@_GIT
@_DRY_RUN
def install(terminal: Terminal, scope: "Scope", git: bool, dry_run: bool) -> None:
    """Set hooks in Claude Code's settings, and take the first snapshot.

    Before a shell command runs, the workspace is in a snapshot; before a file is written or edited,
    its bytes are kept. With 'holdfast schedule watch' running this takes a few hundredths of a
    second. If no point can be made the tool runs all the same, and Claude Code shows why.
    """
    from holdfast.guard.installation import install as change
    from holdfast.guard.recording import first_snapshot
    from holdfast.guard.secrets.git_hook import install_git_hook

    workspace = terminal.open()
    if git:
        _emit_hook(terminal, install_git_hook(workspace.layout, dry_run=dry_run), dry_run)
        return
    edit = change(workspace, scope, dry_run=dry_run)
    if not dry_run:
        first_snapshot(workspace)
    _emit(terminal, edit, "installed", dry_run)


@command(guard, "uninstall", examples=["holdfast guard uninstall"])
@_SCOPE
@_GIT
@_DRY_RUN
def uninstall(terminal: Terminal, scope: "Scope", git: bool, dry_run: bool) -> None:
    """Take the hooks out of Claude Code's settings; the points stay."""
    from holdfast.guard.installation import uninstall as change
    from holdfast.guard.secrets.git_hook import uninstall_git_hook

    if git:
        hook = uninstall_git_hook(terminal.open().layout, dry_run=dry_run)
        _emit_hook(terminal, hook, dry_run)
        return
    _emit(terminal, change(terminal.open(), scope, dry_run=dry_run), "taken out", dry_run)


@command(guard, "status", examples=["holdfast guard status"])
def status(terminal: Terminal) -> int:
    """Show where the hooks are set and when they last made a point. Exits 1 if they are not."""
    from holdfast.guard.installation import guard_status

    found = guard_status(terminal.open())
    terminal.emit(found, lambda: _status_text(found))
    return 0 if found.healthy else 1


def _emit(terminal: Terminal, edit: "Edit", done: str, dry_run: bool) -> None:
    document = {
        "dryRun": dry_run,
        "path": str(edit.path),
        "changed": edit.changed,
        "changes": [msgspec.to_builtins(each) for each in edit.differences],
    }
    lines = [f"{each.kind:<8} {'.'.join(each.keys)}" for each in edit.differences]
    state = ("would be " if dry_run else "") + done if edit.changed else "nothing to change"
    terminal.emit(document, "\n".join([*lines, f"{edit.path}: {state}"]))


def _emit_hook(terminal: Terminal, hook: "GitHook", dry_run: bool) -> None:
    if not hook.changed:
        state = "nothing to change"
    else:
        done = "installed" if hook.installed else "taken out"
        state = f"would be {done}" if dry_run else done
    first = f"; it runs {hook.runs_first} first" if hook.runs_first else ""
    document = {"dryRun": dry_run, **msgspec.to_builtins(hook)}
    terminal.emit(document, f"{hook.path}: {state}{first}")


def _status_text(found: "GuardStatus") -> str:
    lines = []
    for each in found.settings:
        lines.append(f"{each.scope:<10} {'installed' if each.installed else '-':<10} {each.path}")
        lines += [f"  PROBLEM: {problem}" for problem in each.problems]
    if not any(each.installed for each in found.settings):
        lines.append("not installed: holdfast guard install")
    quick = "yes" if found.watched else "no (start it: holdfast schedule watch)"
    lines.append(f"watched    {quick}")
    lines.append(f"points     {found.points}, the last one {found.last_point or 'never'}")
    return "\n".join(lines)

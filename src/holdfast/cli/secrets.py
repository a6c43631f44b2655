"""``holdfast secrets``: found, moved away, masked, traced. No command here prints a value."""

import sys
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click
import msgspec

from holdfast.cli.consoles import is_terminal
from holdfast.cli.places import Place
from holdfast.cli.terminal import Terminal, command
from holdfast.errors import NotFoundError

if TYPE_CHECKING:
    from holdfast.guard.secrets.scan import Report


@click.group()
def secrets() -> None:
    """Secrets: scan for them, move them to the keyring, mask them, trace a leak."""


@command(
    secrets,
    "scan",
    examples=[
        "holdfast secrets scan",
        "holdfast secrets scan configs/environment.json",
        "holdfast secrets scan --staged",
        "holdfast secrets scan tests/data --accept",
    ],
)
@click.argument("path", required=False, type=Place())
@click.option("--staged", is_flag=True, help="What git is about to commit, as it is staged.")
@click.option("--accept", "accepting", is_flag=True, help="Accept what is found, once and for all.")
def scan(terminal: Terminal, path: Path | None, staged: bool, accepting: bool) -> int:
    """Look for secrets: in the workspace's files and logs, and in the home's settings,
    transcripts and shell snapshots; or only in PATH. Exits 1 if there are any.

    What is accepted is in configs/secrets-baseline.json, by fingerprints, and is not shown again.
    A single line is accepted by the comment 'pragma: allowlist secret' in it.
    """
    from holdfast.cli.progress import Bar
    from holdfast.errors import UsageError
    from holdfast.guard.secrets.scan import accept
    from holdfast.guard.secrets.scan import scan as look
    from holdfast.guard.secrets.staged import scan_staged

    if staged and path is not None:
        raise UsageError("--staged looks at all that is staged; leave the path out")
    layout = terminal.open().layout if accepting else terminal.layout()
    if staged:
        report = scan_staged(layout)
    else:
        with Bar("Looking for secrets", terminal) as bar:
            report = look(layout, path, progress=bar.update)
    accepted = accept(layout, report) if accepting else 0
    _emit_report(terminal, report, accepted if accepting else None)
    return 0 if accepting or not report.findings else 1


def _emit_report(terminal: Terminal, report: "Report", accepted: int | None) -> None:
    document: dict[str, object] = {
        **({"newlyAccepted": accepted} if accepted is not None else {}),
        "files": report.files,
        "accepted": report.accepted,
        "findings": [msgspec.to_builtins(each) for each in report.findings],
        "unread": [msgspec.to_builtins(each) for each in report.unread],
    }
    terminal.emit(document, lambda: _report_text(report, accepted))
    if report.accepted_elsewhere:
        terminal.note(
            f"{report.accepted_elsewhere} findings were accepted on another machine, whose key is "
            "not here: they count again"
        )


def _report_text(report: "Report", accepted: int | None) -> str:
    lines = []
    for finding in report.findings:
        lines += [str(finding), f"    {finding.way_out}"]
    lines += [f"{each.path}: {each.reason}" for each in report.unread]
    found = f"{len(report.findings)} likely secrets in {report.files} files"
    known = f", {report.accepted} accepted before" if report.accepted else ""
    done = f"; {accepted} accepted now" if accepted is not None else ""
    return "\n".join([*lines, found + known + done])


@command(
    secrets,
    "move",
    examples=[
        "holdfast secrets move .env --all",
        "holdfast secrets move .mcp.json --line 7 --name GITHUB_TOKEN",
        "holdfast secrets move app.yaml --line 3 --reference '${{name}}' --dry-run",
    ],
)
@click.argument("path", type=Place())
@click.option("--line", type=int, metavar="N", help="The line that the scan shows.")
@click.option("--name", help="What the secret is called; else as its key or variable is.")
@click.option("--all", "everything", is_flag=True, help="All secrets of the file.")
@click.option("--reference", metavar="TEXT", help="What the file gets instead, with {name}.")
@click.option("--dry-run", is_flag=True, help="Show what would change, change nothing.")
def move(terminal: Terminal, path: Path, dry_run: bool, **options: Any) -> None:
    """Move a secret out of a file: into the system's keyring, or where there is none into a file
    encrypted with age. The file keeps a reference.

    Services get it in their environment under its name; other programs are started with
    'holdfast secrets run -- PROGRAM'. 'holdfast undo' brings the file back as it was.
    """
    from holdfast.guard.secrets.moving import move as carry_out

    moved = carry_out(terminal.open(), path, dry_run=dry_run, **options)
    document = {
        "dryRun": dry_run,
        "path": str(path),
        "moved": [msgspec.to_builtins(each) for each in moved],
    }
    would = "would be " if dry_run else ""
    lines = [
        f"{path}:{each.line}: {each.name} {would}moved"
        + (f" to the {each.kept_in}" if each.kept_in else "")
        + f", {each.reference} is in its place"
        for each in moved
    ]
    terminal.emit(document, "\n".join(lines))
    if not dry_run:
        terminal.note(
            "It was in clear until now: commits, snapshots, logs and the undo point may hold it "
            f"(holdfast secrets trace --name {moved[0].name})"
        )


@command(secrets, "list", examples=["holdfast secrets list", "holdfast secrets list --json"])
def list_(terminal: Terminal) -> int:
    """Show the names of the secrets that are kept, where, and which files refer to them.

    Exits 1 if a file refers to one that is not here.
    """
    from holdfast.guard.secrets.uses import kept_secrets

    found = kept_secrets(terminal.open())
    rows = [msgspec.to_builtins(each) for each in found]
    if not terminal.json:
        rows = [{**row, "usedIn": ", ".join(row["usedIn"])} for row in rows]
    columns = {"name": "NAME", "keptIn": "KEPT IN", "usedIn": "USED IN", "problem": "PROBLEM"}
    terminal.emit_rows(rows, columns, empty="no secret is kept: holdfast secrets move FILE")
    return 1 if any(each.problem for each in found) else 0


@command(
    secrets,
    "set",
    examples=[
        "holdfast secrets set GITHUB_TOKEN",
        "pass github | holdfast secrets set GITHUB_TOKEN",
    ],
)
@click.argument("name")
@click.option("--yes", is_flag=True, help="Replace the value that is kept under this name.")
def set_(terminal: Terminal, name: str, yes: bool) -> None:
    """Keep a secret; its value comes from a prompt or the first line of standard input."""
    from holdfast.guard.secrets.moving import give_to_services
    from holdfast.secrets.store import check_name

    workspace = terminal.open()
    check_name(name)
    if name in {each.name for each in workspace.secrets.list()}:
        terminal.require_consent(f"replace the value of {name}?", yes=yes)
    kept_in = workspace.secrets.put(name, _value_asked("Value"))
    give_to_services(workspace.layout, [name])
    document = {"name": name, "keptIn": kept_in}
    terminal.emit(document, f"{name} is in the {kept_in}; services get it in their environment")


@command(secrets, "remove", examples=["holdfast secrets remove GITHUB_TOKEN --yes"])
@click.argument("name")
@click.option("--yes", is_flag=True, help="Do not ask.")
def remove(terminal: Terminal, name: str, yes: bool) -> None:
    """Forget a secret for good; files that refer to it are left as they are."""
    workspace = terminal.open()
    terminal.require_consent(f"forget {name} for good?", yes=yes)
    workspace.secrets.remove(name)
    terminal.emit({"removed": name}, f"{name} is forgotten")


@command(
    secrets,
    "run",
    examples=["holdfast secrets run -- claude", "holdfast secrets run --only DB_URL -- psql"],
)
@click.option("--only", multiple=True, metavar="NAME", help="This secret only; may be repeated.")
@click.argument("program", nargs=-1, required=True, type=click.UNPROCESSED)
def run(terminal: Terminal, only: tuple[str, ...], program: tuple[str, ...]) -> int:
    """Run a program that finds the secrets in its environment; returns its exit status.

    So ${NAME} in a client's files or in .env has its value. Holdfast's logs redact them there.
    """
    from holdfast.guard.secrets.running import run_with_secrets

    return run_with_secrets(terminal.open(), program, only)


@command(
    secrets,
    "mask",
    examples=["docker logs web | holdfast secrets mask", "holdfast secrets mask < session.jsonl"],
)
def mask(terminal: Terminal) -> None:
    """Copy standard input to standard output, line by line, with the secrets masked.

    Masked are texts in the shape of a secret, and the secrets that this workspace keeps.
    """
    from holdfast.errors import HoldfastError
    from holdfast.secrets.masking import masked_lines

    known = []
    with suppress(NotFoundError):  # outside of a workspace the shapes are all there is
        workspace = terminal.open()
        for each in workspace.secrets.list():
            with suppress(HoldfastError):
                known.append(workspace.secrets.get(each.name))
    for line in masked_lines(sys.stdin.buffer, known):
        sys.stdout.buffer.write(line)
        sys.stdout.buffer.flush()


@command(
    secrets,
    "trace",
    examples=["holdfast secrets trace", "holdfast secrets trace --name GITHUB_TOKEN --json"],
)
@click.option("--name", help="A secret that is kept here; else the value is asked for.")
def trace(terminal: Terminal, name: str | None) -> int:
    """Show every place that holds a leaked value: commits, snapshots, files, logs, transcripts,
    messages, runs and events. Exits 1 if there is one.

    The value comes from a prompt or the first line of standard input, never from the command line,
    which every process on the machine can read. Only places are shown.
    """
    from holdfast.cli.progress import Bar
    from holdfast.guard.secrets.tracing import trace as look

    workspace = terminal.open()
    value = workspace.secrets.get(name) if name else _value_asked("Leaked value")
    with Bar("Looking for the value", terminal) as bar:
        found = look(workspace, value, progress=bar.update)

    def text() -> str:
        lines = [f"{each.kind:<12} {each.where}" for each in found.places]
        lines += [f"{'NOT READ':<12} {each.path}: {each.reason}" for each in found.unread]
        lines.append(f"{len(found.places)} places hold it")
        return "\n".join([*lines, *(["revoke it at its provider first"] * bool(found.places))])

    terminal.emit(found, text)
    return 1 if found.places else 0


def _value_asked(what: str) -> str:
    """A value from a prompt that does not show it, or from the first line of standard input."""
    if is_terminal(sys.stdin):
        return str(click.prompt(what, hide_input=True, err=True))
    return sys.stdin.readline().rstrip("\r\n")

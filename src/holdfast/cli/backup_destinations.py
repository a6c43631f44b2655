"""``holdfast backup destinations``: where backups go."""

import os
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click
import msgspec

from holdfast.cli.places import Place
from holdfast.cli.terminal import Terminal, command
from holdfast.workspace.sizes import readable_size

if TYPE_CHECKING:
    from holdfast.vault.rule import ThreeTwoOne
    from holdfast.vault.sites import SiteState


@click.group()
def destinations() -> None:
    """Where backups go: list, add, remove, check, copy snapshots from one to another."""


_KINDS = ["snapshot", "archive", "copy"]
_COLUMNS = {
    "name": "Destination",
    "kind": "Kind",
    "state": "State",
    "holds": "Backups",
    "latest": "Newest",
    "secrecy": "Encrypted",
    "folder": "Folder",
}


@command(destinations, "list", examples=["holdfast backup destinations list"])
def list_(terminal: Terminal) -> int:
    """List the destinations, what they hold, and how far the 3-2-1 rule is kept."""
    from holdfast.vault.rule import evaluate
    from holdfast.vault.sites import site_state

    workspace = terminal.open()
    sites = workspace.sites
    states = [site_state(site) for site in sites]
    rule = evaluate(workspace.layout.root, sites, states)
    if terminal.json:
        terminal.emit({"destinations": states, "rule": rule}, "")
    else:
        terminal.emit_rows([_row(state) for state in states], _COLUMNS, empty="")
        terminal.note(rule_text(rule))
    return 1 if any(state.state in ("absent", "unreadable") for state in states) else 0


@command(
    destinations,
    "add",
    examples=[
        "holdfast backup destinations add disk /media/disk/backups",
        "holdfast backup destinations add nas //nas/backups --elsewhere --recipient age1...",
        "holdfast backup destinations add weekly ../archives --kind archive",
    ],
)
@click.argument("name")
@click.argument("folder", type=Place())
@click.option("--kind", type=click.Choice(_KINDS), default="snapshot", help="[snapshot]")
@click.option("--recipient", "recipients", multiple=True, metavar="AGE1", help="Encrypt for it.")
@click.option("--passphrase", is_flag=True, help="Encrypt with a passphrase.")
@click.option("--passphrase-file", type=Place(), metavar="FILE", help="It is in there.")
@click.option("--identity", type=Place(), metavar="FILE", help="Private key.")
@click.option("--keyring", metavar="NAME", help="The private key's name in the system's keyring.")
@click.option("--elsewhere", is_flag=True, help="It is in another house.")
def add(
    terminal: Terminal,
    name: str,
    folder: Path,
    kind: Any,
    recipients: tuple[str, ...],
    passphrase: bool,
    passphrase_file: Path | None,
    identity: Path | None,
    keyring: str | None,
    elsewhere: bool,
) -> None:
    """Add a destination to the settings and make it ready.

    An encrypted one is encrypted from its first byte; one in clear stays in clear.
    """
    from holdfast.durable.names import check_identifier
    from holdfast.errors import UsageError
    from holdfast.vault.identities import check_recipient
    from holdfast.workspace.destinations import add_destination, remove_destination
    from holdfast.workspace.settings import DestinationEntry

    workspace = terminal.open()
    if kind == "copy" and (recipients or passphrase or passphrase_file):
        raise UsageError("copies are plain folders: they cannot be encrypted")
    entry = DestinationEntry(
        name=check_identifier(name, "destination's name"),
        folder=os.path.abspath(folder),  # noqa: PTH100
        kind=kind,
        recipients=tuple(check_recipient(one) for one in recipients),
        passphrase=passphrase,
        passphrase_file=_absolute(passphrase_file),
        identity=_absolute(identity),
        keyring=keyring,
        elsewhere=elsewhere,
    )
    add_destination(workspace.layout, entry)
    try:
        opened = terminal.open(new_passphrase=True)
        site = opened.site(name)
        site.make() if kind == "snapshot" else site.prepare_folder()
    except BaseException:
        remove_destination(workspace.layout, name)
        raise
    terminal.emit({"name": name, "folder": entry.folder}, f"Added {name}: {entry.folder}")


@command(destinations, "remove", examples=["holdfast backup destinations remove disk"])
@click.argument("name")
def remove(terminal: Terminal, name: str) -> None:
    """Take a destination out of the settings; the backups there stay as they are."""
    from holdfast.workspace.destinations import remove_destination

    workspace = terminal.open()
    site = workspace.site(name)
    remove_destination(workspace.layout, name)
    site.forget()
    folder = str(site.folder)
    terminal.emit(
        {"name": name, "folder": folder}, f"{name} is no destination any more; {folder} stays"
    )


@command(
    destinations,
    "check",
    examples=[
        "holdfast backup destinations check",
        "holdfast backup destinations check disk --anew",
    ],
)
@click.argument("name", required=False, metavar="[NAME]")
@click.option("--anew", is_flag=True, help="Take what is there now for the destination.")
def check(terminal: Terminal, name: str | None, anew: bool) -> int:
    """Tell whether the destinations are there and can be read; exit 1 when one is not."""
    from holdfast.errors import UsageError
    from holdfast.vault.sites import site_state

    workspace = terminal.open()
    sites = workspace.sites if name is None else [workspace.site(name)]
    if anew:
        if name is None:
            raise UsageError("--anew needs the name of a destination")
        sites[0].forget()
    states = [site_state(site) for site in sites]
    for state in states:
        if state.state == "absent":
            terminal.note(f"{state.name}: not there; is its disk plugged in? {state.folder}")
        elif state.problem:
            terminal.note(f"{state.name}: {state.problem}")
    terminal.emit_rows(
        states if terminal.json else [_row(state) for state in states],  # type: ignore[arg-type]
        _COLUMNS,
        empty="",
    )
    return 1 if any(state.state in ("absent", "unreadable") for state in states) else 0


@command(
    destinations,
    "sync",
    examples=[
        "holdfast backup destinations sync backups disk",
        "holdfast backup destinations sync backups disk latest",
    ],
)
@click.argument("source", metavar="FROM")
@click.argument("target", metavar="TO")
@click.argument("snapshots", nargs=-1, metavar="[S]...")
def sync(terminal: Terminal, source: str, target: str, snapshots: tuple[str, ...]) -> int:
    """Copy snapshots from one destination to another, all that are missing there or those named.

    The files themselves are not read again. An encrypted source needs its private key; the two may
    be encrypted differently.
    """
    from holdfast.cli.progress import Bar
    from holdfast.vault import Vault

    workspace = terminal.open()
    theirs = workspace.vault_at(source)
    ours = Vault(workspace.site(target).make())
    with Bar("Sync", terminal) as bar:
        report = ours.copy_from(theirs, snapshots or None, progress=bar.update)
    for finding in report.findings:
        terminal.note(f"not copied: {finding.where}: {finding.problem}")
    terminal.emit(
        {"healthy": report.healthy, **msgspec.to_builtins(report)},
        f"{len(report.copied)} snapshots copied ({readable_size(report.stored)} added), "
        f"{report.there} were in {target} before",
    )
    return 0 if report.healthy else 1


def rule_text(rule: "ThreeTwoOne") -> str:
    """The 3-2-1 rule as people read it."""
    verdict = "kept" if rule.kept else "not kept"
    lines = [
        f"3-2-1 rule {verdict}: copies {rule.copies} (with the files themselves), "
        f"devices {rule.devices}, elsewhere {rule.elsewhere}"
    ]
    return "\n".join([*lines, *(f"  {remark}" for remark in rule.remarks)])


def _row(state: "SiteState") -> dict[str, Any]:
    latest = f"{state.newest.astimezone():%Y-%m-%d %H:%M:%S}" if state.newest else "never"
    secrecy = "yes" if state.encrypted else "no"
    return {**msgspec.to_builtins(state), "latest": latest, "secrecy": secrecy}


def _absolute(path: Path | None) -> str | None:
    return None if path is None else os.path.abspath(path)  # noqa: PTH100

"""``holdfast backup key``: who can read the backups. No private key is ever printed."""

from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click
import msgspec

from holdfast.cli.backup_options import AT
from holdfast.cli.places import Place
from holdfast.cli.terminal import Terminal, command

if TYPE_CHECKING:
    from holdfast.facade import Workspace
    from holdfast.vault.keys import VaultKeys


@click.group()
def key() -> None:
    """Who can read the backups: show, generate a key, add or remove recipients."""


@command(key, "show", examples=["holdfast backup key show", "holdfast backup key show --at disk"])
@AT
def show(terminal: Terminal, at: str | None) -> None:
    """Show whom new backups are encrypted for, and whom the older ones."""
    workspace = terminal.open()
    site = workspace.site(at)
    keys = _keys(workspace, at).keys()
    readable = site.source.is_at_hand()

    def text() -> str:
        lines = []
        for number, each in enumerate(reversed(keys)):
            since = _moment(each.created)
            lines.append(f"{'new data, since' if not number else 'older, since'} {since}:")
            lines += [f"  {one}" for one in each.recipients]
            lines += ["  a passphrase"] * each.passphrase
        found = "a private key or passphrase is at hand" if readable else "no private key here"
        return "\n".join([*lines, found])

    terminal.emit({"keys": msgspec.to_builtins(keys), "keyAtHand": readable}, text)


@command(
    key,
    "generate",
    examples=[
        "holdfast backup key generate",
        "holdfast backup key generate --file /media/stick/backup-key.txt",
        "holdfast backup key generate --keyring backups",
    ],
)
@click.option("--file", "path", type=Place(), help="Where the private key goes.")
@click.option("--keyring", metavar="NAME", help="Into the system's keyring, under this name.")
def generate(terminal: Terminal, path: Path | None, keyring: str | None) -> None:
    """Make a private key and print its public key, which is the recipient to give.

    Without an option it goes to the file in the user's configuration folder that is looked at by
    itself. Keep another copy of it in a safe place: without it the backups are lost.
    """
    from holdfast.errors import UsageError
    from holdfast.vault.identities import generate_identity, generate_in_keyring
    from holdfast.vault.sites import default_identity

    if path is not None and keyring is not None:
        raise UsageError("a key goes into a file or the keyring, not both")
    if keyring is not None:
        public, place = generate_in_keyring(keyring), f"keyring: {keyring}"
    else:
        chosen = (path or default_identity()).absolute()
        public, place = generate_identity(chosen), str(chosen)
    terminal.note(f"The private key is in {place}. Keep a copy of it elsewhere.")
    terminal.emit({"recipient": public, "place": place}, public)


@command(key, "add", examples=["holdfast backup key add age1... --at disk"])
@click.argument("recipient")
@AT
def add(terminal: Terminal, recipient: str, at: str | None) -> None:
    """Encrypt what is backed up from now on for this recipient, too.

    What is in the vault already stays as it is; no private key is needed.
    """
    from holdfast.vault.identities import check_recipient

    checked = check_recipient(recipient)
    _change(terminal, at, lambda people: sorted({*people, checked}))


@command(key, "remove", examples=["holdfast backup key remove age1... --at disk"])
@click.argument("recipient")
@AT
def remove(terminal: Terminal, recipient: str, at: str | None) -> None:
    """Encrypt what is backed up from now on for this recipient no more.

    What is in the vault already can still be read with that key.
    """
    from holdfast.errors import NotFoundError

    def without(people: list[str]) -> list[str]:
        if recipient not in people:
            raise NotFoundError("new data is not encrypted for this recipient")
        return [one for one in people if one != recipient]

    _change(terminal, at, without)


@command(key, "passphrase", examples=["holdfast backup key passphrase --at disk"])
@AT
def passphrase(terminal: Terminal, at: str | None) -> None:
    """Set the passphrase for what is backed up from now on; the older data keeps the old one.

    It is taken from HOLDFAST_PASSPHRASE, the destination's passphraseFile or a prompt.
    """
    from holdfast.errors import UsageError

    workspace = terminal.open(new_passphrase=True)
    keys = _keys(workspace, at)
    new = keys.passphrase()
    if not new:
        raise UsageError("no passphrase was given", hint="set HOLDFAST_PASSPHRASE")
    made = keys.make(keys.keys()[-1].recipients, new)
    terminal.emit({"key": msgspec.to_builtins(made)}, "The passphrase holds for new data")


def _change(terminal: Terminal, at: str | None, change: Any) -> None:
    from holdfast.errors import UsageError
    from holdfast.workspace.destinations import set_recipients

    workspace = terminal.open()
    site = workspace.site(at)
    keys = _keys(workspace, at)
    newest = keys.keys()[-1]
    people = change(list(newest.recipients))
    if people != sorted(newest.recipients):
        word = keys.passphrase() if newest.passphrase else None
        if newest.passphrase and word is None:
            raise UsageError("the passphrase is needed, too", hint="set HOLDFAST_PASSPHRASE")
        keys.make(people, word)
        if site.destination.recipients:
            set_recipients(workspace.layout, site.name, people)
    terminal.emit(
        {"recipients": people},
        "New data is encrypted for:\n" + "\n".join(f"  {one}" for one in people),
    )


def _keys(workspace: "Workspace", at: str | None) -> "VaultKeys":
    from holdfast.errors import UsageError

    keys = workspace.vault_at(at).keys
    if keys is None:
        raise UsageError(
            "this vault is not encrypted",
            path=workspace.site(at).folder,
            hint="make one: holdfast backup destinations add NAME FOLDER --recipient age1...",
        )
    return keys


def _moment(moment: datetime) -> str:
    return f"{moment.astimezone():%Y-%m-%d %H:%M}"

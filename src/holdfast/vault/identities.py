"""Keys of people: age identities and passphrases, and where they are found.

Nothing here prints or logs a secret, and no error repeats one.
"""

import os
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from holdfast.durable.files import read_bytes
from holdfast.errors import ConflictError, MissingError, UnreadableError, UsageError
from holdfast.secrets.identities import (
    PREFIX,
    generate_identity,
    new_pair,
    parse_identity,
    read_identities,
    secret_lines,
)

__all__ = [
    "KeySource",
    "check_recipient",
    "generate_identity",
    "generate_in_keyring",
    "read_passphrase",
]

IDENTITY_VARIABLE = "HOLDFAST_IDENTITY"
PASSPHRASE_VARIABLE = "HOLDFAST_PASSPHRASE"  # noqa: S105
_KEYRING_SERVICE = "holdfast"


def check_recipient(text: str) -> str:
    """`text` if it is an age public key (X25519); else `UsageError`."""
    import pyrage

    try:
        return str(pyrage.x25519.Recipient.from_str(text.strip()))
    except pyrage.RecipientError as error:
        hint = "it begins with age1; make one with: holdfast backup key generate"
        # A private key given by mistake must not come back in a message.
        shown = "this" if text.strip().upper().startswith(PREFIX) else repr(text)
        raise UsageError(f"{shown} is no age public key: {error}", hint=hint) from error


@dataclass
class KeySource:
    """Where private keys come from: files, the system's keyring, a passphrase.

    `ask` is called at most once, when a passphrase is needed and neither the environment nor
    `passphrase_file` has it; it returns None when nobody can be asked.
    """

    identity_files: Sequence[Path] = ()
    keyring_names: Sequence[str] = ()
    passphrase_file: Path | None = None
    ask: Callable[[], str | None] | None = None
    _passphrase: str | None = None
    _asked: bool = False
    _identities: list[Any] | None = field(default=None, repr=False)

    def identities(self) -> list[Any]:
        """The private keys found. Raises `UnreadableError` for a file that holds none."""
        if self._identities is None:
            texts = [read_identities(path) for path in self._files()]
            texts += [text for name in self.keyring_names if (text := _from_keyring(name))]
            self._identities = [
                parse_identity(line) for text in texts for line in secret_lines(text)
            ]
        return self._identities

    def is_at_hand(self) -> bool:
        """Whether there is a key without asking anybody."""
        known = self._passphrase is not None or self.passphrase_file is not None
        known = known or bool(os.environ.get(PASSPHRASE_VARIABLE))
        return known or bool(self.identities())

    def passphrase(self) -> str | None:
        """The passphrase, or None when there is none. Raises `UnreadableError`."""
        if self._passphrase is None and not self._asked:
            self._asked = True
            self._passphrase = self._find_passphrase()
        return self._passphrase

    def _find_passphrase(self) -> str | None:
        if given := os.environ.get(PASSPHRASE_VARIABLE):
            return given
        if self.passphrase_file is not None:
            return read_passphrase(self.passphrase_file)
        return self.ask() if self.ask is not None else None

    def _files(self) -> list[Path]:
        named = os.environ.get(IDENTITY_VARIABLE)
        return [*self.identity_files, *([Path(named)] if named else [])]


def read_passphrase(path: Path) -> str:
    """The first line of the file. Raises `UnreadableError`, `NotFoundError`."""
    try:
        line = read_bytes(path).decode("utf-8-sig").splitlines()
    except UnicodeDecodeError as error:
        raise UnreadableError("the passphrase file is no UTF-8 text", path=path) from error
    if not line or not line[0]:
        raise UnreadableError("the passphrase file is empty", path=path)
    return line[0]


def generate_in_keyring(name: str) -> str:
    """Make a private key in the system's keyring; returns the public key.

    Raises `ConflictError` when the name is taken, `MissingError` without a keyring.
    """
    if _from_keyring(name):
        raise ConflictError(f"the keyring has a key {name!r} already")
    secret, public = new_pair()
    import keyring
    from keyring.errors import KeyringError

    try:
        keyring.set_password(_KEYRING_SERVICE, name, secret)
    except KeyringError as error:
        raise _no_keyring(error) from error
    return public


def _from_keyring(name: str) -> str | None:
    import keyring
    from keyring.errors import KeyringError

    try:
        return keyring.get_password(_KEYRING_SERVICE, name)
    except KeyringError as error:
        raise _no_keyring(error) from error


def _no_keyring(error: Exception) -> MissingError:
    hint = "keep the key in a file: holdfast backup key generate --file FILE"
    return MissingError(f"the system's keyring cannot be used: {type(error).__name__}", hint=hint)

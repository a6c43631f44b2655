"""Where secrets are kept: the system's keyring, or files encrypted with age where there is none.

::

    <folder>/secret-NAME.keyring     says that the keyring has NAME; it holds no value
    <folder>/secret-NAME.age         the value, for the identity that lies outside of the workspace

One file a name: two writers of different secrets never meet, and a crash leaves whole files.
``HOLDFAST_KEYRING=file`` chooses the files where there is a keyring.
"""

import os
import re
from contextlib import suppress
from pathlib import Path
from typing import Literal

import msgspec

from holdfast.durable.faults import fault_point
from holdfast.durable.files import make_folder, read_bytes, remove, write_atomic
from holdfast.durable.names import long_path
from holdfast.durable.points import note_document
from holdfast.errors import (
    ConflictError,
    CorruptError,
    LockedError,
    MissingError,
    NotFoundError,
    UsageError,
)
from holdfast.secrets.identities import (
    generate_identity,
    parse_identity,
    read_identities,
    secret_lines,
)

KEYRING_VARIABLE = "HOLDFAST_KEYRING"
Kept = Literal["keyring", "file"]

_NAME = re.compile(r"[A-Z_][A-Z0-9_]{0,99}")
_FILE = re.compile(rf"secret-({_NAME.pattern})\.(keyring|age)")


class StoredSecret(msgspec.Struct, frozen=True, rename="camel"):
    """A secret that is kept: its name and where."""

    name: str
    kept_in: Kept


class SecretStore:
    """The secrets of the workspace `workspace_id`, noted in `folder`, which only its owner sees.

    `identity` is the file of the private key for the encrypted ones; it is made when first needed.
    """

    def __init__(self, folder: Path, workspace_id: str, identity: Path) -> None:
        self.folder = folder
        self.identity = identity
        self._service = f"holdfast:{workspace_id}"

    def list(self) -> "list[StoredSecret]":
        """The names that are kept, sorted. Raises `StorageError`."""
        folder = long_path(self.folder)
        names = [path.name for path in folder.iterdir()] if folder.is_dir() else []
        found = filter(None, map(_FILE.fullmatch, sorted(names)))
        kept: dict[str, Kept] = {
            each[1]: "keyring" if each[2] == "keyring" else "file" for each in found
        }
        return [StoredSecret(name, place) for name, place in sorted(kept.items())]

    def get(self, name: str) -> str:
        """The value. Raises `MissingError` when there is none, `LockedError` without its key."""
        check_name(name)
        if self._path(name, "keyring").is_file():
            value = self._from_keyring(name)
            if value is not None:
                return value
        if self._path(name, "age").is_file():
            return self._decrypt(self._path(name, "age"))
        raise MissingError(
            f"the secret {name!r} is not kept on this machine",
            hint="put it here with: holdfast secrets set NAME",
        )

    def put(self, name: str, value: str) -> Kept:
        """Keep `value`, at power durability when this returns; it has been read back then.

        Raises `UsageError` for a bad name or an empty value, `StorageError`.
        """
        check_name(name)
        if not value or "\0" in value:
            raise UsageError("an empty value, or one with NUL, is no secret")
        make_folder(self.folder, private=True, durability="power")
        kept: Kept = "keyring" if self._use_keyring() else "file"
        if kept == "keyring":
            self._into_keyring(name, value)
            fault_point("secrets.in_keyring")
            self._note(name, "keyring", b"")
        else:
            self._note(name, "age", self._encrypt(value))
        fault_point("secrets.kept")
        if self.get(name) != value:
            raise CorruptError(f"the {kept} gave back another value for {name}")
        return kept

    def remove(self, name: str) -> None:
        """Forget a secret. Raises `NotFoundError`."""
        if name not in {each.name for each in self.list()}:
            raise NotFoundError(f"no secret is called {name!r}", hint="holdfast secrets list")
        if self._path(name, "keyring").is_file():
            import keyring
            from keyring.errors import KeyringError, PasswordDeleteError

            try:
                with suppress(PasswordDeleteError):  # gone already
                    keyring.delete_password(self._service, name)
            except KeyringError as error:
                raise _no_keyring(error) from error
        remove(self._path(name, "keyring"))
        remove(self._path(name, "age"))

    def _note(self, name: str, suffix: str, content: bytes) -> None:
        path = self._path(name, suffix)
        # A new one is not noted as made: an undo must not take away what a file may refer to still.
        if path.exists():
            note_document(path)
        write_atomic(path, content, mode=0o600)
        # What was kept the other way before must not be taken for the value.
        remove(self._path(name, "age" if suffix == "keyring" else "keyring"))

    def _path(self, name: str, suffix: str) -> Path:
        return self.folder / f"secret-{name}.{suffix}"

    def _use_keyring(self) -> bool:
        if os.environ.get(KEYRING_VARIABLE) == "file":
            return False
        import keyring

        return bool(keyring.get_keyring().priority > 0)

    def _into_keyring(self, name: str, value: str) -> None:
        import keyring
        from keyring.errors import KeyringError

        try:
            keyring.set_password(self._service, name, value)
        except KeyringError as error:
            raise _no_keyring(error) from error

    def _from_keyring(self, name: str) -> str | None:
        import keyring
        from keyring.errors import KeyringError

        try:
            return keyring.get_password(self._service, name)
        except KeyringError as error:
            raise _no_keyring(error) from error

    def _encrypt(self, value: str) -> bytes:
        import pyrage

        if not self.identity.is_file():
            with suppress(ConflictError):  # another process made it in between
                generate_identity(self.identity)
        keys = map(parse_identity, secret_lines(read_identities(self.identity)))
        return bytes(pyrage.encrypt(value.encode(), [key.to_public() for key in keys]))

    def _decrypt(self, path: Path) -> str:
        import pyrage

        data = read_bytes(path)
        try:
            keys = list(map(parse_identity, secret_lines(read_identities(self.identity))))
        except NotFoundError as error:
            hint = f"bring the key back to {self.identity}, or set the secrets anew"
            raise LockedError("its key is not on this machine", path=path, hint=hint) from error
        try:
            return bytes(pyrage.decrypt(data, keys)).decode()
        except (pyrage.DecryptError, UnicodeDecodeError) as error:
            hint = f"it is encrypted for another key than that in {self.identity}"
            raise LockedError("cannot be decrypted", path=path, hint=hint) from error


def check_name(name: str) -> str:
    """`name` if a secret can be called so, else `UsageError`: as variables of an environment are.

    Capitals only: Windows does not tell ``token`` from ``TOKEN``. The error does not repeat what
    was given, which may be a value by mistake.
    """
    if not _NAME.fullmatch(name):
        hint = "capitals, digits and _, as in GITHUB_TOKEN"
        raise UsageError("this is no name for a secret", hint=hint)
    return name


def default_identity() -> Path:
    """Where the key of the encrypted secrets lies: the user's own configuration folder."""
    from platformdirs import user_config_path

    return user_config_path("holdfast") / "secrets-identity.txt"


def _no_keyring(error: Exception) -> MissingError:
    hint = f"unlock it, or keep secrets in encrypted files: {KEYRING_VARIABLE}=file"
    return MissingError(f"the system's keyring cannot be used: {type(error).__name__}", hint=hint)

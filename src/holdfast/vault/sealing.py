"""How the bytes of a vault are kept: in clear, or each piece as an age file.

A chunk's id is a hash of its content. In an encrypted vault the hash is keyed with a secret, so
that whoever holds the vault without the key cannot tell which known files are in it.
"""

from pathlib import Path
from typing import Protocol

from blake3 import blake3

from holdfast.errors import CorruptError
from holdfast.vault.keys import VaultKeys, no_key


class Sealing(Protocol):
    """Turns content into what is stored, and back. Safe to use from many threads."""

    suffix: str
    """Ends the names of all files that are kept so."""

    encrypted: bool

    def identify(self, data: bytes) -> str:
        """The id of a new chunk."""

    def matches(self, chunk: str, data: bytes) -> bool:
        """Whether `data` is the content of the chunk with this id."""

    def identities(self, data: bytes) -> list[str]:
        """Every id under which the vault may hold `data`."""

    def seal(self, data: bytes) -> bytes:
        """`data` as it is stored."""

    def unseal(self, data: bytes, place: Path) -> bytes:
        """What `seal` was given. Raises `CorruptError`, `LockedError`, naming `place`."""

    def require_key(self) -> None:
        """Raise `LockedError` unless content can be read."""


class Clear:
    """Everything as it is."""

    suffix = ""
    encrypted = False

    def identify(self, data: bytes) -> str:
        return blake3(data).hexdigest()

    def matches(self, chunk: str, data: bytes) -> bool:
        return blake3(data).hexdigest() == chunk

    def identities(self, data: bytes) -> list[str]:
        return [blake3(data).hexdigest()]

    def seal(self, data: bytes) -> bytes:
        return data

    def unseal(self, data: bytes, place: Path) -> bytes:
        return data

    def require_key(self) -> None:
        return


class Sealed:
    """Each piece an age file of its own, for the vault key in use."""

    suffix = ".age"
    encrypted = True

    def __init__(self, keys: VaultKeys) -> None:
        self.keys = keys

    def identify(self, data: bytes) -> str:
        return blake3(data, key=self.keys.writing.secret).hexdigest()

    def matches(self, chunk: str, data: bytes) -> bool:
        return chunk in self.identities(data)

    def identities(self, data: bytes) -> list[str]:
        return [blake3(data, key=secret).hexdigest() for secret in self.keys.secrets()]

    def seal(self, data: bytes) -> bytes:
        import pyrage

        sealed: bytes = pyrage.encrypt(data, [self.keys.writing.recipient])
        return sealed

    def unseal(self, data: bytes, place: Path) -> bytes:
        import pyrage

        identities = self.keys.identities()
        try:
            plain: bytes = pyrage.decrypt(data, identities)
        except pyrage.DecryptError as error:
            if "matching" not in str(error):
                raise CorruptError(f"cannot be decrypted: {error}", path=place) from error
            if locked := self.keys.locked():
                raise no_key(place, locked, tried=True) from error
            raise CorruptError("encrypted for no key of this vault", path=place) from error
        return plain

    def require_key(self) -> None:
        self.keys.identities()

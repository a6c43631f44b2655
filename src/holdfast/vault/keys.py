"""The keys of an encrypted vault: what all its data is encrypted for, wrapped for its owners.

::

    keys/<id>.json             the public key, whom it is wrapped for, since when it is used
    keys/<id>.age              the private key and the secret of the ids, for the recipients
    keys/<id>.passphrase.age   the same, for the passphrase

Whoever writes needs the public key and the secret only, which are remembered on this machine; so a
backup runs, and finds what it stored before, without any private key. A change of the recipients
makes a new key: what is stored from then on is encrypted for it.
"""

import secrets
import threading
import time
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import msgspec
from blake3 import blake3

from holdfast.durable.documents import convert, read_document, write_document
from holdfast.durable.files import make_folder, read_bytes, write_atomic
from holdfast.durable.names import long_path
from holdfast.errors import CorruptError, LockedError, NotFoundError, UsageError, storage_errors
from holdfast.vault.failing import visit
from holdfast.vault.identities import KeySource, check_recipient
from holdfast.vault.memory import Memory

_IDS = "# ids: "
_PATIENCE = 6  # attempts
_LEAST_WORK = 18  # the logarithm of scrypt's N


class VaultKey(msgspec.Struct, frozen=True, rename="camel"):
    """The content of ``keys/<id>.json``."""

    id: str
    public_key: str
    created: datetime
    recipients: list[str] = []
    passphrase: bool = False


@dataclass(frozen=True)
class Writing:
    """What a writer needs: the key's public half, ready for use, and the secret of the ids."""

    key: VaultKey
    recipient: Any
    secret: bytes


class VaultKeys:
    """The keys of one vault, opened as far as the person's keys in `source` go."""

    def __init__(self, folder: Path, source: KeySource, memory: Memory) -> None:
        self._folder = folder
        self._source = source
        self._memory = memory
        self._lock = threading.RLock()
        self._opened: dict[str, Any] = {}  # private keys by the id of the vault's key
        self._secrets: dict[str, bytes] = {}
        self._writing: Writing | None = None
        self._complete = False  # whether all secrets that can be had are known
        self.new_key = False
        """Whether a key had to be made because the secret of none is known here."""

    def keys(self) -> list[VaultKey]:
        """All keys of the vault, oldest first. Raises `UnreadableError`."""
        with storage_errors(self._folder, "list the keys"):
            paths = sorted(self._folder.glob("*.json")) if self._folder.is_dir() else []
        keys = [convert(read_document(path), VaultKey) for path in paths]
        return sorted(keys, key=lambda key: (key.created, key.id))

    @property
    def writing(self) -> Writing:
        """The key that new data is encrypted for, chosen at the first call; or `LockedError`."""
        with self._lock:
            if self._writing is None:
                self._choose(None)
            assert self._writing is not None
            return self._writing

    def write_for(self, recipients: Sequence[str]) -> None:
        """Encrypt new data for these people from now on; with nobody named, as before."""
        with self._lock:
            self._choose(sorted(map(check_recipient, recipients)) or None)

    def opens(self) -> bool:
        """Whether all content can be read; nobody is asked for a passphrase."""
        with self._lock:
            if not self._opened and not (self._source.is_at_hand() and self._try_open()):
                return False
            return not self.locked()

    def identities(self) -> list[Any]:
        """The private keys that are open. Raises `LockedError` when none is."""
        with self._lock:
            if not self._opened:
                self._open()
            return list(self._opened.values())

    def secrets(self) -> list[bytes]:
        """The secrets of ids that are known, that of the key in use first."""
        with self._lock:
            if not self._complete:
                self._gather_secrets()
            first = self._writing.key.id if self._writing is not None else ""
            return [self._secrets[key] for key in sorted(self._secrets, key=lambda k: k != first)]

    def locked(self) -> list[VaultKey]:
        """The keys that could not be opened."""
        return [key for key in self.keys() if key.id not in self._opened]

    def make(self, recipients: Sequence[str], passphrase: str | None) -> VaultKey:
        """Make a new key for these people; it is used from now on.

        Raises `UsageError` when it would be for nobody.
        """
        people = sorted(set(map(check_recipient, recipients)))
        if not people and not passphrase:
            raise UsageError("a vault's key must be for a recipient or a passphrase")
        made = _make(self._folder, people, passphrase)
        with self._lock:
            self._learn(made.key, made.identity, made.secret)
            self._use(made.key)
        return made.key

    def passphrase(self) -> str | None:
        """The passphrase, if there is one to be had."""
        return self._source.passphrase()

    def _choose(self, wanted: Sequence[str] | None) -> None:
        """Choose the key in use: the one used here before, as long as it is for those wanted.

        A newer one that somebody put there is not followed: who could write to the vault would
        else decide who can read what is stored from now on.
        """
        keys = self.keys()
        if not keys:
            raise CorruptError("the vault is encrypted, and its keys are gone", path=self._folder)
        used = self._memory.key_in_use()
        last = next((key for key in keys if key.id == used), keys[-1])
        people = last.recipients if wanted is None else list(wanted)
        suitable = [key for key in reversed(keys) if sorted(key.recipients) == sorted(people)]
        suitable.sort(key=lambda key: key.id != used)
        self._recall()
        for opening in (False, True):
            if opening and not self._try_open():
                break
            for key in suitable:
                if key.id in self._secrets:
                    self._use(key)
                    return
        passphrase = self._source.passphrase() if last.passphrase else None
        if not people and passphrase is None:
            raise no_key(self._folder, keys, tried=False)
        self.new_key = wanted is None or bool(suitable)
        self.make(people, passphrase)

    def _use(self, key: VaultKey) -> None:
        self._writing = Writing(key, _recipient(key.public_key), self._secrets[key.id])
        self._memory.use_key(key.id)

    def _gather_secrets(self) -> None:
        self._recall()
        if not self._secrets:
            self._open()
        elif any(key.id not in self._secrets for key in self.keys()) and self._source.is_at_hand():
            self._try_open()
        self._complete = True

    def _recall(self) -> None:
        """Take the secrets that this machine remembers; a key that was replaced is no such key."""
        remembered = self._memory.keys()
        for key in self.keys():
            known = remembered.get(key.id)
            if known is None:
                continue
            if known.public_key != key.public_key:
                raise CorruptError(
                    "the vault's key is not the one this machine knows: somebody replaced it",
                    path=self._folder / f"{key.id}.json",
                    hint="write nothing to this vault before you know who did",
                )
            self._secrets[key.id] = bytes.fromhex(known.ids)

    def _try_open(self) -> bool:
        try:
            self._open()
        except LockedError:
            return False
        return True

    def _open(self) -> None:
        """Open all keys that can be opened. Raises `LockedError` when none can."""
        keys = self.keys()
        for key in keys:
            if key.id not in self._opened and (text := self._unwrap(key)) is not None:
                identity, secret = _parse_wrap(text, key, self._folder)
                self._learn(key, identity, secret)
        if not self._opened:
            asked = any(key.passphrase for key in keys)
            tried = bool(self._source.identities()) or (asked and bool(self._source.passphrase()))
            raise no_key(self._folder, keys, tried=tried)

    def _learn(self, key: VaultKey, identity: Any, secret: bytes) -> None:
        self._opened[key.id] = identity
        self._secrets[key.id] = secret
        self._memory.remember_key(key.id, key.public_key, secret.hex())

    def _unwrap(self, key: VaultKey) -> bytes | None:
        import pyrage

        path = self._folder / f"{key.id}.age"
        identities = self._source.identities() if key.recipients else []
        if identities and (data := _read(path)) is not None:
            try:
                text: bytes = pyrage.decrypt(data, identities)
                return text
            except pyrage.DecryptError as error:
                if "matching" not in str(error):
                    raise CorruptError(f"the key is damaged: {error}", path=path) from error
        path = self._folder / f"{key.id}.passphrase.age"
        data = _read(path) if key.passphrase else None
        passphrase = None if data is None else self._source.passphrase()
        if data is None or passphrase is None:
            return None
        return _with_passphrase(data, passphrase, path)


@dataclass(frozen=True)
class _Made:
    key: VaultKey
    identity: Any
    secret: bytes


def _make(folder: Path, recipients: list[str], passphrase: str | None) -> _Made:
    import pyrage

    identity = pyrage.x25519.Identity.generate()
    secret = secrets.token_bytes(32)
    public = str(identity.to_public())
    now = datetime.now(UTC)
    key = VaultKey(
        blake3(public.encode()).hexdigest()[:16], public, now, recipients, bool(passphrase)
    )
    text = (
        f"# created: {now:%Y-%m-%dT%H:%M:%SZ}\n# public key: {public}\n"
        f"{_IDS}{secret.hex()}\n{identity}\n"
    ).encode()
    make_folder(folder, private=True)
    if recipients:
        wrapped = pyrage.encrypt(text, [_recipient(one) for one in recipients])
        write_atomic(folder / f"{key.id}.age", wrapped, mode=0o600)
    if passphrase:
        wrapped = _behind_passphrase(text, passphrase)
        write_atomic(folder / f"{key.id}.passphrase.age", wrapped, mode=0o600)
    visit("vault.key.wrapped", folder)
    write_document(folder / f"{key.id}.json", key, mode=0o600)
    visit("vault.key.written", folder)
    return _Made(key, identity, secret)


def _behind_passphrase(text: bytes, passphrase: str) -> bytes:
    """`text` encrypted with a passphrase that costs as much work as age's own program asks."""
    import pyrage

    def work(wrapped: bytes) -> int:
        return int(wrapped.split(b"\n", 2)[1].split()[-1])

    # The library asks for what the machine does in a second, less while that is busy.
    best: bytes = pyrage.passphrase.encrypt(text, passphrase)
    for _ in range(_PATIENCE):
        if work(best) >= _LEAST_WORK:
            break
        best = max(best, pyrage.passphrase.encrypt(text, passphrase), key=work)
    return best


def _with_passphrase(data: bytes, passphrase: str, path: Path) -> bytes | None:
    """The wrapped key; None for a wrong passphrase."""
    import pyrage

    for attempt in range(_PATIENCE):
        try:
            text: bytes = pyrage.passphrase.decrypt(data, passphrase)
            return text
        except pyrage.DecryptError as error:
            if "xcessive" not in str(error):
                return None
            # How much work is too much is measured anew each time: a busy machine refuses at first.
            time.sleep(attempt)
    raise LockedError(
        "this passphrase was made to cost more work than this machine can do now",
        path=path,
        hint="try again when it is less busy, or open the key with: age -d",
    )


def no_key(place: Path, keys: Sequence[VaultKey], *, tried: bool) -> LockedError:
    """Says which key would open the vault, and how to give it."""
    people = sorted({one for key in keys for one in key.recipients})
    by_passphrase = any(key.passphrase for key in keys)
    shown = ", ".join([*people, *(["a passphrase"] if by_passphrase else [])])
    ways = []
    if people:
        ways.append(
            "HOLDFAST_IDENTITY, identity in the settings, or recover --identity names its file"
        )
    if by_passphrase:
        ways.append("HOLDFAST_PASSPHRASE or a prompt takes the passphrase")
    problem = "wrong key or passphrase" if tried else "a key is needed"
    return LockedError(
        f"{problem}: this is encrypted for {shown}", path=place, hint="; ".join(ways)
    )


def _recipient(text: str) -> Any:
    import pyrage

    try:
        return pyrage.x25519.Recipient.from_str(text)
    except pyrage.RecipientError as error:
        raise CorruptError(f"the vault's key is no age public key: {error}") from error


def _parse_wrap(text: bytes, key: VaultKey, folder: Path) -> tuple[Any, bytes]:
    import pyrage

    path = folder / f"{key.id}.age"
    try:
        lines = text.decode("ascii").splitlines()
        secret = bytes.fromhex(next(x for x in lines if x.startswith(_IDS)).removeprefix(_IDS))
        identity = pyrage.x25519.Identity.from_str(lines[-1])
    except (ValueError, StopIteration, IndexError, pyrage.IdentityError) as error:
        raise CorruptError("the key is damaged", path=path) from error
    if str(identity.to_public()) != key.public_key or len(secret) != 32:
        raise CorruptError("the public key does not belong to the private one", path=path)
    return identity, secret


def _read(path: Path) -> bytes | None:
    try:
        return read_bytes(path) if long_path(path).exists() else None
    except NotFoundError:
        return None

"""The folder of a vault: what lies where, published in order and named by its content.

::

    vault.json                     format version, id, when it was made, whether it is encrypted
    keys/                          of an encrypted vault: see `vault.keys`
    packs/<2 hex>/<id>.tar.zst     chunks
    index/<id>.jsonl.zst           where each chunk lies
    snapshots/<id>.jsonl.zst       the commit points
    proofs/<snapshot>.json         the last check of each snapshot that passed
    forgotten/<id>.jsonl.zst       snapshots given up, until the next prune
    condemned/<pack>.json          packs that will be removed: nothing new may rely on them
    damaged/                       what a repair replaced
    tmp/                           scratch, empty when nobody works

An id is the BLAKE3 of the file's bytes, in hexadecimal. Only the owner can look inside. In an
encrypted vault the names of packs, fragments and snapshots end in ``.age``.
"""

import os
import uuid
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Literal, NamedTuple

import msgspec
from blake3 import blake3

from holdfast.durable.documents import convert, read_document, write_document
from holdfast.durable.faults import fault_point
from holdfast.durable.files import is_temporary, make_folder, read_bytes, write_atomic
from holdfast.durable.names import long_path
from holdfast.errors import (
    ConflictError,
    CorruptError,
    LockedError,
    NotFoundError,
    storage_errors,
)
from holdfast.vault.identities import KeySource
from holdfast.vault.keys import VaultKeys
from holdfast.vault.memory import Memory
from holdfast.vault.sealing import Clear, Sealed, Sealing

_PACK, _LINES = ".tar.zst", ".jsonl.zst"
_CLEAR_VERSION, _SEALED_VERSION = 1, 2
_FILE_MODE = 0o600
# What a making that was interrupted may have left.
_OWN_NAMES = {"packs", "index", "snapshots", "proofs", "tmp", "keys", ".gitignore"}
_MARK = ".json"


class _Fixed(NamedTuple):
    name: str
    content: bytes


IGNORING = _Fixed(".gitignore", b"*\n")
"""A home that is a git repository must not take its own backups in."""


class Description(msgspec.Struct, frozen=True, rename="camel", omit_defaults=True):
    """The content of ``vault.json``."""

    format_version: int
    id: str
    created: datetime
    encryption: Literal["age"] | None = None


@dataclass(frozen=True)
class Access:
    """How a vault is used here: the keys of the person, and this machine's private folder.

    `recipients` (age public keys) or `passphrase` make a new vault an encrypted one; of a vault
    that is there, `recipients` says whom new data is encrypted for, if not those as before.
    """

    source: KeySource = field(default_factory=KeySource)
    private: Path | None = None
    recipients: Sequence[str] = ()
    passphrase: bool = False

    @property
    def encrypts(self) -> bool:
        """Whether a new vault would be encrypted: for recipients, or by a passphrase."""
        return bool(self.recipients) or self.passphrase


class Repository:
    """The files of one vault."""

    def __init__(self, root: Path, description: Description, access: Access) -> None:
        self.root = root
        self.id = description.id
        self.keys: VaultKeys | None = None
        self.sealing: Sealing = Clear()
        self.memory = Memory(None if access.private is None else access.private / self.id)
        if description.encryption is not None:
            self.keys = VaultKeys(root / "keys", access.source, self.memory)
            self.sealing = Sealed(self.keys)
        self.packs = root / "packs"
        self.index = root / "index"
        self.snapshots = root / "snapshots"
        self.proofs = root / "proofs"
        self.forgotten = root / "forgotten"
        self.condemned = root / "condemned"
        self.damaged = root / "damaged"
        self.scratch = root / "tmp"

    @classmethod
    def open(cls, root: Path, access: Access | None = None) -> "Repository":
        """The vault at `root`. Raises `NotFoundError`, `UnreadableError`, `NewerFormatError`."""
        marker = root / "vault.json"
        if not long_path(marker).is_file():
            raise NotFoundError(
                "there is no vault", path=root, hint="the first 'holdfast backup create' makes it"
            )
        description = convert(read_document(marker, newest=_SEALED_VERSION), Description)
        repository = cls(root, description, access or Access())
        if repository.keys is None and repository.memory.keys():
            raise CorruptError(
                "this vault was encrypted, and now says that it is not",
                path=marker,
                hint="somebody changed it: nothing more is written to it in clear",
            )
        return repository

    @classmethod
    def create(cls, root: Path, access: Access | None = None) -> "Repository":
        """Make a vault at `root`, or open the one there.

        Raises `ConflictError` for another folder, or for a vault in clear where an encrypted one
        was asked for; `LockedError` when there is no passphrase to make it with.
        """
        access = access or Access()
        if long_path(root / "vault.json").exists():
            return cls._opened(root, access)
        if any(name not in _OWN_NAMES and not is_temporary(name) for name in _names(root)):
            raise ConflictError("the folder is no vault and is not empty", path=root)
        encrypted = access.encrypts
        description = Description(
            _SEALED_VERSION if encrypted else _CLEAR_VERSION,
            uuid.uuid4().hex,
            datetime.now(UTC),
            "age" if encrypted else None,
        )
        repository = cls(root, description, access)
        for folder in (root, *repository._folders()):
            make_folder(folder, private=True)
        write_atomic(root / IGNORING.name, IGNORING.content, mode=_FILE_MODE)
        fault_point("vault.begun")
        if repository.keys is not None:
            _make_first_key(repository.keys, access)
        try:
            write_document(root / "vault.json", description, mode=_FILE_MODE, exclusive=True)
        except ConflictError:
            return cls._opened(root, access)  # another process made it in the same moment
        return repository

    @classmethod
    def _opened(cls, root: Path, access: Access) -> "Repository":
        repository = cls.open(root, access)
        if access.encrypts and repository.keys is None:
            raise ConflictError(
                "the vault is not encrypted",
                path=root,
                hint="make an encrypted one in another folder; this one stays as it is",
            )
        return repository

    def pack_path(self, pack: str) -> Path:
        """Where the pack of this id lies."""
        return self.packs / pack[:2] / (pack + self._pack_suffix)

    def publish(self, folder: Path, data: bytes) -> str:
        """Write `data` under the name of its stored content, durably; returns its id."""
        stored = self.sealing.seal(data)
        identity = blake3(stored).hexdigest()
        make_folder(folder, private=True)
        if self.sealing.encrypted:
            self.memory.remember(folder.name, identity, data)
        write_atomic(self.lines_path(folder, identity), stored, mode=_FILE_MODE)
        return identity

    def read(self, folder: Path, identity: str) -> bytes:
        """The compressed bytes of an index fragment or a snapshot.

        Raises `CorruptError`, `NotFoundError`, `LockedError`.
        """
        path = self.lines_path(folder, identity)
        data = read_bytes(path)
        if blake3(data).hexdigest() != identity:
            raise CorruptError(
                "the content does not match its name",
                path=path,
                hint="this file of the vault is damaged; the others can still be restored",
            )
        if not self.sealing.encrypted:
            return data
        known = self.memory.recall(folder.name, identity)
        if known is None:
            known = self.sealing.unseal(data, path)
            if folder == self.index:
                self.memory.remember(folder.name, identity, known)
        return known

    def read_start(self, folder: Path, identity: str, size: int) -> bytes:
        """The first `size` compressed bytes of a snapshot, or more; not checked against its id."""
        if self.sealing.encrypted:
            return self.read(folder, identity)
        path = self.lines_path(folder, identity)
        with storage_errors(path, "read the snapshot"), long_path(path).open("rb") as file:
            return file.read(size)

    def tidy_memory(self) -> None:
        """Drop from this machine's memory what the vault has no more."""
        if self.sealing.encrypted:
            for folder in (self.index, self.snapshots):
                self.memory.forget_others(folder.name, {*self.identities(folder)})
            self.memory.forget_others("headers", {*self.identities(self.snapshots)})

    def identities(self, folder: Path) -> list[str]:
        """The ids of all files in ``index/`` or ``snapshots/``, sorted."""
        suffix = self._lines_suffix
        return sorted(
            name.removesuffix(suffix) for name in _names(folder) if _is_published(name, suffix)
        )

    def pack_sizes(self) -> dict[str, int]:
        """The size in bytes of every pack that is there, by id."""
        sizes = {}
        suffix = self._pack_suffix
        for prefix in _names(self.packs):
            if len(prefix) != 2:
                continue
            with storage_errors(self.packs, "list the packs"):
                for entry in os.scandir(long_path(self.packs / prefix)):
                    if _is_published(entry.name, suffix):
                        sizes[entry.name.removesuffix(suffix)] = entry.stat().st_size
        return sizes

    def condemned_packs(self) -> set[str]:
        """The packs that will be removed: readable still, but nothing new may rely on them."""
        names = _names(self.condemned)
        return {name.removesuffix(_MARK) for name in names if _is_published(name, _MARK)}

    def mark_path(self, pack: str) -> Path:
        """The mark that condemns `pack`."""
        return self.condemned / (pack + _MARK)

    def lines_path(self, folder: Path, identity: str) -> Path:
        """A file of ``index/``, ``snapshots/`` or ``forgotten/``."""
        return folder / (identity + self._lines_suffix)

    def relative(self, path: Path) -> str:
        """`path` as findings name it: relative to the vault."""
        return path.relative_to(self.root).as_posix()

    def snapshot_name(self, identity: str) -> str:
        """A snapshot's file as findings name it."""
        return self.relative(self.lines_path(self.snapshots, identity))

    def pack_name(self, pack: str) -> str:
        """A pack's file as findings name it."""
        return self.relative(self.pack_path(pack))

    @property
    def _pack_suffix(self) -> str:
        return _PACK + self.sealing.suffix

    @property
    def _lines_suffix(self) -> str:
        return _LINES + self.sealing.suffix

    def _folders(self) -> tuple[Path, ...]:
        return self.packs, self.index, self.snapshots, self.proofs, self.scratch


def _make_first_key(keys: VaultKeys, access: Access) -> None:
    passphrase = access.source.passphrase() if access.passphrase else None
    if access.passphrase and not passphrase:
        raise LockedError(
            "a passphrase is needed to make this vault",
            hint="give it by HOLDFAST_PASSPHRASE, a file or at the prompt",
        )
    keys.make(access.recipients, passphrase)


def _is_published(name: str, suffix: str) -> bool:
    return name.endswith(suffix) and not name.startswith(".")


def _names(folder: Path) -> Iterator[str]:
    with storage_errors(folder, "list the folder"):
        try:
            yield from (path.name for path in long_path(folder).iterdir())
        except FileNotFoundError:
            return

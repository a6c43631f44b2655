"""The folder of a vault: what lies where, published in order and named by its content.

::

    vault.json                     format version, id, when it was made
    packs/<2 hex>/<id>.tar.zst     chunks
    index/<id>.jsonl.zst           where each chunk lies
    snapshots/<id>.jsonl.zst       the commit points
    proofs/<snapshot>.json         the last check of each snapshot that passed
    forgotten/<id>.jsonl.zst       snapshots given up, until the next prune
    condemned/<pack>.json          packs that will be removed: nothing new may rely on them
    damaged/                       what a repair replaced
    tmp/                           scratch, empty when nobody works

An id is the BLAKE3 of the file's bytes, in hexadecimal. Only the owner can look inside.
"""

import os
import uuid
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import msgspec
from blake3 import blake3

from holdfast.durable.documents import convert, read_document, write_document
from holdfast.durable.faults import fault_point
from holdfast.durable.files import is_temporary, make_folder, read_bytes, write_atomic
from holdfast.durable.names import long_path
from holdfast.errors import ConflictError, CorruptError, NotFoundError, storage_errors
from holdfast.vault.entries import FORMAT_VERSION

PACK, LINES = ".tar.zst", ".jsonl.zst"
_FILE_MODE = 0o600
# What a making that was interrupted may have left.
_OWN_NAMES = {"packs", "index", "snapshots", "proofs", "tmp", ".gitignore"}
_MARK = ".json"


class Description(msgspec.Struct, frozen=True, rename="camel"):
    """The content of ``vault.json``."""

    id: str
    created: datetime
    format_version: int = FORMAT_VERSION


class Repository:
    """The files of one vault."""

    def __init__(self, root: Path, description: Description) -> None:
        self.root = root
        self.id = description.id
        self.packs = root / "packs"
        self.index = root / "index"
        self.snapshots = root / "snapshots"
        self.proofs = root / "proofs"
        self.forgotten = root / "forgotten"
        self.condemned = root / "condemned"
        self.damaged = root / "damaged"
        self.scratch = root / "tmp"

    @classmethod
    def open(cls, root: Path) -> "Repository":
        """The vault at `root`. Raises `NotFoundError`, `UnreadableError`, `NewerFormatError`."""
        marker = root / "vault.json"
        if not long_path(marker).is_file():
            raise NotFoundError(
                "there is no vault", path=root, hint="the first 'holdfast backup create' makes it"
            )
        description = convert(read_document(marker, newest=FORMAT_VERSION), Description)
        return cls(root, description)

    @classmethod
    def create(cls, root: Path) -> "Repository":
        """Make a vault at `root`, or open the one there. Raises `ConflictError`."""
        if long_path(root / "vault.json").exists():
            return cls.open(root)
        if any(name not in _OWN_NAMES and not is_temporary(name) for name in _names(root)):
            raise ConflictError("the folder is no vault and is not empty", path=root)
        description = Description(uuid.uuid4().hex, datetime.now(UTC))
        repository = cls(root, description)
        for folder in (root, *repository._folders()):
            make_folder(folder, private=True)
        # A home that is a git repository must not take its own backups in.
        write_atomic(root / ".gitignore", b"*\n", mode=_FILE_MODE)
        fault_point("vault.begun")
        try:
            write_document(root / "vault.json", description, mode=_FILE_MODE, exclusive=True)
        except ConflictError:
            return cls.open(root)  # another process made it in the same moment
        return repository

    def pack_path(self, pack: str) -> Path:
        """Where the pack of this id lies."""
        return self.packs / pack[:2] / (pack + PACK)

    def publish(self, folder: Path, data: bytes) -> str:
        """Write `data` under the name of its content, durably; returns its id."""
        identity = blake3(data).hexdigest()
        make_folder(folder, private=True)
        write_atomic(folder / (identity + LINES), data, mode=_FILE_MODE)
        return identity

    def read(self, folder: Path, identity: str) -> bytes:
        """The compressed bytes of an index fragment or a snapshot. Raises `CorruptError`."""
        path = folder / (identity + LINES)
        data = read_bytes(path)
        if blake3(data).hexdigest() != identity:
            raise CorruptError(
                "the content does not match its name",
                path=path,
                hint="this file of the vault is damaged; the others can still be restored",
            )
        return data

    def identities(self, folder: Path) -> list[str]:
        """The ids of all files in ``index/`` or ``snapshots/``, sorted."""
        return sorted(
            name.removesuffix(LINES) for name in _names(folder) if _is_published(name, LINES)
        )

    def pack_sizes(self) -> dict[str, int]:
        """The size in bytes of every pack that is there, by id."""
        sizes = {}
        for prefix in _names(self.packs):
            if len(prefix) != 2:
                continue
            with storage_errors(self.packs, "list the packs"):
                for entry in os.scandir(long_path(self.packs / prefix)):
                    if _is_published(entry.name, PACK):
                        sizes[entry.name.removesuffix(PACK)] = entry.stat().st_size
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
        return folder / (identity + LINES)

    def relative(self, path: Path) -> str:
        """`path` as findings name it: relative to the vault."""
        return path.relative_to(self.root).as_posix()

    def _folders(self) -> tuple[Path, ...]:
        return self.packs, self.index, self.snapshots, self.proofs, self.scratch


def _is_published(name: str, suffix: str) -> bool:
    return name.endswith(suffix) and not name.startswith(".")


def _names(folder: Path) -> Iterator[str]:
    with storage_errors(folder, "list the folder"):
        try:
            yield from (path.name for path in long_path(folder).iterdir())
        except FileNotFoundError:
            return

"""What this machine remembers of an encrypted vault, so that backups run without its private key.

::

    <private folder>/<vault id>/
        keys.json               public keys and the secrets of ids
        index/<id>.known        fragments of the index, in clear
        snapshots/<id>.known    the newest snapshots, in clear
        headers/<id>.known      the headers of all snapshots seen

A ``.known`` file is the BLAKE3 (32 bytes) of what follows it.

All of it can be had from the vault with its key. Losing it costs space, not data: what is backed up
after that is stored anew. It tells the names of files, not their content.
"""

from collections.abc import Collection
from pathlib import Path

import msgspec
from blake3 import blake3

from holdfast.durable.documents import convert, read_document, write_document
from holdfast.durable.files import make_folder, read_bytes, remove, write_atomic
from holdfast.durable.names import long_path
from holdfast.errors import NotFoundError

_SUFFIX = ".known"
_DIGEST = 32
_KEPT = 4  # whole snapshots


class KnownKey(msgspec.Struct, frozen=True, rename="camel"):
    """A key of the vault as it was when this machine first used it; `ids` is a secret."""

    public_key: str
    ids: str


class _Keys(msgspec.Struct, rename="camel"):
    keys: dict[str, KnownKey] = {}
    format_version: int = 1


class Memory:
    """In `folder`, or only as long as the process lives when that is None."""

    def __init__(self, folder: Path | None = None) -> None:
        self.folder = folder
        self._held: dict[tuple[str, str], bytes] = {}
        self._keys: dict[str, KnownKey] = {}

    def keys(self) -> dict[str, KnownKey]:
        """What is known of the vault's keys, by id. Raises `UnreadableError`."""
        if self.folder is None:
            return self._keys
        try:
            return convert(read_document(self.folder / "keys.json"), _Keys).keys
        except NotFoundError:
            return {}

    def remember_key(self, key: str, public_key: str, ids: str) -> None:
        """Keep the secret of a key."""
        known = {**self.keys(), key: KnownKey(public_key, ids)}
        if known == self.keys():
            return
        self._keys = known
        if self.folder is not None:
            make_folder(self.folder, private=True)
            write_document(self.folder / "keys.json", _Keys(known), mode=0o600)

    def recall(self, kind: str, identity: str) -> bytes | None:
        """The plain bytes of a file of the vault, if they are remembered."""
        if self.folder is None:
            return self._held.get((kind, identity))
        path = self._path(kind, identity)
        if not long_path(path).is_file():
            return None
        content = read_bytes(path)
        digest, data = content[:_DIGEST], content[_DIGEST:]
        return data if blake3(data).digest() == digest else None

    def remember(self, kind: str, identity: str, data: bytes) -> None:
        """Keep the plain bytes of a file of the vault."""
        if self.folder is None:
            self._held[kind, identity] = data
            return
        path = self._path(kind, identity)
        if self.recall(kind, identity) is None:
            make_folder(self.folder, private=True)
            make_folder(path.parent, private=True)
            content = blake3(data).digest() + data
            write_atomic(path, content, mode=0o600, durability="process")

    def forget_others(self, kind: str, held: Collection[str]) -> None:
        """Drop what the vault has no more; of whole snapshots, all but the newest."""
        if self.folder is None or not (self.folder / kind).is_dir():
            return
        paths = [path for path in (self.folder / kind).iterdir() if path.name.endswith(_SUFFIX)]
        kept = [path for path in paths if path.name.removesuffix(_SUFFIX) in held]
        if kind == "snapshots":
            kept = sorted(kept, key=lambda path: path.stat().st_mtime_ns)[-_KEPT:]
        for path in set(paths) - set(kept):
            remove(path)

    def _path(self, kind: str, identity: str) -> Path:
        assert self.folder is not None
        return self.folder / kind / (identity + _SUFFIX)

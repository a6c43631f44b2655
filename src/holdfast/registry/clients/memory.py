"""What Holdfast remembers of the clients' files: what it wrote, and what it last saw there.

``.holdfast/guests/<name>.json``: per file and block, the digest of each server's settings.
"""

import json
from hashlib import sha256
from pathlib import Path
from typing import Any

import msgspec

from holdfast.durable.documents import convert, read_document, write_document
from holdfast.durable.files import make_folder
from holdfast.errors import NotFoundError

Servers = dict[str, str]  # name: digest of its settings


class Memory(msgspec.Struct, rename="camel"):
    """Servers by file and block (its keys as a JSON array)."""

    files: dict[str, dict[str, Servers]] = {}
    sizes: dict[str, int] = {}  # of the files, in bytes
    format_version: int = 1

    @staticmethod
    def name_of(keys: tuple[str, ...]) -> str:
        """How a block is called here."""
        return json.dumps(keys, ensure_ascii=False)

    def servers(self, path: Path, keys: tuple[str, ...]) -> Servers:
        """What is remembered of one block."""
        return self.files.get(str(path), {}).get(self.name_of(keys), {})

    def remember(self, path: Path, keys: tuple[str, ...], servers: Servers) -> None:
        """Remember `servers` as one block's."""
        self.files.setdefault(str(path), {})[self.name_of(keys)] = servers


def read_memory(folder: Path, name: str) -> Memory:
    """What was remembered; nothing at first. Raises `UnreadableError`."""
    try:
        return convert(read_document(folder / f"{name}.json"), Memory)
    except NotFoundError:
        return Memory()


def write_memory(folder: Path, name: str, memory: Memory) -> None:
    """Keep `memory`. Raises `StorageError`."""
    make_folder(folder, private=True)
    write_document(folder / f"{name}.json", memory, mode=0o600)


def settings_digest(settings: Any) -> str:
    """What two equal settings have in common, whatever the order of their keys."""
    return sha256(json.dumps(settings, sort_keys=True).encode()).hexdigest()[:16]


def digests_of(servers: dict[str, Any]) -> Servers:
    """The digest of each server's settings."""
    return {name: settings_digest(settings) for name, settings in servers.items()}

"""The manifest at the end of an archive: JSON Lines that say what must be in it."""

from collections.abc import Sequence
from datetime import datetime

import msgspec

from holdfast.errors import CorruptError, NewerFormatError
from holdfast.vault.entries import Problem, Root, printable

MANIFEST = "holdfast-manifest.jsonl"
VERSION = 1


class ManifestHeader(msgspec.Struct, rename="camel", omit_defaults=True):
    """The first line."""

    format_version: int
    roots: list[Root]
    host: str
    platform: str
    started_at: datetime
    ended_at: datetime
    files: int
    size: int
    workspace_id: str = ""
    workspace_name: str = ""
    tags: list[str] = []
    problems: list[Problem] = []


class Listed(msgspec.Struct, rename="camel", omit_defaults=True, gc=False):
    """One file: its path in the archive (printable), bytes, and their BLAKE3."""

    path: str
    size: int
    blake3: str
    capture: str | None = None


def encode(header: ManifestHeader, files: Sequence[Listed]) -> bytes:
    """The manifest's bytes."""
    return msgspec.json.Encoder().encode_lines([header, *files])


def decode(data: bytes) -> tuple[ManifestHeader, dict[str, Listed]]:
    """The header, and what is listed by path. Raises `CorruptError`, `NewerFormatError`."""
    first, _, rest = data.partition(b"\n")
    try:
        header = msgspec.json.decode(first, type=ManifestHeader)
        if header.format_version > VERSION:
            raise NewerFormatError(
                f"the archive has format {header.format_version}", hint="upgrade Holdfast"
            )
        listed = msgspec.json.Decoder(Listed).decode_lines(rest)
    except (msgspec.MsgspecError, UnicodeDecodeError) as error:
        raise CorruptError(f"the archive's manifest is damaged: {error}") from error
    return header, {each.path: each for each in listed}


def shown(path: str) -> str:
    """A member's path as the manifest spells it."""
    return printable(path)

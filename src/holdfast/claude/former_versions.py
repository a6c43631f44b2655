"""Former versions of other programs' files, kept before Holdfast replaces them.

One folder per file, one plain file per version, ``000007-20261125T150000Z-1f0c9ab26d3e4f57.json``:
its number, when it was kept (UTC) and the first half of the SHA-256 of the exact bytes. What is
large is compressed (``.json.zst``). Torn versions are kept like any other.
"""

import os
import re
from dataclasses import dataclass
from datetime import UTC, datetime
from hashlib import sha256
from pathlib import Path

from holdfast.durable.files import make_folder, read_bytes, remove, write_atomic
from holdfast.durable.names import long_path
from holdfast.errors import CorruptError, NotFoundError, storage_errors

_NAME = re.compile(r"(\d{6,})-(\d{8}T\d{6}Z)-([0-9a-f]{16})\.json(\.zst)?")
_TIME = "%Y%m%dT%H%M%SZ"
_LARGE = 256 << 10  # bytes
_NO_NAME = re.compile(r"[^A-Za-z0-9]+")


@dataclass(frozen=True)
class FormerVersion:
    """One kept version: its number (rising), when it was kept, and its file."""

    number: int
    kept_at: datetime
    path: Path
    digest: str

    def read(self) -> bytes:
        """Its bytes. Raises `CorruptError` when they are not those that were kept."""
        content = read_bytes(self.path)
        if self.path.suffix == ".zst":
            import zstandard

            try:
                content = zstandard.ZstdDecompressor().decompress(content, allow_extra_data=False)
            except zstandard.ZstdError as error:
                raise CorruptError("the kept version is damaged", path=self.path) from error
        if _digest(content) != self.digest:
            raise CorruptError("the kept version is damaged", path=self.path)
        return content


class FormerVersions:
    """The former versions of the file `path`, at most `keep` of them, below the folder `root`."""

    def __init__(self, root: Path, path: Path, *, keep: int = 30) -> None:
        slug = _NO_NAME.sub("-", path.name).strip("-")
        self.path = path
        self.folder = root / f"{slug}-{sha256(os.fsencode(path)).hexdigest()[:8]}"
        self._keep = keep

    def list(self) -> list[FormerVersion]:
        """All versions, oldest first."""
        with storage_errors(self.folder, "list the former versions"):
            try:
                names = os.listdir(long_path(self.folder))  # noqa: PTH208  names are enough
            except FileNotFoundError:
                return []
        found = (_parse(self.folder, name) for name in names)
        return sorted((each for each in found if each is not None), key=lambda each: each.number)

    def get(self, number: int) -> FormerVersion:
        """The version `number`. Raises `NotFoundError`."""
        for version in self.list():
            if version.number == number:
                return version
        raise NotFoundError(f"there is no former version {number} of the file", path=self.path)

    def add(self, content: bytes) -> FormerVersion:
        """Keep `content`, unless the newest version is the same; drops the oldest."""
        versions = self.list()
        digest = _digest(content)
        if versions and versions[-1].digest == digest:
            return versions[-1]
        number = versions[-1].number + 1 if versions else 1
        moment = datetime.now(UTC).replace(microsecond=0)
        suffix = ".json"
        stored = content
        if len(content) > _LARGE:
            import zstandard

            suffix, stored = ".json.zst", zstandard.ZstdCompressor(level=1).compress(content)
        path = self.folder / f"{number:06d}-{moment:{_TIME}}-{digest}{suffix}"
        make_folder(self.folder, private=True)
        write_atomic(path, stored, mode=0o600)
        for surplus in versions[: max(0, len(versions) + 1 - self._keep)]:
            remove(surplus.path)
        return FormerVersion(number, moment, path, digest)


def _digest(content: bytes) -> str:
    return sha256(content).hexdigest()[:16]


def _parse(folder: Path, name: str) -> FormerVersion | None:
    match = _NAME.fullmatch(name)
    if match is None:
        return None
    try:
        kept_at = datetime.strptime(match[2], _TIME).replace(tzinfo=UTC)
    except ValueError:
        return None
    return FormerVersion(int(match[1]), kept_at, folder / name, match[3])

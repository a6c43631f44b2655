"""The bounded history of one file: every version that was published, as plain files.

One file per generation, ``000042-20261123T045324Z-1f0c9ab26d3e4f57.json``: its number, when it was
published (UTC), and the first half of the SHA-256 of its bytes, which are exactly those the file
had. A version is written as ``pending.json`` before it is published and gets its number
afterwards; what a crash leaves pending is settled by the next writer.

Every method that writes is called under the registry's lock.
"""

import builtins
import os
import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import lru_cache
from pathlib import Path

from holdfast.durable.documents import digest_of
from holdfast.durable.faults import fault_point
from holdfast.durable.files import (
    Durability,
    link_over,
    make_folder,
    read_bytes,
    remove,
    replace,
    sync_folder,
    write_atomic,
)
from holdfast.durable.names import long_path
from holdfast.errors import CorruptError, NotFoundError, storage_errors
from holdfast.registry.freshness import Signature, signature_of

_NAME = re.compile(r"(\d{6,})-(\d{8}T\d{6}Z)-([0-9a-f]{16})\.json")
_TIME = "%Y%m%dT%H%M%SZ"
_PENDING = "pending.json"


# One change asks for the digests of the same two versions again and again.
_digest_of = lru_cache(maxsize=4)(digest_of)


@dataclass(frozen=True)
class Generation:
    """One kept version: its number (rising), when it was published, and its plain file."""

    number: int
    published_at: datetime
    path: Path
    digest: str

    def holds(self, content: bytes) -> bool:
        """Whether `content` is, byte for byte, this generation."""
        return _digest_of(content).startswith(self.digest)

    def read(self) -> bytes:
        """Its bytes. Raises `CorruptError` when they are not those that were published."""
        content = read_bytes(self.path)
        if not self.holds(content):
            raise CorruptError(
                f"generation {self.number} was damaged or edited",
                path=self.path,
                hint="choose another generation",
            )
        return content


class GenerationStore:
    """The generations in `folder` (made when first needed), at most `keep` of them."""

    def __init__(self, folder: Path, *, keep: int, durability: Durability) -> None:
        self.folder = folder
        self.keep = keep
        self.durability = durability

    def list(self) -> list[Generation]:
        """All generations, oldest first."""
        return [one for one in self._parsed(self._names()) if one is not None]

    def newest(self) -> Generation | None:
        """The last published version, or None when there is none yet."""
        return self._newest_of(self._names())

    def _names(self) -> builtins.list[str]:
        """The names in the folder, those of generations in their order."""
        with storage_errors(self.folder, "list the generations"):
            try:
                names = os.listdir(long_path(self.folder))  # noqa: PTH208  names are enough
            except FileNotFoundError:
                return []
        names.sort()
        names.sort(key=len)  # a number of more digits is a later one
        return names

    def _newest_of(self, names: builtins.list[str]) -> Generation | None:
        return next((one for one in self._parsed(reversed(names)) if one is not None), None)

    def _parsed(self, names: Iterable[str]) -> Iterator[Generation | None]:
        return (_parse(self.folder, name) for name in names)

    def get(self, number: int) -> Generation:
        """The generation `number`. Raises `NotFoundError`."""
        for generation in self.list():
            if generation.number == number:
                return generation
        raise NotFoundError(f"there is no generation {number}", path=self.folder)

    def keep_version(self, content: bytes, path: Path, signature: Signature | None) -> None:
        """Keep `content`, the version at `path` that is about to be replaced, for good.

        It mostly is the newest generation already, but was not brought to the disk as such. The
        file at `path` was, so it becomes the generation: its data need not be written again.
        """
        newest = self.newest()
        if newest is None or not newest.holds(content):
            write_atomic(self._next(newest, content), content, durability=self.durability)
            fault_point("registry.kept")
        elif self.durability == "power" and not self._take_over(newest.path, path, signature):
            write_atomic(newest.path, content, durability=self.durability)

    def _take_over(self, target: Path, path: Path, signature: Signature | None) -> bool:
        """Make the file at `path`, if it is the one of `signature`, the generation `target`."""
        if signature is None:
            return False
        return link_over(
            path, target, only_if=lambda status: signature_of(status)[:4] == signature[:4]
        )

    def prepare(self, content: bytes) -> None:
        """Write the version that is about to be published; `seal` makes it a generation.

        It survives this process; a power cut it survives once it is replaced, see `keep_version`.
        Until then the published file is the one that does.
        """
        make_folder(self.folder)
        write_atomic(self._pending, content, durability="process")
        fault_point("registry.prepared")

    def sync(self) -> None:
        """Bring the names of the generations to the disk.

        Best called when other data has just been synced: mostly it went along.
        """
        if self.durability == "power":
            sync_folder(self.folder)

    def seal(self, content: bytes) -> None:
        """Number the prepared version `content`, now that it is published; drop the oldest."""
        names = self._names()
        with storage_errors(self._pending, "keep the generation"):
            replace(
                long_path(self._pending), long_path(self._next(self._newest_of(names), content))
            )
        fault_point("registry.sealed")
        if len(names) >= self.keep:
            before = [one for one in self._parsed(names) if one is not None]
            for surplus in before[: len(before) + 1 - self.keep]:
                remove(surplus.path)

    def abandon(self) -> None:
        """Forget the prepared version: it was not published."""
        remove(self._pending)

    def settle(self, published: bytes | None) -> None:
        """Decide what a crashed writer left pending; `published` are the file's present bytes.

        It goes only if it certainly was never published: the file still is the newest generation.
        """
        try:
            pending = read_bytes(self._pending)
        except NotFoundError:
            return
        newest = self.newest()
        before = newest is None if published is None else newest and newest.holds(published)
        if before and pending != published:
            self.abandon()
        else:
            self.seal(pending)

    @property
    def _pending(self) -> Path:
        return self.folder / _PENDING

    def _next(self, newest: Generation | None, content: bytes) -> Path:
        make_folder(self.folder)
        number = 1 if newest is None else newest.number + 1
        moment = datetime.now(UTC).strftime(_TIME)
        return self.folder / f"{number:06d}-{moment}-{_digest_of(content)[:16]}.json"


@lru_cache(maxsize=1024)  # every writer looks at all names
def _parse(folder: Path, name: str) -> Generation | None:
    match = _NAME.fullmatch(name)
    if match is None:
        return None
    number, moment, digest = match.groups()
    try:
        published_at = datetime.strptime(moment, _TIME).replace(tzinfo=UTC)
    except ValueError:
        return None
    return Generation(int(number), published_at, folder / name, digest)

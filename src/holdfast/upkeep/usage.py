"""What takes the space of a folder: by folder, kind and age, and the largest files.

Sizes are bytes. `size` is what the disk holds (as ``du`` counts), `apparent` what the files say
they have. A file with several names below the folder counts once, links are not followed.
"""

import os
import sys
import time
from collections.abc import Callable
from datetime import UTC, datetime
from heapq import heappush, heappushpop
from itertools import islice, takewhile
from pathlib import Path
from typing import TypeVar

import msgspec

from holdfast.durable.names import long_path
from holdfast.durable.trees import Entry, walk
from holdfast.errors import NotFoundError

_BLOCK = 512  # st_blocks counts in these, whatever the file system's own are
_DAY = 86_400.0
AGES = {"today": 1, "this week": 7, "this month": 30, "this year": 365, "older": float("inf")}
"""The names of ages, and of how many days (UTC), today included, each is at most."""

KINDS = {
    "code": "py pyi js ts tsx jsx mjs cjs c h cc cpp hpp rs go java kt rb sh ps1 bat sql css html",
    "text": "md txt rst csv tsv",
    "settings": "json jsonl yaml yml toml ini cfg conf env xml",
    "logs": "log",
    "databases": "db sqlite sqlite3 db-wal db-shm",
    "archives": "zip gz bz2 xz zst tar tgz 7z whl jar age",
    "pictures and media": "png jpg jpeg gif svg webp ico mp3 mp4 wav webm pdf",
    "programs": "so dll dylib exe bin node pyd a o",
    "caches": "pyc pyo",
}
"""The names of kinds, and the file name endings of each; all else is ``other``."""

_KIND_OF = {ending: kind for kind, endings in KINDS.items() for ending in endings.split()}


if sys.platform == "win32":

    def size_on_disk(status: os.stat_result) -> int:
        """What a file takes on the disk, in bytes; Windows does not tell, so its length."""
        return status.st_size

else:

    def size_on_disk(status: os.stat_result) -> int:
        """What a file takes on the disk, in bytes."""
        return status.st_blocks * _BLOCK


class Amount(msgspec.Struct):
    """How much there is: bytes on the disk, bytes the files say they have, how many files."""

    size: int = 0
    apparent: int = 0
    files: int = 0

    def add(self, other: "Amount") -> None:
        self.size += other.size
        self.apparent += other.apparent
        self.files += other.files


class FolderUsage(Amount):
    """One folder with all that is below it; `path` is relative, `depth` 0 for the top."""

    path: str = ""
    depth: int = 0


class LargeFile(msgspec.Struct, frozen=True, order=True):
    """A file, by its size on the disk; `changed` is UTC."""

    size: int
    path: str
    changed: datetime


class Unreadable(msgspec.Struct, frozen=True):
    """What could not be looked at, and is in no sum."""

    path: str
    reason: str


class Usage(msgspec.Struct, rename="camel"):
    """What takes the space of `root`; `folders` has those down to the depth asked for."""

    root: str
    total: Amount
    folders: list[FolderUsage]
    kinds: dict[str, Amount]
    ages: dict[str, Amount]
    large: list[LargeFile]
    unreadable: list[Unreadable]

    def below(self, path: str = "") -> list[FolderUsage]:
        """The folder `path` and all that were measured below it, in the order of a tree.

        Raises `NotFoundError`.
        """
        at = next((n for n, folder in enumerate(self.folders) if folder.path == path), None)
        if at is None:
            raise NotFoundError("this folder was not measured", path=Path(self.root) / path)
        depth = self.folders[at].depth
        rest = islice(self.folders, at + 1, None)
        return [self.folders[at], *takewhile(lambda folder: folder.depth > depth, rest)]


def measure(
    root: Path,
    *,
    depth: int = 2,
    top: int = 20,
    large: int = 10_000_000,
    progress: Callable[[int, int], None] | None = None,
) -> Usage:
    """Measure the folder `root`.

    `folders` are given down to `depth`, the `top` largest files of at least `large` bytes are
    named. `progress` is told entries and bytes now and then. Raises `NotFoundError`.
    """
    if not long_path(root).is_dir():
        raise NotFoundError("there is no such folder", path=root)
    sums = _Sums(top, large)
    unreadable: list[Unreadable] = []
    for number, entry in enumerate(
        walk(root, on_error=lambda path, error: unreadable.append(_reason(path, error)))
    ):
        sums.take(entry)
        if progress is not None and number % 5_000 == 0:
            progress(number, sums.seen)
    folders = sums.folders()
    return Usage(
        root=str(root),
        total=Amount(folders[0].size, folders[0].apparent, folders[0].files),
        folders=[folder for folder in folders if folder.depth <= depth],
        kinds=sums.kinds(),
        ages=sums.ages(),
        large=sorted(sums.large, reverse=True),
        unreadable=unreadable,
    )


class _Sums:
    """What has been seen so far; by ending and by day, which `Usage` puts together."""

    def __init__(self, top: int, large: int) -> None:
        self.large: list[LargeFile] = []
        self.seen = 0
        self._top = top
        self._least = large
        # Each folder's own files; what is below is added at the end.
        self._folders: dict[str, FolderUsage] = {"": FolderUsage()}
        self._endings: dict[str, Amount] = {}
        self._days: dict[float, Amount] = {}
        self._twins: set[tuple[int, int]] = set()

    def take(self, entry: Entry) -> None:
        path, status = entry
        apparent = status.st_size
        size = size_on_disk(status)
        above, _, name = path.rpartition("/")
        folder = self._folders[above]
        if entry.is_folder:
            self._folders[path] = FolderUsage(size=size, path=path, depth=folder.depth + 1)
            return
        if status.st_nlink > 1:
            twin = (status.st_dev, status.st_ino)
            if twin in self._twins:
                return
            self._twins.add(twin)
        self.seen += size
        changed = status.st_mtime
        _count(self._endings, name.rpartition(".")[2], size, apparent)
        _count(self._days, changed // _DAY, size, apparent)
        folder.size += size
        folder.apparent += apparent
        folder.files += 1
        if size >= self._least:
            self._remember(LargeFile(size, path, datetime.fromtimestamp(changed, UTC)))

    def folders(self) -> list[FolderUsage]:
        """Every folder with all that is below it, in the order of a tree, the largest first."""
        children: dict[str, list[FolderUsage]] = {}
        for path, folder in reversed(self._folders.items()):
            if path:
                above = path.rpartition("/")[0]
                self._folders[above].add(folder)
                children.setdefault(above, []).append(folder)
        ordered, pending = [], [self._folders[""]]
        while pending:
            folder = pending.pop()
            ordered.append(folder)
            pending += sorted(children.get(folder.path, ()), key=_by_size)
        return ordered

    def kinds(self) -> dict[str, Amount]:
        """By kind, the largest first."""
        found: dict[str, Amount] = {}
        for ending, amount in self._endings.items():
            found.setdefault(_KIND_OF.get(ending.lower(), "other"), Amount()).add(amount)
        return dict(sorted(found.items(), key=lambda item: -item[1].size))

    def ages(self) -> dict[str, Amount]:
        """By age, the newest first."""
        today = time.time() // _DAY
        found: dict[str, Amount] = {}
        for day, amount in self._days.items():
            age = next(name for name, most in AGES.items() if today - day < most)
            found.setdefault(age, Amount()).add(amount)
        return {name: found[name] for name in AGES if name in found}

    def _remember(self, file: LargeFile) -> None:
        if len(self.large) < self._top:
            heappush(self.large, file)
        else:
            heappushpop(self.large, file)


_Key = TypeVar("_Key", str, float)


def _count(amounts: dict[_Key, Amount], key: _Key, size: int, apparent: int) -> None:
    amount = amounts.get(key)
    if amount is None:
        amount = amounts[key] = Amount()
    amount.size += size
    amount.apparent += apparent
    amount.files += 1


def _by_size(folder: FolderUsage) -> int:
    return folder.size


def _reason(path: str, error: OSError) -> Unreadable:
    return Unreadable(path, error.strerror or str(error))

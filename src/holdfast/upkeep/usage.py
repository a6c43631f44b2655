"""What takes the space of a folder: by folder, kind and age, and the largest files.

Sizes are bytes. `size` is what the disk holds (as ``du`` counts), `apparent` what the files say
they have. A file with several names below the folder counts once, links are not followed.
"""

import os
import stat
import sys
import time
from collections.abc import Callable, Iterable
from datetime import UTC, datetime
from heapq import heappush, heappushpop
from itertools import islice, takewhile
from pathlib import Path

import msgspec

from holdfast.durable.names import long_path
from holdfast.durable.trees import is_junction
from holdfast.errors import NotFoundError

_BLOCK = 512  # st_blocks counts in these, whatever the file system's own are
_DAY = 86_400
_TYPE, _FOLDER = 0o170000, 0o040000  # of a mode
# On Windows scandir's own stat lacks the inode and the link count; lstat has them.
_COMPLETE = sys.platform != "win32"
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


class Amount(msgspec.Struct, gc=False):
    """How much there is: bytes on the disk, bytes the files say they have, how many files."""

    size: int = 0
    apparent: int = 0
    files: int = 0

    def add(self, other: "Amount") -> None:
        self.size += other.size
        self.apparent += other.apparent
        self.files += other.files


class FolderUsage(Amount, gc=False):
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
    depth: int | None = None,
    top: int = 20,
    large: int = 10_000_000,
    progress: Callable[[int, int], None] | None = None,
) -> Usage:
    """Measure the folder `root`.

    `folders` are given down to `depth` (all for None), the `top` largest files of at least `large`
    bytes are named. `progress` is told entries and bytes now and then. Raises `NotFoundError`.
    """
    if not long_path(root).is_dir():
        raise NotFoundError("there is no such folder", path=root)
    count = _Count(top, large, progress)
    count.all_below(str(long_path(root)))
    folders = count.folders(depth)
    return Usage(
        root=str(root),
        total=Amount(folders[0].size, folders[0].apparent, folders[0].files),
        folders=folders,
        kinds=count.kinds(),
        ages=count.ages(),
        large=sorted(count.large, reverse=True),
        unreadable=count.unreadable,
    )


def weigh(path: Path) -> tuple[Amount, bool]:
    """What `path` takes, and whether all of it lies on one file system.

    A file, a link itself, or a folder with all that is below it. What cannot be looked at is not
    counted. Raises `OSError` when there is nothing at `path`.
    """
    status = os.lstat(long_path(path))
    if not stat.S_ISDIR(status.st_mode) or is_junction(status):
        return Amount(size_on_disk(status), status.st_size, 1), True
    count = _Count(top=0, large=sys.maxsize)
    count.all_below(str(long_path(path)))
    below = count.folders(0)[0]
    amount = Amount(size_on_disk(status) + below.size, below.apparent, below.files)
    return amount, count.devices <= {status.st_dev}


class _Count:
    """What has been seen so far; by ending and by day, which `Usage` puts together.

    A home has hundreds of thousands of files, and for each a few operations on plain integers are
    done here, in one loop, and no object is made.
    """

    def __init__(
        self, top: int, large: int, progress: Callable[[int, int], None] | None = None
    ) -> None:
        self.large: list[LargeFile] = []
        self.unreadable: list[Unreadable] = []
        self.devices: set[int] = set()  # of the folders below
        self._top = top
        self._least = large
        self._progress = progress
        # Each folder's own files, and the folder it is in; what is below is added at the end.
        self._folders: list[FolderUsage] = []
        self._above: list[FolderUsage | None] = []
        # Of each ending and each day: size, apparent size, number of files.
        self._endings: dict[str, list[int]] = {}
        self._days: dict[float, list[int]] = {}
        self._twins: set[tuple[int, int]] = set()

    def all_below(self, root: str) -> None:
        """Look at everything below `root`, links not followed."""
        entries = bytes_seen = 0
        cut = len(os.path.join(root, ""))  # noqa: PTH118  with the separator behind it
        pending: list[tuple[str, FolderUsage | None, int]] = [(root, None, 0)]
        while pending:
            place, above, size = pending.pop()
            path = place[cut:].replace(os.sep, "/") if os.sep != "/" else place[cut:]
            depth = 0 if above is None else above.depth + 1
            folder = FolderUsage(size=size, path=path, depth=depth)
            self._folders.append(folder)
            self._above.append(above)
            try:
                with os.scandir(place) as found:
                    entries += self._take(found, folder, pending)
            except OSError as error:
                self.unreadable.append(_reason(path, error))
            bytes_seen += folder.size
            if self._progress is not None and len(self._folders) % 1_000 == 0:
                self._progress(entries, bytes_seen)

    def _take(
        self,
        found: Iterable[os.DirEntry[str]],
        folder: FolderUsage,
        pending: list[tuple[str, FolderUsage | None, int]],
    ) -> int:
        """Count what is in one folder; how many entries it has."""
        endings, days, least = self._endings, self._days, self._least
        size = apparent = files = number = 0
        for number, item in enumerate(found, start=1):  # noqa: B007
            try:
                status = item.stat(follow_symlinks=False) if _COMPLETE else os.lstat(item)
            except OSError as error:
                self.unreadable.append(_reason(_below(folder.path, item.name), error))
                continue
            mode, inode, device, links, _, _, its_apparent, _, changed, _ = status
            its_size = size_on_disk(status)
            if mode & _TYPE == _FOLDER and not is_junction(status):
                pending.append((item.path, folder, its_size))
                self.devices.add(device)
                continue
            if links > 1:
                twin = (device, inode)
                if twin in self._twins:
                    continue
                self._twins.add(twin)
            name = item.name
            ending = name[name.rfind(".") + 1 :]
            try:
                sums = endings[ending]
            except KeyError:
                sums = endings[ending] = [0, 0, 0]
            sums[0] += its_size
            sums[1] += its_apparent
            sums[2] += 1
            try:
                sums = days[changed // _DAY]
            except KeyError:
                sums = days[changed // _DAY] = [0, 0, 0]
            sums[0] += its_size
            sums[1] += its_apparent
            sums[2] += 1
            size += its_size
            apparent += its_apparent
            files += 1
            if its_size >= least:
                moment = datetime.fromtimestamp(changed, UTC)
                self._remember(LargeFile(its_size, _below(folder.path, name), moment))
        folder.size += size
        folder.apparent += apparent
        folder.files += files
        return number

    def folders(self, depth: int | None) -> list[FolderUsage]:
        """The folders with all that is below them, in the order of a tree, the largest first."""
        children: dict[str, list[FolderUsage]] = {}
        for folder, above in zip(reversed(self._folders), reversed(self._above), strict=True):
            if above is not None:
                above.add(folder)
                if depth is None or folder.depth <= depth:
                    children.setdefault(above.path, []).append(folder)
        ordered, pending = [], [self._folders[0]]
        while pending:
            folder = pending.pop()
            ordered.append(folder)
            pending += sorted(children.get(folder.path, ()), key=_by_size)
        return ordered

    def kinds(self) -> dict[str, Amount]:
        """By kind, the largest first."""
        found: dict[str, Amount] = {}
        for ending, sums in self._endings.items():
            kind = _KIND_OF.get(ending.lower(), "other")
            found.setdefault(kind, Amount()).add(Amount(*sums))
        return dict(sorted(found.items(), key=lambda item: -item[1].size))

    def ages(self) -> dict[str, Amount]:
        """By age, the newest first."""
        today = time.time() // _DAY
        found: dict[str, Amount] = {}
        for day, sums in self._days.items():
            age = next(name for name, most in AGES.items() if today - day < most)
            found.setdefault(age, Amount()).add(Amount(*sums))
        return {name: found[name] for name in AGES if name in found}

    def _remember(self, file: LargeFile) -> None:
        if len(self.large) < self._top:
            heappush(self.large, file)
        elif self._top:
            heappushpop(self.large, file)


def _below(folder: str, name: str) -> str:
    return f"{folder}/{name}" if folder else name


def _by_size(folder: FolderUsage) -> tuple[int, str]:
    return folder.size, folder.path


def _reason(path: str, error: OSError) -> Unreadable:
    return Unreadable(path, error.strerror or str(error))

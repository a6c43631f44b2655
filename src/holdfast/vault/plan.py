"""What a restore would do with each path, found out without changing anything."""

import os
import stat
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import msgspec

from holdfast.durable.names import inside, long_path, windows_problem
from holdfast.durable.trees import is_junction
from holdfast.errors import UsageError
from holdfast.vault.capture import SETTLED_NS, at_rest
from holdfast.vault.entries import Entry
from holdfast.vault.index import Index
from holdfast.vault.reports import Action

Found = os.stat_result | None


class Step(msgspec.Struct, frozen=True, gc=False):
    """What to do with one entry; `refusal` says why it is not restored at all."""

    entry: Entry
    action: Action
    newer: bool = False
    refusal: str | None = None


class Planner:
    """Plans entry by entry, parents before children, for the folder `target`.

    `settled_before` (ns of the epoch) is the time before which a file's times identify its content;
    `matches` tells whether bytes are a chunk's.
    """

    def __init__(
        self,
        target: Path,
        index: Index,
        settled_before: int,
        matches: Callable[[str, bytes], bool],
    ) -> None:
        self._matches = matches
        self._top = str(long_path(target))
        self._target = target
        self._index = index
        self._settled_before = settled_before - SETTLED_NS
        self._absent: set[str] = set()
        self._folders = {""}
        self.implicit: set[str] = set()  # folders to make that have no entry of their own

    def plan(self, entry: Entry) -> Step:
        """The step for `entry`."""
        if entry.kind in ("fifo", "socket", "device"):
            return Step(entry, "skip")
        if (refusal := self._refusal(entry.path)) is not None:
            return Step(entry, "skip", refusal=refusal)
        parent = entry.path.rpartition("/")[0]
        found = None if parent in self._absent else self.look(entry.path)
        step = self._compare(entry, found)
        if entry.kind == "folder":
            there = step.action == "unchanged"
            (self._folders if there else self._absent).add(entry.path)
        return step

    def place(self, path: str) -> str:
        """Where `path` goes, as the system calls it."""
        return f"{self._top}{os.sep}{path.replace('/', os.sep)}"

    def look(self, path: str) -> Found:
        """What is at `path` now; None when nothing is."""
        try:
            return os.lstat(self.place(path))
        except (FileNotFoundError, NotADirectoryError):
            return None

    def _refusal(self, path: str) -> str | None:
        try:
            if ".." in path or path[:1] in ("/", "") or "\0" in path or sys.platform == "win32":
                inside(self._target, path)
        except UsageError:
            return "refused: the path leads out of the target"
        if sys.platform == "win32":
            for part in path.split("/"):
                if problem := windows_problem(part):
                    return f"cannot be restored on Windows: {part!r} is {problem}"
        parent = path.rpartition("/")[0]
        if parent in self._folders or parent in self._absent:
            return None
        return self._look_at_parents(parent)

    def _look_at_parents(self, parent: str) -> str | None:
        """Parents that no entry of the snapshot stands for: they must be folders, or absent."""
        parts = parent.split("/")
        for count in range(1, len(parts) + 1):
            folder = "/".join(parts[:count])
            if folder in self._folders:
                continue
            found = self.look(folder)
            if found is None:
                self._absent.add(parent)
                self.implicit.add(parent)
                return None
            if not _is_folder(found):
                return f"refused: {folder} is a link or a file, not a folder"
            self._folders.add(folder)
        return None

    def _compare(self, entry: Entry, found: Found) -> Step:
        if found is None:
            return Step(entry, "create")
        newer = found.st_mtime_ns > entry.mtime_ns
        if entry.kind == "folder":
            return Step(entry, "unchanged" if _is_folder(found) else "conflict", False)
        if entry.kind == "link":
            if not stat.S_ISLNK(found.st_mode):
                return Step(entry, "conflict", newer)
            same = os.readlink(self.place(entry.path)) == entry.target  # noqa: PTH115
            return Step(entry, "unchanged" if same else "replace", newer and not same)
        if not stat.S_ISREG(found.st_mode):
            return Step(entry, "conflict", newer)
        same = self.same_content(entry, found)
        return Step(entry, "unchanged" if same else "replace", newer and not same)

    def same_content(self, entry: Entry, found: os.stat_result) -> bool:
        """Whether the file there, which looks like `found`, has the entry's content."""
        place = self.place(entry.path)
        if entry.capture == "sqlite" and not at_rest(place):
            return False
        now = (found.st_size, found.st_mtime_ns, found.st_ctime_ns, found.st_ino)
        if entry.on_disk == now and max(now[1], now[2]) < self._settled_before:
            return True
        if found.st_size != entry.size:
            return False
        try:
            with Path(place).open("rb") as file:
                return all(
                    self._matches(chunk, file.read(length))
                    for chunk, length in self._lengths(entry)
                )
        except OSError:
            return False  # what cannot be read is replaced, and kept in quarantine

    def _lengths(self, entry: Entry) -> Iterator[tuple[str, int]]:
        for chunk in entry.chunks:
            place = self._index.place(chunk)
            yield chunk, -1 if place is None else place.length


def _is_folder(found: os.stat_result) -> bool:
    return stat.S_ISDIR(found.st_mode) and not is_junction(found)

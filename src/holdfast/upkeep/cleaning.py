"""Cleaning: a plan with sizes and reasons first, then all of it into quarantine."""

import os
from collections.abc import Callable, Sequence
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING

import msgspec

from holdfast.claude.places import claude_places
from holdfast.durable import reserve
from holdfast.durable.held_folders import held_folder
from holdfast.durable.names import long_path
from holdfast.errors import HoldfastError, UsageError
from holdfast.facade import Workspace
from holdfast.upkeep.clutter import KINDS, Ages, Clutter, Spared, clutter_of
from holdfast.upkeep.in_use import Held, Tracked
from holdfast.upkeep.usage import Amount, weigh

if TYPE_CHECKING:
    from holdfast.durable.quarantine import Collection


class CleanItem(msgspec.Struct):
    """What is to go: its size (bytes on the disk), how many files, and how it comes back."""

    path: str
    kind: str
    size: int
    files: int
    back: str


class CleanSpared(msgspec.Struct):
    """What looks like clutter and stays, and why."""

    path: str
    kind: str
    reason: str


class CleanReport(msgspec.Struct, rename="camel"):
    """A plan, or what became of it; `quarantined` are the entries that hold what went."""

    items: list[CleanItem]
    spared: list[CleanSpared]
    applied: bool = False
    quarantined: list[str] = []

    @property
    def size(self) -> int:
        """All items together, in bytes on the disk."""
        return sum(item.size for item in self.items)


class Plan:
    """What may go from a workspace, as it was when it was looked for."""

    def __init__(self, workspace: Workspace, kinds: Sequence[str] = (), ages: Ages | None = None):
        """Look for clutter of `kinds` (all for none). Raises `UsageError`, `MissingError`."""
        unknown = set(kinds) - set(KINDS)
        if unknown:
            known = ", ".join(KINDS)
            raise UsageError(f"nothing is cleaned as {', '.join(sorted(unknown))}", hint=known)
        self._workspace = workspace
        layout = workspace.layout
        tracked, held, precious = Tracked(), Held(), _precious(workspace)
        self._items: list[tuple[Clutter, CleanItem]] = []
        self._spared: list[Spared] = []
        for found in clutter_of(
            layout,
            claude_places(layout.home),
            ages or Ages(),
            lambda kind: not kinds or kind in kinds,
        ):
            if isinstance(found, Spared):
                self._spared.append(found)
                continue
            reason = _holds(found.path, precious) or _reason_to_stay(found, tracked, held)
            with suppress(OSError):  # gone since
                amount, is_one_disk = weigh(found.path) if reason is None else (Amount(), True)
                if not is_one_disk:
                    reason = "another file system is mounted below it"
                if reason is not None:
                    self._spared.append(Spared(found.path, found.kind, reason))
                    continue
                path = str(found.path)
                item = CleanItem(path, found.kind, amount.size, amount.files, found.back)
                self._items.append((found, item))
        self._items.sort(key=lambda pair: (-pair[1].size, pair[1].path))
        self._spared.sort(key=lambda each: each.path)

    def report(self) -> CleanReport:
        """What would go, the largest first, and what stays."""
        return CleanReport([item for _, item in self._items], _spared(self._spared))

    def apply(self, progress: Callable[[int, int], None] | None = None) -> CleanReport:
        """Move all items to quarantine. One that changed since, or cannot be moved, stays.

        Raises `StorageError` when the quarantine cannot be written.
        """
        collections: dict[Path, Collection] = {}
        used: dict[Path, str] = {}
        gone: list[CleanItem] = []
        spared = list(self._spared)
        size = 0
        for clutter, item in self._items:
            if clutter.base not in collections:
                quarantine = self._workspace.quarantine
                collections[clutter.base] = quarantine.collect(clutter.base, reason="clean")
            reason = _move(clutter, collections[clutter.base])
            if reason is not None:
                spared.append(Spared(clutter.path, clutter.kind, reason))
                continue
            used[clutter.base] = collections[clutter.base].entry.id
            gone.append(item)
            size += item.size
            if progress is not None:
                progress(len(gone), size)
        reserve.lay_by(self._workspace.layout.root)
        return CleanReport(gone, _spared(spared), applied=True, quarantined=list(used.values()))


def _precious(workspace: Workspace) -> dict[str, str]:
    """What must not go, whatever the folder around it is called: its real path, what it is."""
    places = {Path.home(): "the home is"}
    for each in workspace.settings.destinations:
        places[each.folder] = f"the backups of {each.name} are"
    return {os.path.realpath(place): what for place, what in places.items()}


def _holds(path: Path, precious: dict[str, str]) -> str | None:
    real = os.path.realpath(path)
    for place, what in precious.items():
        if place == real or place.startswith(real + os.sep):
            return f"{what} in it"
    return None


def _reason_to_stay(clutter: Clutter, tracked: Tracked, held: Held) -> str | None:
    if clutter.kind == "shell-snapshots":
        # A running session reads its snapshot anew for each command.
        reader = held.reader_of(clutter.path.name)
        return f"{reader} reads it" if reader else None
    # A program that runs from a project needs its packages, whether it has one open or not.
    user = clutter.path.parent if clutter.kind == "node-modules" else clutter.path
    return tracked.reason(clutter.path) or held.reason(user)


def _move(clutter: Clutter, collection: "Collection") -> str | None:
    """Move it if it is what was found, and no folder above it became a link; else why not."""
    above = clutter.path.parent.relative_to(clutter.base)
    try:
        with held_folder(clutter.base, above) as folder:
            there = folder / clutter.path.name
            if _identity(there) != clutter.identity:
                return "it changed meanwhile"
            collection.take(clutter.path, through=there)
    except OSError:
        return "it changed meanwhile"
    except HoldfastError as error:
        return error.message
    return None


def _identity(path: Path) -> tuple[int, int] | None:
    try:
        status = os.lstat(long_path(path))
    except OSError:
        return None
    return status.st_dev, status.st_ino


def _spared(found: Sequence[Spared]) -> list[CleanSpared]:
    return [CleanSpared(str(each.path), each.kind, each.reason) for each in found]

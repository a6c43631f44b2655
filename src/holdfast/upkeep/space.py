"""Space: the budgets of folders, the free space of disks, and warnings before either ends.

Measuring a folder means to look at each file in it. So that is done by ``holdfast usage`` and by
the schedule; the sizes are kept in ``.holdfast/schedule/sizes.json``; `space_of` only reads them.
"""

import os
import shutil
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Literal

import msgspec

from holdfast.durable.documents import convert, read_document, write_document
from holdfast.durable.files import make_folder
from holdfast.durable.names import is_within, long_path
from holdfast.errors import HoldfastError
from holdfast.facade import Workspace
from holdfast.upkeep.usage import Usage, measure
from holdfast.workspace.sizes import parse_size, readable_size

Progress = Callable[[int, int], None]


class Budget(msgspec.Struct, rename="camel"):
    """What `folder` may hold and what it held when it was last measured, in bytes on the disk.

    It is ``absent`` when there is no such folder, ``unmeasured`` until somebody has looked.
    """

    folder: str
    limit: int
    size: int | None = None
    measured_at: datetime | None = None
    state: Literal["ok", "near", "over", "absent", "unmeasured"] = "unmeasured"


class Disk(msgspec.Struct, rename="camel"):
    """The disk that holds `path`: what of it is free for this user now, and should be (bytes)."""

    path: str
    free: int
    total: int
    keep_free: int

    @property
    def is_low(self) -> bool:
        return self.free < self.keep_free


class Space(msgspec.Struct):
    """How much space there is; `warnings` say what will end, or has ended."""

    budgets: list[Budget]
    disks: list[Disk]
    warnings: list[str]

    @property
    def enough(self) -> bool:
        """Whether no budget is exceeded and no disk nearly full."""
        over = any(budget.state == "over" for budget in self.budgets)
        return not over and not any(disk.is_low for disk in self.disks)


class _Size(msgspec.Struct, rename="camel"):
    size: int
    measured_at: datetime


class _SizesFile(msgspec.Struct, rename="camel"):
    sizes: dict[str, _Size] = {}
    format_version: int = 1


def space_of(workspace: Workspace) -> Space:
    """The space there is, by the sizes last measured; no folder is looked through."""
    return _space(workspace, _read_sizes(workspace))


def measure_space(workspace: Workspace, progress: Progress | None = None) -> Space:
    """Measure every folder that has a budget, and keep the sizes. Raises `StorageError`."""
    sizes = {}
    for path in _folders(workspace).values():
        if long_path(path).is_dir():
            size = measure(path, depth=0, top=0, progress=progress).total.size
            sizes[str(path)] = _Size(size, datetime.now(UTC))
    return _keep(workspace, sizes)


def take_note(workspace: Workspace, usage: Usage) -> Space:
    """Keep the sizes of the budgets' folders that `usage` (of all depths) has anyway."""
    root, now = Path(usage.root), datetime.now(UTC)
    by_path = {folder.path: folder.size for folder in usage.folders}
    sizes = _read_sizes(workspace)
    for path in _folders(workspace).values():
        if is_within(path, root):
            size = by_path.get(path.relative_to(root).as_posix().removeprefix("."))
            if size is not None:
                sizes[str(path)] = _Size(size, now)
    return _keep(workspace, sizes)


def _keep(workspace: Workspace, sizes: dict[str, _Size]) -> Space:
    place = _place(workspace)
    if sizes or place.exists():
        make_folder(place.parent)
        write_document(place, _SizesFile(sizes))
    return _space(workspace, sizes)


def _read_sizes(workspace: Workspace) -> dict[str, _Size]:
    """The sizes last measured. What cannot be read is measured again, nothing is lost with it."""
    try:
        return convert(read_document(_place(workspace)), _SizesFile).sizes
    except HoldfastError:
        return {}


def _place(workspace: Workspace) -> Path:
    return workspace.layout.schedule / "sizes.json"


def _folders(workspace: Workspace) -> dict[str, Path]:
    """The folder of each budget, by what it is called in the settings."""
    root = workspace.layout.root
    return {
        name: Path(os.path.normpath(root / Path(name).expanduser()))
        for name in workspace.settings.space.budgets
    }


def _space(workspace: Workspace, sizes: dict[str, _Size]) -> Space:
    budgets = [
        _budget(workspace, name, path, sizes.get(str(path)))
        for name, path in _folders(workspace).items()
    ]
    disks = list(_disks(workspace))
    return Space(budgets, disks, [*_warnings(budgets), *_warnings_of(disks)])


def _budget(workspace: Workspace, name: str, path: Path, measured: _Size | None) -> Budget:
    space = workspace.settings.space
    budget = Budget(name, parse_size(space.budgets[name]))
    if not long_path(path).is_dir():
        budget.state = "absent"
    elif measured is not None:
        budget.size, budget.measured_at = measured.size, measured.measured_at
        over, near = measured.size > budget.limit, measured.size >= budget.limit * space.warn_at
        budget.state = "over" if over else "near" if near else "ok"
    return budget


def _disks(workspace: Workspace) -> Iterator[Disk]:
    """The disks of the workspace, its home and the backups, each once."""
    layout, settings = workspace.layout, workspace.settings
    keep_free = parse_size(settings.space.keep_free)
    seen: set[int] = set()
    for path in (layout.root, layout.home, *(each.folder for each in settings.destinations)):
        try:
            device = long_path(path).stat().st_dev
            use = shutil.disk_usage(long_path(path))
        except OSError:
            continue  # a destination that is not there now, which the status says anyway
        if device not in seen:
            seen.add(device)
            yield Disk(str(path), use.free, use.total, keep_free)


def _warnings(budgets: list[Budget]) -> Iterator[str]:
    for budget in budgets:
        if budget.state in ("near", "over") and budget.size is not None:
            verb = "exceeds" if budget.state == "over" else "comes near"
            sizes = f"{readable_size(budget.size)} of {readable_size(budget.limit)}"
            yield f"{budget.folder} {verb} its budget: {sizes}"


def _warnings_of(disks: list[Disk]) -> Iterator[str]:
    for disk in disks:
        if disk.is_low:
            free, wanted = readable_size(disk.free), readable_size(disk.keep_free)
            yield f"the disk of {disk.path} is nearly full: {free} free, not {wanted}"

"""What may be cleaned away: how it is recognised, why it is there, how it comes back."""

import os
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from holdfast.claude.places import ClaudePlaces
from holdfast.durable.names import long_path
from holdfast.durable.trees import Entry, is_real_folder, walk
from holdfast.workspace.layout import STATE_FOLDER, Layout

DAY = 86_400.0
KINDS = {
    "python-cache": "compiled Python; Python makes it again",
    "tool-cache": "caches of linters, type checkers and build tools; the tools make them again",
    "node-modules": "packages that package.json and a lock file bring back",
    "logs": "log files past their days",
    "shell-snapshots": "shells of Claude Code sessions that have ended",
    "client-logs": "debug and MCP logs of Claude Code past their days",
}
"""The kinds of what `clean` takes, each with why it may go."""

_PYTHON_CACHE = "__pycache__"
_TOOL_CACHES = frozenset(
    (".mypy_cache", ".pytest_cache", ".ruff_cache", ".tox", ".nox", ".parcel-cache", ".turbo")
)
_NODE = "node_modules"
_LOCK_FILES = (
    "package-lock.json",
    "npm-shrinkwrap.json",
    "yarn.lock",
    "pnpm-lock.yaml",
    "bun.lock",
    "bun.lockb",
)
_CLOSED = frozenset((".git", ".hg", ".svn", STATE_FOLDER))
"""Folders that are not looked into: what they hold is not for cleaning."""


@dataclass(frozen=True)
class Clutter:
    """One thing that may go: where, what kind, and how it comes back.

    `base` is the folder it was found below; `identity` is its device and inode then.
    """

    path: Path
    base: Path
    kind: str
    back: str
    identity: tuple[int, int]


@dataclass(frozen=True)
class Spared:
    """What looks like clutter and stays, and why."""

    path: Path
    kind: str
    reason: str


@dataclass(frozen=True)
class Ages:
    """How many days old things are at least when they go."""

    logs: float = 30.0
    client: float = 14.0


Found = Clutter | Spared
Wanted = Callable[[str], bool]


def clutter_of(layout: Layout, claude: ClaudePlaces, ages: Ages, wanted: Wanted) -> Iterator[Found]:
    """All clutter of the kinds `wanted`, of the workspace and of Claude Code in the home."""
    yield from _in_workspace(layout.root, wanted)
    if wanted("logs"):
        yield from _old_files(layout.logs, layout.root, "logs", ages.logs, _is_log)
    if wanted("client-logs"):
        for folder in (claude.folder / "debug", *_mcp_logs(claude)):
            yield from _old_files(folder, folder.parent, "client-logs", ages.client, _any_name)
    if wanted("shell-snapshots"):
        place = claude.shell_snapshots
        yield from _old_files(place, place.parent, "shell-snapshots", ages.client, _any_name)


def _in_workspace(root: Path, wanted: Wanted) -> Iterator[Found]:
    """Caches and packages that can be made again; none is looked for inside another."""
    device = os.lstat(long_path(root)).st_dev
    cut = len(os.path.join(long_path(root), ""))  # noqa: PTH118  with the separator behind it
    pending = [str(long_path(root))]
    while pending:
        try:
            with os.scandir(pending.pop()) as listed:
                items = list(listed)
        except OSError:
            continue  # what cannot be looked at is not cleaned
        for item in items:
            name = item.name
            if name in _CLOSED:
                continue
            if is_real_folder(item):
                kind = _kind_of_folder(name)
                if kind is None:
                    pending.append(item.path)
                else:
                    path = item.path[cut:].replace(os.sep, "/")
                    yield from _judged(root, path, kind, device, wanted)
            elif name.endswith((".pyc", ".pyo")) and wanted("python-cache"):
                yield from _compiled(root, item.path[cut:].replace(os.sep, "/"))


def _compiled(root: Path, path: str) -> Iterator[Found]:
    with suppress(OSError):  # gone since
        entry = Entry(path, os.lstat(long_path(root / path)))
        if entry.is_file:
            yield _clutter(root, entry, "python-cache", KINDS["python-cache"])


def _kind_of_folder(name: str) -> str | None:
    if name == _PYTHON_CACHE:
        return "python-cache"
    if name == _NODE:
        return "node-modules"
    return "tool-cache" if name in _TOOL_CACHES else None


def _judged(root: Path, path: str, kind: str, device: int, wanted: Wanted) -> Iterator[Found]:
    """The folder at `path` as what may go, or why it stays."""
    if not wanted(kind):
        return
    place = root / path
    try:
        status = os.lstat(long_path(place))
    except OSError:
        return  # gone since
    if status.st_dev != device:
        yield Spared(place, kind, "another file system is mounted there")
        return
    back = KINDS[kind]
    if kind == "node-modules":
        project = place.parent
        if not (project / "package.json").is_file():
            yield Spared(place, kind, "no package.json beside it would bring it back")
            return
        if not any((project / name).is_file() for name in _LOCK_FILES):
            yield Spared(place, kind, "no lock file beside it would bring the same packages back")
            return
        back = f"npm ci, in {project}"
    yield _clutter(root, Entry(path, status), kind, back)


def _old_files(
    folder: Path, base: Path, kind: str, days: float, wanted: Callable[[str], bool]
) -> Iterator[Found]:
    """The files below `folder` that nobody changed for `days`."""
    if not long_path(folder).is_dir() or long_path(folder).is_symlink():
        return
    oldest = time.time() - days * DAY
    above = folder.relative_to(base).as_posix()
    for entry in walk(folder, on_error=_pass_over):
        name = entry.path.rpartition("/")[2]
        if entry.is_file and wanted(name) and entry.status.st_mtime < oldest:
            below = Entry(f"{above}/{entry.path}", entry.status)
            yield _clutter(base, below, kind, f"not at all; unchanged for {days:.0f} days")


def _mcp_logs(claude: ClaudePlaces) -> Iterator[Path]:
    """The folders of MCP logs: ``<cache>/claude-cli-nodejs/<slug>/mcp-logs-<name>``."""
    for cache in (claude.home / ".cache", claude.home / "Library" / "Caches", claude.local):
        yield from sorted(cache.glob("claude-cli-nodejs/*/mcp-logs-*"))


def _clutter(base: Path, entry: Entry, kind: str, back: str) -> Clutter:
    identity = (entry.status.st_dev, entry.status.st_ino)
    return Clutter(base / entry.path, base, kind, back, identity)


def _is_log(name: str) -> bool:
    return name.endswith((".log", ".log.zst", ".log.gz"))


def _any_name(name: str) -> bool:
    return not name.startswith(".")


def _pass_over(_path: str, _error: OSError) -> None:
    """What cannot be looked at is not cleaned."""

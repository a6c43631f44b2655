"""Which files may hold secrets: those of the workspace, and those of the clients in the home."""

import os
import stat
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from holdfast.claude.places import ClaudePlaces, claude_places
from holdfast.durable.names import is_within, long_path
from holdfast.durable.trees import walk
from holdfast.secrets.scanning import is_env_file
from holdfast.workspace.layout import STATE_FOLDER, Layout

Place = Literal["settings", "environment", "transcript", "shell snapshot", "log", "text", "staged"]

_PASSED_OVER = frozenset(
    (
        *(".git", ".hg", ".svn", STATE_FOLDER, "node_modules", "__pycache__", ".venv", "venv"),
        *(".mypy_cache", ".pytest_cache", ".ruff_cache", ".tox", ".nox"),
    )
)
_HOME_SETTINGS = (
    *(".mcp.json", ".bashrc", ".bash_profile", ".profile", ".zshrc", ".zshenv", ".gitconfig"),
    *(".npmrc", ".pypirc", ".netrc", ".env", ".docker/config.json"),
)
_SETTINGS = {".json", ".toml", ".yaml", ".yml", ".ini", ".cfg", ".conf", ".properties"}


@dataclass(frozen=True)
class Candidate:
    """A file to look at, what it is, how it is named to people, and its size in bytes."""

    path: Path
    place: Place
    shown: str
    size: int


def candidates(layout: Layout) -> Iterator[Candidate]:
    """Every file that is looked at when nothing is named: of the workspace, then of the home."""
    seen: set[Path] = set()
    for path in (*_below(layout.root), *_of_home(layout)):
        if path not in seen:
            seen.add(path)
            yield from _candidate(path, layout)


def candidates_at(path: Path, layout: Layout) -> Iterator[Candidate]:
    """The file `path`, or all files below it. Raises `FileNotFoundError`."""
    path = Path(os.path.normpath(path.absolute()))
    if not stat.S_ISDIR(long_path(path).stat().st_mode):
        yield from _candidate(path, layout)
        return
    for each in _below(path):
        yield from _candidate(each, layout)


def shown(path: Path, layout: Layout) -> str:
    """`path` relative to the workspace, else ``~/…`` in the home, else whole."""
    if path.is_relative_to(layout.root):
        return path.relative_to(layout.root).as_posix()
    if path.is_relative_to(layout.home):
        return f"~/{path.relative_to(layout.home).as_posix()}"
    return str(path)


def place_of(path: Path, layout: Layout) -> Place:
    """What kind of file `path` is, by where it lies and how it is called."""
    claude = claude_places(layout.home)
    if path.is_relative_to(claude.shell_snapshots):
        return "shell snapshot"
    if path.is_relative_to(claude.folder) and path.suffix not in (".json", ".md"):
        return "transcript"
    if is_env_file(path.name):
        return "environment"
    if ".log" in path.suffixes or is_within(path, layout.logs) or "mcp-logs-" in path.parent.name:
        return "log"
    if path.suffix == ".jsonl":
        return "transcript"
    return "settings" if path.suffix.lower() in _SETTINGS else "text"


def _candidate(path: Path, layout: Layout) -> Iterator[Candidate]:
    try:
        status = long_path(path).stat()
    except OSError:
        return  # gone since it was listed, or a link to nowhere
    if stat.S_ISREG(status.st_mode):
        yield Candidate(path, place_of(path, layout), shown(path, layout), status.st_size)


def _below(folder: Path) -> Iterator[Path]:
    def skip(_: str, item: os.DirEntry[str]) -> bool:
        return item.name in _PASSED_OVER

    for entry in walk(folder, skip=skip, on_error=lambda *_: None):
        if entry.is_file:
            yield folder / entry.path


def _of_home(layout: Layout) -> Iterator[Path]:
    claude = claude_places(layout.home)
    yield from (layout.home / name for name in _HOME_SETTINGS)
    yield from (claude.user_config, claude.user_settings, claude.instructions, claude.prompts)
    yield claude.folder / "settings.local.json"
    yield from claude.desktop_configs()
    for folder in _folders(claude, layout):
        yield from _below(folder)


def _folders(claude: ClaudePlaces, layout: Layout) -> list[Path]:
    """Folders of Claude Code that hold what was said and run; its own credentials are its own."""
    names = ("debug", "file-history", "session-env", "plans", "tasks")
    caches = layout.home / ("Library/Caches" if sys.platform == "darwin" else ".cache")
    if sys.platform == "win32":
        caches = claude.local
    return [
        *(claude.transcripts, claude.shell_snapshots, claude.backups),
        *(claude.folder / name for name in names),
        caches / "claude-cli-nodejs",
    ]

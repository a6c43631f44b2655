"""What must stay: tracked by git, or in the hands of a running program."""

import os
import sys
from bisect import bisect_left
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from holdfast.durable.names import long_path
from holdfast.errors import HoldfastError, MissingError
from holdfast.history.git import Git


class Tracked:
    """What the git repositories around some paths track; each is asked once."""

    def __init__(self) -> None:
        self._repositories: dict[Path, list[str] | None] = {}
        self._tops: dict[Path, Path | None] = {}

    def reason(self, path: Path) -> str | None:
        """Why git says that `path` stays: it, or something below it, is tracked."""
        top = self._top_of(path.parent)
        if top is None:
            return None
        names = self._names(top)
        if names is None:
            return "git cannot tell whether it is tracked"
        wanted = path.relative_to(top).as_posix()
        at = bisect_left(names, wanted)
        found = names[at : at + 1]
        if found == [wanted]:
            return "git tracks it"
        at = bisect_left(names, f"{wanted}/")
        below = names[at] if at < len(names) else ""
        return f"git tracks {below}" if below.startswith(f"{wanted}/") else None

    def _top_of(self, folder: Path) -> Path | None:
        """The nearest folder upwards that holds a repository."""
        known = self._tops.get(folder)
        if known is not None or folder in self._tops:
            return known
        if os.path.lexists(long_path(folder / ".git")):
            top: Path | None = folder
        else:
            top = None if folder.parent == folder else self._top_of(folder.parent)
        self._tops[folder] = top
        return top

    def _names(self, top: Path) -> list[str] | None:
        """All that is tracked there, sorted; None when git cannot be asked."""
        if top not in self._repositories:
            try:
                names = Git(top).names("ls-files", "-z", "--cached")
                self._repositories[top] = sorted(map(os.fsdecode, names))
            except MissingError:
                raise
            except HoldfastError:
                self._repositories[top] = None
        return self._repositories[top]


class Held:
    """The files and folders that running programs have open, were given or work in.

    This process and those that started it do not count: a shell may stand where it cleans.
    """

    def __init__(self) -> None:
        self._held = sorted(_held_paths())
        self._paths = [path for path, _ in self._held]

    def reason(self, path: Path) -> str | None:
        """Why the running programs say that `path` stays: one uses it or something below it."""
        top = os.path.normcase(os.path.realpath(path))
        for wanted in (top, os.path.join(top, "")):  # noqa: PTH118  with the separator behind it
            at = bisect_left(self._paths, wanted)
            found = self._paths[at] if at < len(self._paths) else ""
            if found == wanted or (wanted != top and found.startswith(wanted)):
                return f"{self._held[at][1]} uses it"
        return None

    def reader_of(self, name: str) -> str | None:
        """The program that was given a text with `name` in it."""
        wanted = os.path.normcase(name)
        return next((who for text, who in self._held if wanted in text), None)


def _held_paths() -> Iterator[tuple[str, str]]:
    import psutil  # type: ignore[import-untyped]

    here = psutil.Process()
    own = {here.pid, *(parent.pid for parent in here.parents())}
    for process in psutil.process_iter():
        if process.pid in own:
            continue
        with process.oneshot():
            paths = [_told(process.cwd), *(_told(process.cmdline) or ())]
            if sys.platform != "win32":  # there it is slow, and an open file refuses to move
                paths += [file.path for file in _told(process.open_files) or ()]
            name = _told(process.name)
        who = f"process {process.pid} ({name})" if name else f"process {process.pid}"
        yield from ((os.path.normcase(path), who) for path in paths if path)


def _told(ask: Callable[[], Any]) -> Any:
    """The answer, or None where the system refuses it: what else it tells still counts."""
    import psutil

    try:
        return ask()
    except (psutil.Error, OSError):
        return None

"""Where the paths in a registry, and the folders people name, lie on this machine."""

import os
import sys
from collections.abc import Sequence
from pathlib import Path, PurePosixPath, PureWindowsPath

from holdfast.durable.names import long_path
from holdfast.errors import NotFoundError, UsageError


def is_absolute(path: str) -> bool:
    """Whether `path` is absolute on any system: registries travel between machines."""
    return PurePosixPath(path).is_absolute() or PureWindowsPath(path).is_absolute()


def is_foreign(path: str) -> bool:
    """Whether `path` is absolute, but on another system than this one."""
    return is_absolute(path) and not Path(path).is_absolute()


def exists(path: Path) -> bool:
    """Whether a file or folder is there."""
    return os.path.exists(long_path(path))  # noqa: PTH110  answers False where Path.exists raises


def normal(path: Path) -> str:
    """A form in which two spellings of one path are equal; links are not looked at."""
    return os.path.normcase(os.path.abspath(path))  # noqa: PTH100  also takes ".." away


def resolve(path: str | Path, roots: Sequence[Path]) -> str:
    """`path` as it is stored: absolute, in native form.

    A relative one is the first that exists under `roots`, else it lies under the first root.
    Raises `UsageError` for an empty one.
    """
    text = str(path)
    if not text or "\0" in text:
        raise UsageError(f"{text!r} cannot be a path")
    if is_absolute(text):
        return text
    candidates = [root / text for root in roots]
    chosen = next((place for place in candidates if exists(place)), candidates[0])
    return os.path.abspath(chosen)  # noqa: PTH100


def locate(directory: str | Path, roots: Sequence[Path]) -> Path:
    """The folder `directory`, looked for under each of `roots` if it is relative.

    Raises `NotFoundError` that names every place tried.
    """
    wanted = Path(directory)
    tried = [wanted] if wanted.is_absolute() else [root.absolute() / wanted for root in roots]
    for place in tried:
        if os.path.isdir(long_path(place)):  # noqa: PTH112  answers False where Path.is_dir raises
            return Path(os.path.abspath(place))  # noqa: PTH100
    places = ", ".join(dict.fromkeys(map(os.path.abspath, tried)))
    raise NotFoundError(f"no folder {str(directory)!r}; looked for {places}", hint=_hint(directory))


def _hint(directory: str | Path) -> str | None:
    if sys.platform != "win32" and is_foreign(str(directory)):
        return "this is a path of another system"
    return None

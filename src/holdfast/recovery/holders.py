"""Who has files open that are about to be replaced."""

import os
from collections.abc import Iterable
from contextlib import suppress
from pathlib import Path

from holdfast.errors import RefusedError

_SHOWN = 5


def holders(folders: Iterable[Path]) -> list[str]:
    """The processes that have a file at or below `folders` open, as ``name (process 42)``.

    Only processes of this user can be looked at; this process itself is left out.
    """
    import psutil  # type: ignore[import-untyped,unused-ignore]

    places = tuple(os.path.normcase(os.path.realpath(folder)) for folder in folders)
    found = []
    for process in psutil.process_iter():
        if process.pid == os.getpid():
            continue
        with suppress(psutil.Error, OSError):
            if any(_is_in(file.path, places) for file in process.open_files()):
                found.append(f"{process.name()} (process {process.pid})")
    return found


def refuse_if_held(folders: Iterable[Path], what: str) -> None:
    """Raise `RefusedError` when a live process has files of `what` open."""
    held = holders(folders)
    if held:
        more = f" and {len(held) - _SHOWN} more" if len(held) > _SHOWN else ""
        raise RefusedError(
            f"{what} cannot be replaced while they are in use by {', '.join(held[:_SHOWN])}{more}",
            hint="end them (services: holdfast stop) and run the same command again",
        )


def _is_in(path: str, places: tuple[str, ...]) -> bool:
    there = os.path.normcase(path)
    return any(there == place or there.startswith(place + os.sep) for place in places)

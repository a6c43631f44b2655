"""Which processes have files open."""

import os
import time
from collections.abc import Iterable, Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any, NamedTuple

from holdfast.durable.names import plain_path

# Until a child of a program begins a program of its own, it has its parent's files open.
_NEWBORN = 2.0  # seconds
_TO_BEGIN = 0.2  # seconds


class Opener(NamedTuple):
    """A process that has a file open; its name is empty where the system does not tell it."""

    pid: int
    name: str


def openers(places: Iterable[Path]) -> Iterator[Opener]:
    """The processes that have a file at or below one of `places` open, this one among them.

    Only processes that this one may look at are seen: as a rule those of the same user.
    """
    import psutil  # type: ignore[import-untyped,unused-ignore]

    wanted = tuple(os.path.normcase(os.path.realpath(plain_path(place))) for place in places)
    for process in psutil.process_iter():
        with suppress(psutil.Error, OSError):
            if not _holds(process, wanted):
                continue
            if time.time() - process.create_time() < _NEWBORN:
                time.sleep(_TO_BEGIN)
                if not _holds(process, wanted):
                    continue
            name = ""
            with suppress(psutil.Error, OSError):
                name = process.name()
            yield Opener(process.pid, name)


def _holds(process: Any, places: tuple[str, ...]) -> bool:
    return any(_is_in(file.path, places) for file in process.open_files())


def _is_in(path: str, places: tuple[str, ...]) -> bool:
    there = os.path.normcase(path)
    return any(there == place or there.startswith(place + os.sep) for place in places)

"""Which processes have files open."""

import os
from collections.abc import Iterable, Iterator
from contextlib import suppress
from pathlib import Path
from typing import NamedTuple

from holdfast.durable.names import plain_path


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
            if not any(_is_in(file.path, wanted) for file in process.open_files()):
                continue
            name = ""
            with suppress(psutil.Error, OSError):
                name = process.name()
            yield Opener(process.pid, name)


def _is_in(path: str, places: tuple[str, ...]) -> bool:
    there = os.path.normcase(path)
    return any(there == place or there.startswith(place + os.sep) for place in places)

"""Who has files open that are about to be replaced."""

import os
from collections.abc import Iterable
from pathlib import Path

from holdfast.durable.open_files import openers
from holdfast.errors import RefusedError

_SHOWN = 5


def holders(folders: Iterable[Path]) -> list[str]:
    """The processes that have a file at or below `folders` open, as ``name (process 42)``.

    Only processes of this user can be looked at; this process itself is left out.
    """
    others = (opener for opener in openers(folders) if opener.pid != os.getpid())
    return [f"{opener.name or 'a program'} (process {opener.pid})" for opener in others]


def refuse_if_held(folders: Iterable[Path], what: str) -> None:
    """Raise `RefusedError` when a live process has files of `what` open."""
    held = holders(folders)
    if held:
        more = f" and {len(held) - _SHOWN} more" if len(held) > _SHOWN else ""
        raise RefusedError(
            f"{what} cannot be replaced while they are in use by {', '.join(held[:_SHOWN])}{more}",
            hint="end them (services: holdfast stop) and run the same command again",
        )

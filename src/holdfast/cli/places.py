"""Paths on the command line."""

import os
import sys
from pathlib import Path
from typing import Any

import click


class Place(click.Path):
    """A path, as a `Path`. Windows's shells leave a ``~`` at its beginning to the program."""

    def __init__(self, *, file_okay: bool = True, dir_okay: bool = True) -> None:
        super().__init__(file_okay=file_okay, dir_okay=dir_okay, path_type=Path)

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        """As `click.Path`."""
        if sys.platform == "win32" and isinstance(value, str):
            value = os.path.expanduser(value)  # noqa: PTH111  it is not a path yet
        return super().convert(value, param, ctx)

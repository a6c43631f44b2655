"""Which Python a scheduled program runs with: on Windows there is one that opens no window."""

import sys
from pathlib import Path


def windowless() -> str:
    """This Python; on Windows ``pythonw.exe``, for a scheduler that has no console."""
    return _beside("pythonw.exe")


def for_children() -> str:
    """This Python; on Windows ``python.exe``, also where this process is a ``pythonw.exe``.

    Started without a window it has a console, which the programs it starts share. One without a
    console has each of them open a window.
    """
    return _beside("python.exe")


def _beside(name: str) -> str:
    program = Path(sys.executable)
    there = program.with_name(name)
    return str(there if sys.platform == "win32" and there.is_file() else program)

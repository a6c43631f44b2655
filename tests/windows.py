"""What Wine, where the tests see the Windows side, cannot do as Windows does: docs/windows.md."""

import ctypes
import shutil
import sys
from functools import cache
from pathlib import Path

WINE = sys.platform == "win32" and hasattr(ctypes.WinDLL("ntdll"), "wine_get_version")


@cache
def posix_shell() -> str | None:
    """A shell that runs what Claude Code's Bash tool runs; on Windows it comes with Git.

    The ``bash`` on the path of a Windows may be the one of its Linux subsystem.
    """
    if sys.platform != "win32":
        return shutil.which("sh")
    git = shutil.which("git")
    place = Path(git).parent.parent / "bin" / "sh.exe" if git else None
    return str(place) if place is not None and place.is_file() else None


def let_copies_work() -> None:
    """Let `shutil.copy2` of Python 3.13 copy as 3.11 does: Wine 8 dies of CopyFile2."""
    if sys.platform == "win32" and WINE:
        import _winapi

        if hasattr(_winapi, "CopyFile2"):
            del _winapi.CopyFile2

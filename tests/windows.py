"""What Wine, where the tests see the Windows side, cannot do as Windows does: docs/windows.md."""

import ctypes
import sys

WINE = sys.platform == "win32" and hasattr(ctypes.WinDLL("ntdll"), "wine_get_version")


def let_copies_work() -> None:
    """Let `shutil.copy2` of Python 3.13 copy as 3.11 does: Wine 8 dies of CopyFile2."""
    if sys.platform == "win32" and WINE:
        import _winapi

        if hasattr(_winapi, "CopyFile2"):
            del _winapi.CopyFile2

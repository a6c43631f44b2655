"""Whether somebody sits at a stream."""

import sys
from typing import TextIO


def is_terminal(stream: TextIO | None) -> bool:
    """Whether `stream` is a terminal; a program without a console has None for one."""
    return stream is not None and stream.isatty() and _is_console(stream)


if sys.platform == "win32":

    def _is_console(stream: TextIO) -> bool:
        """Windows calls ``NUL`` a terminal too, and a prompt there would wait for ever."""
        import ctypes
        import msvcrt
        from ctypes import wintypes

        mode = wintypes.DWORD()
        handle = wintypes.HANDLE(msvcrt.get_osfhandle(stream.fileno()))
        return bool(ctypes.WinDLL("kernel32").GetConsoleMode(handle, ctypes.byref(mode)))

else:

    def _is_console(stream: TextIO) -> bool:
        del stream
        return True

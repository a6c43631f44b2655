"""The output of a program, kept in a file of its own while another process turns it into a log.

The program writes to the file itself, so that its output survives whoever started it, and it is
never stopped by a closed pipe. The reader remembers how far it came and goes on from there.
"""

import os
import sys
from pathlib import Path

from holdfast.durable.files import make_folder
from holdfast.durable.names import long_path
from holdfast.errors import storage_errors

_FLAGS = os.O_WRONLY | os.O_CREAT | os.O_APPEND | getattr(os, "O_BINARY", 0)
_BLOCK = 1 << 18
_LONGEST_LINE = 1 << 16


def open_output(path: Path) -> int:
    """A descriptor that a child gets as its standard output. Raises `StorageError`."""
    make_folder(path.parent)
    with storage_errors(path, "open the output file"):
        return os.open(long_path(path), _FLAGS, 0o600)


class Output:
    """The reading end of the output file at `path`."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def read(self, offset: int, *, finished: bool) -> tuple[list[bytes], int]:
        """Some lines from `offset`, and the offset behind them; none when there is nothing new.

        An unfinished last line waits for its end, unless it is very long or the program has
        `finished`. A file that was cut since is read from its beginning. Raises `StorageError`.
        """
        with storage_errors(self.path, "read the output"):
            try:
                with long_path(self.path).open("rb") as file:
                    if os.fstat(file.fileno()).st_size < offset:
                        offset = 0
                    file.seek(offset)
                    data = file.read(_BLOCK)
            except FileNotFoundError:
                return [], 0
        end = data.rfind(b"\n") + 1
        at_the_end = finished and len(data) < _BLOCK
        if at_the_end or (end == 0 and len(data) > _LONGEST_LINE):
            end = len(data)
        return data[:end].splitlines(), offset + end

    def cut(self, offset: int, *, in_use: bool) -> int:
        """Empty the file if all of it was read; returns the offset to go on from.

        What a program writes in that very instant is lost. On Windows a file `in_use` is left: the
        program would go on behind a hole.
        """
        if in_use and sys.platform == "win32":
            return offset
        with storage_errors(self.path, "empty the output file"):
            try:
                if long_path(self.path).stat().st_size != offset:
                    return offset
                os.truncate(long_path(self.path), 0)
            except FileNotFoundError:
                pass
        return 0

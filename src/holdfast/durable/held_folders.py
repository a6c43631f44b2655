"""Reaching into a folder of a tree that others change meanwhile, and never through a link."""

import errno
import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from holdfast.durable.names import long_path


@contextmanager
def held_folder(base: Path, below: Path) -> Iterator[Path]:
    """The folder `below` (relative) of `base`, by a path that leads to that very folder.

    On Linux it goes on to, whatever is renamed or replaced by links while it is held. Elsewhere the
    links are looked for first. Raises `OSError` when it is not there or a part of `below` is a link
    (or a junction).
    """
    if sys.platform != "linux" or not os.path.isdir("/proc/self/fd"):
        real = os.path.realpath(base / below)
        if os.path.normcase(real) != os.path.normcase(Path(os.path.realpath(base), below)):
            raise OSError(errno.ELOOP, "a link leads there", str(base / below))
        yield base / below
        return
    how = os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC
    descriptor = os.open(long_path(base), how)
    try:
        for part in below.parts:
            inner = os.open(part, how | os.O_NOFOLLOW, dir_fd=descriptor)
            os.close(descriptor)
            descriptor = inner
        yield Path(f"/proc/self/fd/{descriptor}")
    finally:
        os.close(descriptor)

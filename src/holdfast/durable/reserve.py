"""A reserve of disk space: on a full disk it is given up so that small files can still be written.

A workspace keeps it as ``.holdfast/reserve``. Whoever must write a registry, a setting or a note of
what was moved aside on a full disk spends it; it is laid by again when there is room.
"""

import os
import sys
from contextlib import suppress
from pathlib import Path

from holdfast.durable.names import long_path

PLACE = Path(".holdfast", "reserve")
SIZE = 4 << 20  # bytes
SMALL = 1 << 20
"""The reserve is for writes of at most so many bytes."""


def lay_by(root: Path) -> bool:
    """Make the reserve of the workspace `root`, if it is not there; whether it is there now."""
    path = long_path(root / PLACE)
    if path.exists():
        return True
    new = path.with_name(f"{path.name}.{os.urandom(4).hex()}.new")
    try:
        with new.open("xb") as file:
            # What cannot be compressed or left out takes up real space on every file system.
            file.write(os.urandom(SIZE))
            file.flush()
            os.fsync(file.fileno())
        if sys.platform != "win32":
            new.chmod(0o600)
        new.replace(path)
    except OSError:
        with suppress(OSError):
            new.unlink()
        return False
    return True


def is_there(root: Path) -> bool:
    """Whether the workspace `root` has its reserve."""
    return long_path(root / PLACE).is_file()


def spend(path: Path) -> bool:
    """Give up the reserve of the workspace that `path` lies in; whether that freed anything."""
    for folder in path.absolute().parents:
        reserve = long_path(folder / PLACE)
        try:
            reserve.unlink()
        except OSError:
            continue
        return True
    return False

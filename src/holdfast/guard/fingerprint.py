"""Whether anything changed since the guard's last snapshot, by one quick look at every path.

A snapshot answers that too, and makes an entry of each path for it. Here the names, sizes, times
and inodes of all that a snapshot covers become one digest, in a third of the time.
"""

import os
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import msgspec
from blake3 import blake3

from holdfast.durable.documents import convert, read_document, write_document
from holdfast.durable.files import make_folder
from holdfast.durable.names import long_path
from holdfast.errors import HoldfastError
from holdfast.vault.coverage import HOME, WORKSPACE, Tree
from holdfast.vault.entries import Root

_SETTLED = 2.0  # seconds: a younger file may change again without its times showing it


class Fingerprint(NamedTuple):
    """The digest, and whether every file was old enough for its times to be trusted."""

    digest: str
    settled: bool


class Guarded(msgspec.Struct, frozen=True):
    """What the snapshot `snapshot` holds looked like, as a fingerprint."""

    snapshot: str
    digest: str


def look(root: Path, home: Path, vault: Path, excludes: Sequence[str]) -> Fingerprint | None:
    """The fingerprint now; None when something cannot be looked at."""
    began = time.time()
    scan = _Scan()
    try:
        for number, (name, place) in enumerate(((WORKSPACE, root), (HOME, home))):
            where = Root(name, str(place))
            tree = Tree(number, where, vault, everything=False, excludes=excludes)
            scan.look(str(long_path(place)), "", tree)
    except (OSError, HoldfastError):
        return None
    digest = blake3("\n".join(scan.lines).encode("utf-8", "surrogateescape")).hexdigest()
    return Fingerprint(digest, scan.newest < began - _SETTLED)


def remember(path: Path, snapshot: str, seen: Fingerprint) -> None:
    """Note that `snapshot`, taken after `seen`, holds what was seen. Raises `StorageError`."""
    if seen.settled:
        make_folder(path.parent)
        write_document(path, Guarded(snapshot, seen.digest), durability="process", mode=0o600)


def recall(path: Path, seen: Fingerprint) -> str | None:
    """The snapshot that holds exactly what was seen, if one is known."""
    try:
        known = convert(read_document(path), Guarded)
    except HoldfastError:
        return None  # none yet, or torn: a snapshot finds out
    return known.snapshot if known.digest == seen.digest else None


class _Scan:
    def __init__(self) -> None:
        self.lines: list[str] = []
        self.newest = 0.0

    def look(self, folder: str, prefix: str, tree: Tree) -> None:
        """Add all below `folder`; what no snapshot covers is left out, files of a rule are not."""
        add = self.lines.append
        with os.scandir(folder) as found:
            for item in found:
                path = prefix + item.name
                if tree.ignores(path, item.name):
                    continue
                below = item.is_dir(follow_symlinks=False)
                if below and tree.excludes(path, item):
                    continue
                status = item.stat(follow_symlinks=False)
                # On Windows the one is the time of making, which says nothing.
                changed = status.st_mtime if sys.platform == "win32" else status.st_ctime
                if changed > self.newest:
                    self.newest = changed
                add(
                    f"{path}\0{status.st_size}\0{status.st_mtime_ns}\0{status.st_ctime_ns}"
                    f"\0{status.st_ino}"
                )
                if below:
                    self.look(item.path, path + "/", tree)

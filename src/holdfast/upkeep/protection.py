"""How well a workspace is closed to others, and closing it."""

import msgspec

from holdfast.errors import HoldfastError
from holdfast.facade import Workspace
from holdfast.guard.disk_encryption import DiskEncryption, disk_encryption
from holdfast.guard.ignored import Uncovered, cover, uncovered
from holdfast.guard.permissions import TooOpen, close, too_open


class Protection(msgspec.Struct, frozen=True, rename="camel"):
    """What others may read, what git would take, whether the disk is encrypted."""

    too_open: list[TooOpen]
    git: Uncovered
    disk: DiskEncryption
    problem: str | None = None


def protection(workspace: Workspace) -> Protection:
    """Look; nothing is changed. What cannot be looked at is its `problem`."""
    opened: list[TooOpen] = []
    git, problem = Uncovered(), None
    try:
        opened = too_open(workspace)
        git = uncovered(workspace.layout.root)
    except HoldfastError as error:
        problem = str(error)
    return Protection(opened, git, disk_encryption(workspace.layout.root), problem)


def protect(workspace: Workspace, found: Protection) -> list[str]:
    """Mend what can be mended; returns what was done. Raises `StorageError`."""
    close(found.too_open)
    done = [f"{each.path}: {each.now} is now {each.wanted}" for each in found.too_open]
    if found.git.missing:
        cover(workspace.layout.root, found.git.missing)
        done.append(f".gitignore has now: {', '.join(found.git.missing)}")
    return done

"""Which folders go first into a snapshot: a backup that is cut off then has what matters most.

High: what is unique, the configurations and own libraries. Low: logs, and what tools make again.
Medium is the rest. A folder's own names go with the folder; its folders have priorities of their
own.
"""

from enum import IntEnum

from holdfast.vault.coverage import HOME
from holdfast.vault.excludes import REGENERATED


class Priority(IntEnum):
    """The order in which the folders of a tree are gone through."""

    HIGH = 0
    MEDIUM = 1
    LOW = 2


# With the folders above them: a folder is always entered after the entry that stands for it.
_HIGH = {"", "configs", "shared", "shared/libraries", ".claude"}
_HIGH_BELOW = ("configs/", "shared/libraries/", ".claude/")
_LOGS = "logs"
# Of a home: what sessions leave behind may be large, and matters less than how all is set up.
_SESSIONS = (".claude/projects", ".claude/shell-snapshots")
_LOW = frozenset(
    pattern.rstrip("/") for pattern in REGENERATED if pattern.endswith("/") and "*" not in pattern
)


def priority_of(root: str, folder: str) -> Priority:
    """The priority of `folder` (relative, forward slashes) of the root of that name."""
    if root == HOME:
        return Priority.MEDIUM if folder.startswith(_SESSIONS) else Priority.HIGH
    parts = folder.split("/")
    if parts[0] == _LOGS or not _LOW.isdisjoint(parts):
        return Priority.LOW
    if folder in _HIGH or folder.startswith(_HIGH_BELOW):
        return Priority.HIGH
    return Priority.MEDIUM

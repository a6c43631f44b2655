"""What of a tree a snapshot covers: a workspace whole, of a home only what belongs to the work.

Every root of a snapshot has a number and a name. Paths of the home are shown with ``~/`` before.
"""

import os
from collections.abc import Sequence
from pathlib import Path

from holdfast.durable.files import is_temporary
from holdfast.durable.names import is_within, long_path
from holdfast.vault.entries import Entry, Root, printable
from holdfast.vault.excludes import excludes_for

WORKSPACE, HOME = "workspace", "home"

UNDO = "undo"
"""The tag of snapshots that are undo points; no retention rule forgets them, their points do."""

HOME_ITEMS = (".bash_profile", ".bashrc", ".claude", ".claude.json", ".gitconfig", ".mcp.json")
"""What is taken of a home: how the person's shell, git and agents are set up."""

LIVELY = (
    *("projects", "shell-snapshots", "session-env", "sessions", "file-history", "todos", "tasks"),
    *("backups", "debug", "statsig", "telemetry", "cache", "ide", "history.jsonl"),
)
"""What Claude Code itself writes in ``.claude/`` at every step; undo points leave it out."""

# Never part of a snapshot, not even with `everything`.
_OUT = {
    WORKSPACE: (  # about this machine's present, and what it remembers of encrypted vaults
        ".holdfast/locks",
        ".holdfast/migrations",
        ".holdfast/points",
        ".holdfast/quarantine",
        ".holdfast/recovery",
        ".holdfast/reserve",
        ".holdfast/schedule",
        ".holdfast/services",
        ".holdfast/vaults",
    ),
    HOME: (),
}

_CREDENTIALS = ".claude/.credentials"
_KEYS = (".key", ".pem", ".p12", ".pfx")


def is_secret(path: str) -> bool:
    """Whether `path` of a home must not be stored in clear: only what is encrypted takes it."""
    if not path.startswith(".claude/"):
        return False
    return path.startswith(_CREDENTIALS) or path.lower().endswith(_KEYS)


class Tree:
    """One root, and what of it is taken."""

    def __init__(
        self,
        number: int,
        root: Root,
        vault: Path,
        *,
        everything: bool,
        excludes: Sequence[str],
        encrypted: bool = False,
        away: Sequence[Path] = (),
    ) -> None:
        self.number = number
        self.root = root
        self.path = Path(root.path)
        self.companions: set[str] = set()  # logs of databases, which are captured with those
        self._home = root.name == HOME
        self.hides_secrets = self._home and not encrypted
        self._top = str(long_path(self.path))
        self._excludes = excludes_for(self.path, everything=everything, further=excludes)
        self._out = {*_OUT.get(root.name, ())}
        for place in (vault, *away):  # backups do not hold backups
            self._out.update(_own_place(self.path, place))

    def ignores(self, path: str, name: str) -> bool:
        """Whether the path is no concern of snapshots, and not even mentioned in them."""
        if self._home and "/" not in path and path not in HOME_ITEMS:
            return True
        if self.hides_secrets and is_secret(path):
            return True
        return path in self._out or is_temporary(name) or path in self.companions

    @property
    def hidden(self) -> set[str]:
        """The paths that are ignored whatever they are."""
        return self._out

    @property
    def rules(self) -> list[str]:
        """What leaves paths out: equal rules leave out the same."""
        return self._excludes.patterns

    def excludes(self, path: str, item: os.DirEntry[str]) -> bool:
        """Whether the path is left out by a rule, which the snapshot mentions."""
        if not self._excludes:
            return False
        return self._excludes(path, item.name, item.is_dir(follow_symlinks=False))

    def leaves(self, path: str, item: os.DirEntry[str]) -> bool:
        """Whether nothing of the path is taken."""
        return self.ignores(path, item.name) or self.excludes(path, item)

    def leaves_out(self, path: str, name: str, *, is_folder: bool) -> bool:
        """As `excludes`, for who knows already whether it is a folder."""
        return bool(self._excludes) and self._excludes(path, name, is_folder)

    def place(self, path: str) -> str:
        """Where `path` is, as the system calls it."""
        # For every folder of every snapshot: the parts need no care, and join takes it.
        return f"{self._top}{os.sep}{path if os.sep == '/' else path.replace('/', os.sep)}"

    def shown(self, path: str) -> str:
        """`path` as people are shown it."""
        return f"~/{printable(path)}" if self._home else printable(path)


def is_transcript(entry: Entry) -> bool:
    """Whether an entry of a home is a transcript, which Claude Code deletes by its age."""
    return entry.path.startswith(".claude/projects/") and entry.path.endswith(".jsonl")


def shown(entry: Entry, roots: Sequence[Root]) -> str:
    """The path of `entry` as people are shown it and name it."""
    path = printable(entry.path)
    return f"~/{path}" if roots[entry.root].name == HOME else path


def _own_place(root: Path, vault: Path) -> list[str]:
    """The vault's path relative to `root`, if it lies in it."""
    if not is_within(vault, root):
        return []
    return [Path(os.path.realpath(vault)).relative_to(os.path.realpath(root)).as_posix()]

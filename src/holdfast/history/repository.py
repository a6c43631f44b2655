"""The git repository that holds a workspace: the workspace's own, or that of the home around it."""

import os
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from holdfast.durable.files import (
    make_folder,
    remove_tree,
    sweep_temporary,
    temporary_beside,
)
from holdfast.durable.locks import Lock
from holdfast.durable.names import same_path
from holdfast.errors import (
    BusyError,
    HoldfastError,
    NotFoundError,
    RefusedError,
    UnreadableError,
    UsageError,
)
from holdfast.history.git import Git

NO_REPOSITORY_HINT = "make one in the workspace with: holdfast history init"

# Files of the git folder that say what is under way, and how it ends.
_OPERATIONS = {
    "rebase-merge": ("a rebase", "git rebase --continue, or git rebase --abort"),
    "rebase-apply": ("a rebase or am", "git rebase --continue, or git rebase --abort"),
    "MERGE_HEAD": ("a merge", "git merge --continue, or git merge --abort"),
    "CHERRY_PICK_HEAD": ("a cherry-pick", "git cherry-pick --continue, or --abort"),
    "REVERT_HEAD": ("a revert", "git revert --continue, or git revert --abort"),
    "sequencer": ("a cherry-pick or revert", "git cherry-pick --continue, or --abort"),
    "BISECT_LOG": ("a bisect", "git bisect reset"),
}
_PATIENCE = 2.0  # seconds that another git program may hold the index for


@dataclass(frozen=True)
class Head:
    """Where HEAD is: the branch's full name (None: detached), and its commit (None: no commit)."""

    ref: str | None
    commit: str | None

    @property
    def branch(self) -> str | None:
        """The branch's short name."""
        return None if self.ref is None else self.ref.removeprefix("refs/heads/")


@dataclass(frozen=True)
class Repository:
    """A repository: the top of its files, its git folder, and the workspace's name in it.

    `prefix` is ``b"development"``, or ``b""`` where the workspace is the top itself.
    """

    root: Path
    git_dir: Path
    prefix: bytes
    git: Git

    @classmethod
    def find(cls, workspace: Path) -> "Repository":
        """The repository that holds `workspace`.

        Raises `NotFoundError` when there is none, `UnreadableError` for one git cannot read.
        """
        nearest = _nearest_git(workspace)
        git = Git(workspace)
        try:
            root = Path(os.fsdecode(git.line("rev-parse", "--show-toplevel")))
        except HoldfastError as error:
            if "not a git repository" not in error.message:
                raise
            if nearest is not None and not _is_sound(nearest):
                raise _unreadable(nearest) from error
            raise NotFoundError(
                "no git repository holds the workspace", path=workspace, hint=NO_REPOSITORY_HINT
            ) from None
        git_dir = Path(os.fsdecode(git.line("rev-parse", "--absolute-git-dir")))
        prefix = git.line("rev-parse", "--show-prefix").removesuffix(b"/")
        same = nearest is None or same_path(nearest, git_dir) or same_path(nearest.parent, root)
        if nearest is not None and not same:
            raise _unreadable(nearest)  # git passed it over for one further up
        return cls(root, git_dir, prefix, Git(root))

    def name_of(self, path: Path) -> bytes:
        """The name in the repository of the absolute `path`, ``b""`` for its top.

        Raises `UsageError` when it lies outside, or beyond a link that leads out.
        """
        parent = Path(os.path.realpath(path.parent))
        top = Path(os.path.realpath(self.root))
        place = Path(os.path.normpath(parent / path.name))
        if path.name in ("", "..") or not place.is_relative_to(top):
            place = Path(os.path.realpath(path))
        if not place.is_relative_to(top):
            raise UsageError(f"it lies outside of the repository {self.root}", path=path)
        name = os.fsencode(place.relative_to(top).as_posix())
        return b"" if name == b"." else name

    def path_of(self, name: bytes) -> Path:
        """Where the file of this name is, or would be."""
        return self.root / os.fsdecode(name)

    def head(self) -> Head:
        """Where HEAD is now."""
        ref = self.git.try_line("symbolic-ref", "--quiet", "HEAD")
        commit = self.git.try_line("rev-parse", "--verify", "--quiet", "HEAD^{commit}")
        return Head(
            None if ref is None else os.fsdecode(ref), None if commit is None else commit.decode()
        )

    def commit_of(self, rev: str) -> str:
        """The id of the commit `rev` names. Raises `NotFoundError`."""
        found = None
        if rev and not rev.startswith("-"):
            try:
                found = self.git.try_line("rev-parse", "--verify", "--quiet", rev + "^{commit}")
            except UnreadableError:
                raise
            except HoldfastError:  # e.g. a malformed date
                found = None
        if found is None:
            hint = "list the commits with: holdfast history log"
            raise NotFoundError(f"there is no commit {rev!r}", path=self.root, hint=hint)
        return found.decode()

    def empty_tree(self) -> str:
        """The id of the tree without files, which every repository knows."""
        return self.git.line("hash-object", "-t", "tree", "--stdin").decode()

    def operation(self) -> tuple[str, str] | None:
        """What is under way (``"a merge"``) and how to end it; None when nothing is."""
        for name, told in _OPERATIONS.items():
            if os.path.lexists(self.git_dir / name):
                return told
        return None

    def refuse_operation(self) -> None:
        """Raise `RefusedError` while a merge, a rebase or the like is under way."""
        operation = self.operation()
        if operation is not None:
            what, way_out = operation
            message = f"{what} is in progress; a save now would become part of it"
            raise RefusedError(message, path=self.root, hint=f"end it first: {way_out}")

    @property
    def index_lock(self) -> Path:
        """The file by which git programs exclude each other."""
        return self.git_dir / "index.lock"

    def await_index(self) -> None:
        """Wait a moment for other git programs. Raises `BusyError` naming the lock file."""
        deadline = time.monotonic() + _PATIENCE
        while os.path.lexists(self.index_lock):
            if time.monotonic() >= deadline:
                raise BusyError(
                    "another git program is at work, or one died",
                    path=self.index_lock,
                    hint="if no git program is running, remove that file and run it again",
                )
            time.sleep(0.05)

    @contextmanager
    def workshop(self, purpose: str) -> Iterator[Path]:
        """A scratch folder inside the git folder, for one process at a time.

        What a killed process left is swept first. Raises `BusyError`.
        """
        own = self.git_dir / "holdfast"
        with Lock(own / "history.lock", purpose=purpose, timeout=60.0):
            sweep_temporary(own, older_than=0.0)
            scratch = temporary_beside(own / "scratch")
            make_folder(scratch, private=True)
            try:
                yield scratch
            finally:
                remove_tree(scratch)


def _nearest_git(folder: Path) -> Path | None:
    """The first ``.git`` at `folder` or above."""
    here = Path(os.path.realpath(folder))
    for place in (here, *here.parents):
        if os.path.lexists(place / ".git"):
            return place / ".git"
    return None


def _is_sound(git_entry: Path) -> bool:
    """Whether git knows a repository here: then discovery stopped at a disk's or user's border."""
    try:
        Git(git_entry.parent).read("rev-parse", "--git-dir")
    except HoldfastError:
        return False
    return True


def _unreadable(git_entry: Path) -> UnreadableError:
    return UnreadableError(
        "git does not recognise this as a repository: it is damaged or incomplete",
        path=git_entry,
        hint="restore it from a backup, or look with 'git fsck'; nothing was changed",
    )

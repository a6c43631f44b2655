"""Bringing files back from a commit: checked out beside the tree, compared, then put in place.

What is replaced goes to quarantine first, so that a crash leaves each file in its place, in
quarantine, or both to be made again by the same command. Nothing is written through a link.
"""

import filecmp
import os
import stat
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

from holdfast.durable.faults import fault_point
from holdfast.durable.files import make_folder, move
from holdfast.durable.names import long_path
from holdfast.durable.points import note_created
from holdfast.durable.quarantine import Quarantine
from holdfast.durable.trees import is_junction
from holdfast.errors import HoldfastError, storage_errors
from holdfast.history.changes import as_arguments
from holdfast.history.commits import TreeEntry, entries_at
from holdfast.history.git import shown
from holdfast.history.reports import Problem, RestoredPath, RestoreReport
from holdfast.history.repository import Repository

_EXECUTABLE = 0o111


def restore(
    repository: Repository, name: bytes, rev: str, quarantine: Quarantine, *, dry_run: bool
) -> RestoreReport:
    """Bring the file or folder `name` back as it is in `rev`; see `History.restore`."""
    commit = repository.commit_of(rev)
    entries = entries_at(repository, commit, name)
    with repository.workshop("restore from the history") as scratch:
        staged = _check_out(repository, commit, entries, scratch)
        return _Restore(repository, commit, entries, staged, quarantine, dry_run).carry_out()


def _check_out(
    repository: Repository, commit: str, entries: list[TreeEntry], scratch: Path
) -> Path:
    """The files as git would check them out, in a folder of their own."""
    git = repository.git.with_index(scratch / "index")
    names = b"".join(entry.name + b"\0" for entry in entries if entry.kind == "blob")
    folder = scratch / "files"
    make_folder(folder)
    git.change("-c", "core.sparseCheckout=false", "read-tree", commit)
    prefix = f"--prefix={folder.as_posix()}/"
    git.change("checkout-index", "--force", "-z", "--stdin", prefix, stdin=names)
    fault_point("history.restore.checked-out")
    return folder


@dataclass
class _Restore:
    repository: Repository
    commit: str
    entries: list[TreeEntry]
    staged: Path
    quarantine: Quarantine
    dry_run: bool
    quarantined: list[str] = field(default_factory=list)
    problems: list[Problem] = field(default_factory=list)

    def carry_out(self) -> RestoreReport:
        steps = list(self._plan())
        if not self.dry_run:
            new = [self.repository.path_of(e.name) for e, step in steps if step.action == "create"]
            root = self.repository.root
            note_created(root, [path.relative_to(root) for path in new])
            for entry, step in steps:
                if step.action != "unchanged":
                    self._put(entry, step)
        paths = [step for _, step in steps]
        return RestoreReport(self.commit, self.dry_run, paths, self.quarantined, self.problems)

    def _plan(self) -> Iterator[tuple[TreeEntry, RestoredPath]]:
        for entry in self.entries:
            reason = self._obstacle(entry)
            if reason is not None:
                self.problems.append(Problem(shown(entry.name), reason))
                continue
            place = self.repository.path_of(entry.name)
            staged = self._staged(entry)
            if not os.path.lexists(long_path(place)):
                yield entry, RestoredPath(shown(entry.name), "create")
                continue
            with storage_errors(place, "compare the file"):
                same = _is_same(long_path(place), long_path(staged))
            yield entry, RestoredPath(shown(entry.name), "unchanged" if same else "replace")

    def _obstacle(self, entry: TreeEntry) -> str | None:
        """Why this path cannot be restored, if so."""
        if entry.kind != "blob":
            return "a repository of its own: restore it from there"
        if not os.path.lexists(long_path(self._staged(entry))):
            return "git could not write it on this system"
        place = self.repository.path_of(entry.name)
        for above in place.parents:
            if above == self.repository.root:
                return None
            try:
                status = os.lstat(long_path(above))
            except (FileNotFoundError, NotADirectoryError):
                continue
            if stat.S_ISLNK(status.st_mode) or is_junction(status):
                return f"{above} is a link now; move it away first"
            if not stat.S_ISDIR(status.st_mode):
                return f"{above} is a file now; move it away first"
        return None

    def _put(self, entry: TreeEntry, step: RestoredPath) -> None:
        place, staged = self.repository.path_of(entry.name), self._staged(entry)
        try:
            make_folder(place.parent)
            if step.action == "replace":
                _keep_permissions(place, staged)
                reason = f"replaced by the restore of commit {self.commit[:12]}"
                self.quarantined.append(self.quarantine.take(place, reason=reason).id)
                fault_point("history.restore.set-aside")
            move(staged, place)
        except HoldfastError as error:
            self.problems.append(Problem(shown(entry.name), error.message))
        fault_point("history.restore.placed")

    def _staged(self, entry: TreeEntry) -> Path:
        return self.staged / as_arguments([entry.name])[0]


def _is_same(place: Path, staged: Path) -> bool:
    """Whether both are one kind of file with one content, executable alike."""
    old, new = os.lstat(place), os.lstat(staged)
    if stat.S_IFMT(old.st_mode) != stat.S_IFMT(new.st_mode):
        return False
    if stat.S_ISLNK(old.st_mode):
        return place.readlink() == staged.readlink()
    if bool(old.st_mode & stat.S_IXUSR) != bool(new.st_mode & stat.S_IXUSR):
        return False
    return filecmp.cmp(place, staged, shallow=False)


def _keep_permissions(place: Path, staged: Path) -> None:
    """What only its owner may read stays so; git knows no more than whether a file is a program."""
    old, new = os.lstat(long_path(place)), os.lstat(long_path(staged))
    if not (stat.S_ISREG(old.st_mode) and stat.S_ISREG(new.st_mode)):
        return
    readable = stat.S_IMODE(old.st_mode) & ~_EXECUTABLE
    executable = (readable & 0o444) >> 2 if new.st_mode & stat.S_IXUSR else 0
    with storage_errors(staged, "set the file's mode"):
        long_path(staged).chmod(readable | executable | stat.S_IWUSR)

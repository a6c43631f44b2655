"""The history's front: daily work saved as git commits, looked at, and brought back."""

from collections.abc import Sequence
from contextlib import suppress
from functools import cached_property
from pathlib import Path

from holdfast.durable.files import write_atomic
from holdfast.durable.names import long_path
from holdfast.durable.quarantine import Quarantine
from holdfast.errors import ConflictError, HoldfastError, NotFoundError, UsageError
from holdfast.history import commits
from holdfast.history.git import Git
from holdfast.history.push import push
from holdfast.history.reports import (
    Commit,
    CommitDetail,
    HistoryStatus,
    PushReport,
    RestoreReport,
    SaveReport,
)
from holdfast.history.repository import NO_REPOSITORY_HINT, Repository
from holdfast.history.restore import restore
from holdfast.history.save import Order, save
from holdfast.history.status import repository_status
from holdfast.workspace.creation import GITIGNORE

CONFIGURATIONS = ("configs", ".claude", ".mcp.json", "CLAUDE.md")
"""What configures a workspace, relative to it."""

HOME_CONFIGURATIONS = (
    ".claude/CLAUDE.md",
    ".claude/settings.json",
    ".mcp.json",
    ".gitconfig",
    ".bashrc",
    ".bash_profile",
)
"""What configures a home. Not .claude.json: it holds sessions, and changes all the time."""


def configuration_places(root: Path, home: Path) -> list[Path]:
    """The files and folders that configure the workspace `root` and its `home`."""
    places = [root / name for name in CONFIGURATIONS]
    return places + [home / name for name in HOME_CONFIGURATIONS]


class History:
    """The git history of the workspace at `root`, in whichever repository holds it.

    Relative paths are relative to `root`. `quarantine` takes what a restore replaces. Every method
    raises `MissingError` without the git program, and `UnreadableError` when git cannot read the
    repository; all but `status` and `init` raise `NotFoundError` when there is none.
    """

    def __init__(self, root: Path, *, quarantine: Quarantine) -> None:
        self._workspace = root
        self._quarantine = quarantine

    @cached_property
    def _repository(self) -> Repository:
        return Repository.find(self._workspace)

    @property
    def root(self) -> Path:
        """The top of the repository: the workspace, the home around it, or a folder above."""
        return self._repository.root

    def status(self, *, limit: int = 200) -> HistoryStatus:
        """The repository at a glance; at most `limit` paths of each kind are listed."""
        try:
            repository = self._repository
        except NotFoundError:
            warning = f"no git repository holds the workspace; {NO_REPOSITORY_HINT}"
            return HistoryStatus(workspace=str(self._workspace), warnings=[warning])
        return repository_status(repository, str(self._workspace), limit=limit)

    def init(self) -> bool:
        """Make a repository in the workspace, with a .gitignore if it has none.

        Returns False, and changes nothing, when a repository holds the workspace already.
        """
        if self._is_held():
            return False
        Git(self._workspace).change("init")
        with suppress(ConflictError):  # the person's own stays
            content = long_path(GITIGNORE).read_bytes()
            write_atomic(self._workspace / ".gitignore", content, exclusive=True)
        return True

    def save(
        self,
        paths: Sequence[Path] = (),
        *,
        message: str | None = None,
        allow_secrets: bool = False,
        dry_run: bool = False,
    ) -> SaveReport:
        """Commit what changed in the workspace, or in `paths` (also of the home around it).

        What is staged stays staged and is not committed unless it is among the paths; .gitignore
        holds. Likely secrets raise `RefusedError` unless `allow_secrets`. After the commit every
        file on disk is looked for in it; what is missing is in the report's `problems`. Nothing is
        pushed, and no commit hook runs. When this returns, the commit survives a power cut.

        Raises `RefusedError` during a merge, rebase and the like, `BusyError` when another git
        program holds the index, `ConflictError` when the branch moved meanwhile, `UsageError` for a
        path outside of the repository or left out by .gitignore.
        """
        scope = [self._name(path) for path in paths] or [self._repository.prefix]
        return self._save(Order(scope, bool(paths), message, allow_secrets, dry_run))

    def save_configurations(
        self,
        home: Path,
        *,
        message: str | None = None,
        allow_secrets: bool = False,
        dry_run: bool = False,
    ) -> SaveReport:
        """Commit what changed in the configurations of the workspace, and in those of `home`.

        Meant for every change of them: with none, nothing is committed. Those that .gitignore or
        the repository leaves out are passed over. Otherwise as `save`.
        """
        scope = []
        for place in configuration_places(self._workspace, home):
            with suppress(UsageError):  # the home is not in this repository
                scope.append(self._name(place))
        return self._save(Order(scope, False, message, allow_secrets, dry_run))

    def _save(self, order: Order) -> SaveReport:
        report = save(self._repository, order)
        if report.commit is not None:
            with suppress(HoldfastError):  # what git tidies up now and then; the commit is made
                self._repository.git.change("maintenance", "run", "--auto", "--quiet")
        return report

    def push(self) -> PushReport:
        """Push the branch to its remote. Raises `NotFoundError` when the repository is local only,
        `ConflictError` when the remote has what is not here."""
        return push(self._repository)

    def log(self, path: Path | None = None, *, limit: int = 20) -> list[Commit]:
        """The newest commits that touched the workspace, or `path`; newest first."""
        name = self._repository.prefix if path is None else self._name(path)
        return commits.list_commits(self._repository, [name], limit)

    def show(self, rev: str) -> CommitDetail:
        """One commit and what it changed. Raises `NotFoundError`."""
        return commits.read_commit(self._repository, rev)

    def read(self, path: Path, *, rev: str = "HEAD") -> bytes:
        """A file as it is in the commit `rev`. Raises `NotFoundError`."""
        repository = self._repository
        return commits.read_file(repository, repository.commit_of(rev), self._name(path))

    def restore(self, path: Path, *, rev: str = "HEAD", dry_run: bool = False) -> RestoreReport:
        """Bring a file, or all files of a folder, back as they are in the commit `rev`.

        What differs is moved to quarantine first; files the commit does not have stay. With
        `dry_run` only the plan is made. An interrupted restore is completed by the same call.
        Raises `NotFoundError`; what fails is in the report's `problems`.
        """
        return restore(self._repository, self._name(path), rev, self._quarantine, dry_run=dry_run)

    def _is_held(self) -> bool:
        try:
            return bool(self._repository)
        except NotFoundError:
            return False

    def _name(self, path: Path) -> bytes:
        return self._repository.name_of(self._workspace / path)

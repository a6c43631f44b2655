"""What the history answers: plain facts, ready for JSON.

Paths are relative to the top of the repository; bytes that are no UTF-8 appear as ``\\xff``.
"""

from datetime import datetime
from typing import Literal

import msgspec


class Names(msgspec.Struct, rename="camel", frozen=True):
    """How many paths there are, and the first of them."""

    count: int = 0
    paths: list[str] = []


class Problem(msgspec.Struct, rename="camel", frozen=True):
    """A path that was not dealt with, and why."""

    path: str
    reason: str


class HistoryStatus(msgspec.Struct, rename="camel", frozen=True, kw_only=True):
    """The repository that holds a workspace. Without one `root` is None and nothing is counted.

    `branch` is None when HEAD is detached, `commit` None before the first. `remote` is an URL
    without credentials, None when the repository is local only; `ahead` and `behind` (commits) are
    None without an upstream. `operation` is what is under way, e.g. ``"a merge"``. `tracked` counts
    the workspace's files; the rest is about the whole repository.
    """

    workspace: str
    root: str | None = None
    branch: str | None = None
    commit: str | None = None
    remote: str | None = None
    upstream: str | None = None
    ahead: int | None = None
    behind: int | None = None
    operation: str | None = None
    tracked: int = 0
    staged: Names = Names()
    modified: Names = Names()
    untracked: Names = Names()
    conflicted: Names = Names()
    nested: list[str] = []
    warnings: list[str] = []
    healthy: bool = False


class SecretFinding(msgspec.Struct, rename="camel", frozen=True):
    """A likely secret: where it is, what it looks like, and a masked form of it."""

    path: str
    line: int
    kind: str
    masked: str


class SaveReport(msgspec.Struct, rename="camel", frozen=True, kw_only=True):
    """A save. `commit` is None when there was nothing to save, or with `dry_run`.

    `nested` are repositories inside the workspace, which have a history of their own. `problems`
    are files that should be in the commit and are not.
    """

    root: str
    branch: str
    commit: str | None = None
    message: str = ""
    dry_run: bool = False
    added: Names = Names()
    modified: Names = Names()
    deleted: Names = Names()
    nested: list[str] = []
    secrets: list[SecretFinding] = []
    problems: list[Problem] = []

    @property
    def changes(self) -> int:
        return self.added.count + self.modified.count + self.deleted.count

    @property
    def healthy(self) -> bool:
        return not self.problems


class Commit(msgspec.Struct, rename="camel", frozen=True):
    """One commit: its id, when and by whom it was made, and its first line."""

    id: str
    moment: datetime
    author: str
    subject: str


ChangeKind = Literal["added", "modified", "deleted"]


class Change(msgspec.Struct, rename="camel", frozen=True):
    """One path that a commit changed."""

    path: str
    kind: ChangeKind


class CommitDetail(msgspec.Struct, rename="camel", frozen=True):
    """A commit with its whole message and what it changed against its first parent."""

    commit: Commit
    message: str
    changes: list[Change]


class RestoredPath(msgspec.Struct, rename="camel", frozen=True):
    """What a restore does with one path."""

    path: str
    action: Literal["create", "replace", "unchanged"]


class RestoreReport(msgspec.Struct, rename="camel", frozen=True):
    """A restore from a commit: each path, the quarantine's ids of what was replaced, failures."""

    commit: str
    dry_run: bool
    paths: list[RestoredPath]
    quarantined: list[str]
    problems: list[Problem]

    @property
    def replaced(self) -> int:
        return sum(step.action == "replace" for step in self.paths)

    @property
    def healthy(self) -> bool:
        return not self.problems


class PushReport(msgspec.Struct, rename="camel", frozen=True):
    """A push: the remote's name and URL (without credentials), the branch and its commit."""

    remote: str
    url: str
    branch: str
    commit: str

"""Saving daily work as a commit, beside whatever the person has staged.

The commit is built in an index of its own. Then, while git holds the branch locked where it was
found, the saved paths are brought up to date in the person's index, save those staged differently;
then the branch moves. A crash before that last step leaves the saved paths staged and nothing else
changed; the same command goes on from there.
"""

import time
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path

from holdfast.durable.faults import fault_point
from holdfast.durable.files import read_bytes, remove, write_atomic
from holdfast.errors import (
    BusyError,
    HoldfastError,
    NotFoundError,
    RefusedError,
    UnreadableError,
)
from holdfast.history.changes import (
    Changes,
    RawChange,
    check_named,
    list_changes,
    own_index,
    parents,
    raw_changes,
)
from holdfast.history.check import missing_files
from holdfast.history.git import Git, shown
from holdfast.history.reports import Names, Problem, SaveReport, SecretFinding
from holdfast.history.repository import Head, Repository
from holdfast.secrets.scanning import Secret, find_secrets

_LISTED = 1000  # paths that a report lists of each kind
_NAMED = 10  # findings that an error names


@dataclass(frozen=True)
class Order:
    """What to save: names in the repository; `named` when the user chose them."""

    scope: Sequence[bytes]
    named: bool = False
    message: str | None = None
    allow_secrets: bool = False
    dry_run: bool = False


def save(repository: Repository, order: Order) -> SaveReport:
    """Commit what changed in the order's scope; see `History.save`."""
    repository.refuse_operation()
    repository.await_index()
    with repository.workshop("save the history") as scratch:
        head = repository.head()
        if head.ref is None:
            hint = "go on a branch first: git switch -c NAME"
            message = "no branch is checked out, a commit would belong to none"
            raise RefusedError(message, path=repository.root, hint=hint)
        return _Save(repository, order, head, head.ref, scratch).carry_out()


@dataclass
class _Save:
    repository: Repository
    order: Order
    head: Head
    ref: str
    scratch: Path
    began: float = field(default_factory=time.time)
    problems: list[Problem] = field(default_factory=list)
    unreadable: list[bytes] = field(default_factory=list)

    def carry_out(self) -> SaveReport:
        git = own_index(self.repository, self.head, self.scratch)
        changes = list_changes(self.repository, git, self.order.scope)
        if self.order.named:
            check_named(self.repository, git, self.order.scope, changes)
        findings = self._scan(changes)
        if self.order.dry_run:
            return self._report(changes, findings)
        if findings and not self.order.allow_secrets:
            raise _refusal(self.repository, findings)
        fault_point("history.save.scanned")
        tree = _store(git, changes.all)
        fault_point("history.save.stored")
        base = self.head.commit or self.repository.empty_tree()
        differences = raw_changes(self.repository.git, "diff-tree", "-r", base, tree)
        changes = _as_changes(differences, changes.nested)
        commit, message = None, ""
        if differences:
            message = self.order.message or _message_for(changes)
            commit = self._commit(tree, message)
            self._publish(commit, base, differences)
        remove(self._pending)
        self.problems += missing_files(
            self.repository,
            git,
            tree,
            self.order.scope,
            passed_over={*changes.nested, *self.unreadable},
            before=self.began,
        )
        return self._report(changes, findings, commit, message)

    def _scan(self, changes: Changes) -> list[SecretFinding]:
        """The likely secrets that HEAD does not have already; unreadable files are taken out."""
        found: dict[bytes, list[Secret]] = {}
        for names in (changes.added, changes.modified):
            for name in list(names):
                path = self.repository.path_of(name)
                try:
                    secrets = [] if path.is_symlink() else list(find_secrets(path))
                except FileNotFoundError:
                    names.remove(name)  # removed since it was listed
                except OSError as error:
                    names.remove(name)
                    reason = f"cannot be read: {error.strerror}"
                    self.problems.append(Problem(shown(name), reason))
                    self.unreadable.append(name)
                else:
                    if secrets:
                        found[name] = secrets
        known = self._saved_before(
            [name for name in changes.modified if name in found], changes.old
        )
        return [
            SecretFinding(shown(name), secret.line, secret.kind, secret.masked)
            for name, secrets in sorted(found.items())
            for secret in secrets
            if secret.value not in known.get(name, b"")
        ]

    def _saved_before(self, names: Sequence[bytes], old: dict[bytes, bytes]) -> dict[bytes, bytes]:
        """The contents in HEAD of these files, of which few have findings."""
        return dict(
            zip(names, self.repository.git.blobs([old[name] for name in names]), strict=True)
        )

    def _commit(self, tree: str, message: str) -> str:
        git = self.repository.git
        signed = git.try_line("config", "--type=bool", "--get", "commit.gpgsign") == b"true"
        options = ["-S"] if signed else []
        if self.head.commit:
            options += ["-p", self.head.commit]
        text = message.rstrip("\n").encode("utf-8", "replace") + b"\n"
        commit = git.change("commit-tree", tree, *options, "-F", "-", stdin=text)
        fault_point("history.save.committed")
        return commit.decode().strip()

    def _publish(self, commit: str, base: str, differences: list[RawChange]) -> None:
        git = self.repository.git
        reason = f"holdfast history save: {commit[:12]}"
        with git.moving(self.ref, commit, self.head.commit, reason):
            fault_point("history.save.prepared")
            self.repository.await_index()
            staged = self._staged(base)
            write_atomic(self._pending, commit.encode())
            self._update_index(staged, differences)
            fault_point("history.save.indexed")
        fault_point("history.save.published")
        # Only the times and sizes git remembers are missing; the next git status adds them.
        with suppress(BusyError):
            git.change("update-index", "-q", "--refresh")

    @property
    def _pending(self) -> Path:
        """The file that names the commit for which the person's index is being changed."""
        return self.scratch.parent / "pending"

    def _staged(self, base: str) -> set[bytes]:
        """What the person has staged: not what a killed save has put into the index."""
        git = self.repository.git
        left: set[tuple[bytes, bytes]] = set()
        with suppress(NotFoundError, UnreadableError):  # git may have tidied that commit away
            pending = read_bytes(self._pending).decode()
            parent = git.try_line("rev-parse", "--verify", "--quiet", f"{pending}^1")
            if (parent.decode() if parent else None) == self.head.commit:  # it was not published
                changes = raw_changes(git, "diff-tree", "-r", base, pending)
                left = {(change.name, change.id) for change in changes}
        staged = raw_changes(git, "diff-index", "--cached", base)
        return {change.name for change in staged if (change.name, change.id) not in left}

    def _update_index(self, staged: set[bytes], differences: list[RawChange]) -> None:
        """Bring the saved paths up to date in the person's index, save those staged differently."""
        above = set(parents(staged))
        records = []
        for change in sorted(differences, key=lambda change: change.letter != b"D"):
            name = change.name
            if name in staged or name in above or not staged.isdisjoint(parents([name])):
                continue
            mode = b"0" if change.letter == b"D" else change.mode
            records.append(mode + b" " + change.id + b"\t" + name + b"\0")
        if records:
            git = self.repository.git
            git.change("update-index", "-z", "--index-info", stdin=b"".join(records))

    def _report(
        self,
        changes: Changes,
        findings: list[SecretFinding],
        commit: str | None = None,
        message: str = "",
    ) -> SaveReport:
        return SaveReport(
            root=str(self.repository.root),
            branch=self.head.branch or "",
            commit=commit,
            message=message,
            dry_run=self.order.dry_run,
            added=listed(changes.added),
            modified=listed(changes.modified),
            deleted=listed(changes.deleted),
            nested=[shown(name) for name in changes.nested],
            secrets=findings,
            problems=self.problems,
        )


def _store(git: Git, names: Sequence[bytes]) -> str:
    """Store the files of these names, or their removal, in git's own index; returns its tree."""
    if names:
        options = ("--add", "--remove", "--replace", "-z", "--stdin")
        git.change("update-index", *options, stdin=b"".join(name + b"\0" for name in names))
    return git.change("write-tree").decode().strip()


def listed(names: Sequence[bytes], limit: int = _LISTED) -> Names:
    """The count of `names` and the first `limit` of them, sorted."""
    return Names(len(names), [shown(name) for name in sorted(names)[:limit]])


def _as_changes(differences: list[RawChange], nested: list[bytes]) -> Changes:
    changes = Changes(nested=nested)
    by_letter = {b"A": changes.added, b"D": changes.deleted}
    for change in differences:
        by_letter.get(change.letter, changes.modified).append(change.name)
    return changes


def _message_for(changes: Changes) -> str:
    count = len(changes.all)
    return f"Save of {datetime.now().astimezone():%Y-%m-%d %H:%M} ({count} paths)"


def _refusal(repository: Repository, findings: list[SecretFinding]) -> HoldfastError:
    places = [f"{each.path}:{each.line}: {each.kind} {each.masked}" for each in findings[:_NAMED]]
    if len(findings) > _NAMED:
        places.append(f"and {len(findings) - _NAMED} more")
    return RefusedError(
        "likely secrets in what would be committed: " + "; ".join(places),
        path=repository.root,
        hint="move them out (holdfast secrets move FILE), name the file in .gitignore, or mark a "
        "harmless line with 'pragma: allowlist secret'; to commit all the same: --allow-secrets",
    )

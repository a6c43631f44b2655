"""Reading what was saved: the list of commits, one commit, one file of it."""

import os
from collections.abc import Sequence
from datetime import datetime
from typing import NamedTuple

from holdfast.errors import NotFoundError
from holdfast.history.changes import as_arguments, raw_changes
from holdfast.history.git import shown
from holdfast.history.reports import Change, ChangeKind, Commit, CommitDetail
from holdfast.history.repository import Repository

_FIELDS = "%H%x00%cI%x00%an%x00%s"
_KINDS: dict[bytes, ChangeKind] = {b"A": "added", b"D": "deleted"}


class TreeEntry(NamedTuple):
    """One path of a commit: its mode as git writes it, the kind and id of its object."""

    mode: str
    kind: str
    id: str
    name: bytes


def list_commits(repository: Repository, scope: Sequence[bytes], limit: int) -> list[Commit]:
    """The newest `limit` commits that touched `scope`, newest first."""
    if repository.head().commit is None:
        return []
    options = ("-z", f"--format={_FIELDS}", f"--max-count={limit}", "--no-show-signature")
    parts = repository.git.names("log", *options, "--", *as_arguments(scope))
    return [_commit(parts[at : at + 4]) for at in range(0, len(parts), 4)]


def read_commit(repository: Repository, rev: str) -> CommitDetail:
    """The commit `rev`. Raises `NotFoundError`."""
    commit = repository.commit_of(rev)
    options = ("-z", f"--format={_FIELDS}%x00%B", "--max-count=1", "--no-show-signature")
    parts = repository.git.names("log", *options, commit)
    parent = repository.git.try_line("rev-parse", "--verify", "--quiet", f"{commit}^1")
    base = repository.empty_tree() if parent is None else parent.decode()
    changes = [
        Change(shown(change.name), _KINDS.get(change.letter, "modified"))
        for change in raw_changes(repository.git, "diff-tree", "-r", base, commit)
    ]
    return CommitDetail(_commit(parts[:4]), _text(parts[4]).rstrip("\n"), changes)


def entries_at(repository: Repository, commit: str, name: bytes) -> list[TreeEntry]:
    """The file `name`, or all files of the folder `name`, as they are in `commit`.

    Raises `NotFoundError` that tells which commit had it last.
    """
    options = ("-r", "-z", "--full-tree", commit)
    lines = repository.git.names("ls-tree", *options, *([os.fsdecode(name)] if name else []))
    if not lines:
        raise NotFoundError(
            f"it is not in the commit {commit[:12]}",
            path=repository.path_of(name),
            hint=_where_it_was(repository, name),
        )
    entries = []
    for line in lines:
        facts, _, path = line.partition(b"\t")
        mode, kind, identity = facts.decode().split(" ")
        entries.append(TreeEntry(mode, kind, identity, path))
    return entries


def read_file(repository: Repository, commit: str, name: bytes) -> bytes:
    """The file's bytes as git would check them out."""
    entry = entries_at(repository, commit, name)[0]
    if entry.name != name or entry.kind != "blob":
        raise NotFoundError("it is no file in that commit", path=repository.path_of(name))
    if entry.mode == "120000":
        return repository.git.read("cat-file", "blob", entry.id)
    path = f"--path={os.fsdecode(name)}"
    return repository.git.read("cat-file", "--filters", path, entry.id)


def _where_it_was(repository: Repository, name: bytes) -> str:
    last = list_commits(repository, [name], 1)
    if not last:
        return "no commit ever had it; look in a snapshot: holdfast backup list"
    identity = last[0].id[:12]
    return f"the last commit that touched it is {identity}: try --rev {identity} or {identity}~1"


def _commit(parts: Sequence[bytes]) -> Commit:
    identity, moment, author, subject = parts
    when = datetime.fromisoformat(moment.decode())
    return Commit(identity.decode(), when, _text(author), _text(subject))


def _text(text: bytes) -> str:
    return text.decode("utf-8", "replace")

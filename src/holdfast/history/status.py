"""The state of the repository that holds a workspace; looking changes nothing."""

import os
from collections.abc import Iterator
from dataclasses import dataclass, field
from urllib.parse import urlsplit, urlunsplit

from holdfast.history.changes import as_arguments, parents
from holdfast.history.git import shown
from holdfast.history.reports import HistoryStatus
from holdfast.history.repository import Head, Repository
from holdfast.history.save import listed


@dataclass
class _Found:
    """What ``git status`` answered."""

    upstream: str | None = None
    ahead: int | None = None
    behind: int | None = None
    staged: list[bytes] = field(default_factory=list)
    modified: list[bytes] = field(default_factory=list)
    untracked: list[bytes] = field(default_factory=list)
    conflicted: list[bytes] = field(default_factory=list)


def repository_status(repository: Repository, workspace: str, *, limit: int) -> HistoryStatus:
    """The whole repository at a glance; at most `limit` paths of each kind are listed."""
    head, found = repository.head(), _look(repository)
    operation = repository.operation()
    scope = as_arguments([repository.prefix])
    nested = _part_nested(repository, found, scope)
    tracked = len(repository.git.names("ls-files", "-z", "--", *scope))
    serious = list(_serious(repository, head, found))
    return HistoryStatus(
        workspace=workspace,
        root=str(repository.root),
        branch=head.branch,
        commit=head.commit,
        remote=next(iter(remote_urls(repository).values()), None),
        upstream=found.upstream,
        ahead=found.ahead,
        behind=found.behind,
        operation=operation[0] if operation else None,
        tracked=tracked,
        staged=listed(found.staged, limit),
        modified=listed(found.modified, limit),
        untracked=listed(found.untracked, limit),
        conflicted=listed(found.conflicted, limit),
        nested=[shown(name) for name in nested],
        warnings=serious + list(_remarks(repository, found, nested)),
        healthy=not serious,
    )


def remote_urls(repository: Repository) -> dict[str, str]:
    """The remotes and their URLs, without credentials; ``origin`` first."""
    pattern = r"^remote\..*\.url$"
    answer = repository.git.try_line("config", "-z", "--get-regexp", pattern) or b""
    urls: dict[str, str] = {}
    for item in filter(None, answer.split(b"\0")):
        key, _, url = os.fsdecode(item).partition("\n")
        urls.setdefault(key[len("remote.") : -len(".url")], _without_credentials(url))
    return dict(sorted(urls.items(), key=lambda pair: (pair[0] != "origin", pair[0])))


def _look(repository: Repository) -> _Found:
    options = ("--porcelain=v2", "--branch", "-z", "--untracked-files=normal", "--no-renames")
    found = _Found()
    for line in repository.git.names("status", *options, "--ignore-submodules=dirty"):
        kind, _, rest = line.partition(b" ")
        if kind == b"#":
            _read_header(found, rest.decode("utf-8", "replace"))
        elif kind == b"?":
            found.untracked.append(rest)
        elif kind == b"u":
            found.conflicted.append(rest.split(b" ", 9)[9])
        elif kind == b"1":
            name = rest.split(b" ", 7)[7]
            if rest[0:1] != b".":
                found.staged.append(name)
            if rest[1:2] != b".":
                found.modified.append(name)
    return found


def _read_header(found: _Found, header: str) -> None:
    key, _, value = header.partition(" ")
    if key == "branch.upstream":
        found.upstream = value
    elif key == "branch.ab":
        ahead, behind = value.split(" ")
        found.ahead, found.behind = int(ahead), -int(behind)


def _part_nested(repository: Repository, found: _Found, scope: list[str]) -> list[bytes]:
    """The repositories inside this one; taken out of what is untracked, with their bare folders."""
    options = ("--others", "--exclude-standard", "-z")
    others = repository.git.names("ls-files", *options, "--", *scope)
    nested = {name for name in others if name.endswith(b"/")}
    nested |= {name for name in found.untracked if _is_repository(repository, name)}
    holding = set(parents(name for name in others if name not in nested))
    inside = repository.prefix + b"/" if repository.prefix else b""
    found.untracked = [
        name
        for name in found.untracked
        if name not in nested
        and (not name.endswith(b"/") or not name.startswith(inside) or name.rstrip(b"/") in holding)
    ]
    return sorted(nested)


def _is_repository(repository: Repository, name: bytes) -> bool:
    return name.endswith(b"/") and os.path.lexists(repository.path_of(name) / ".git")


def _serious(repository: Repository, head: Head, found: _Found) -> Iterator[str]:
    """What keeps work from being saved."""
    operation = repository.operation()
    if operation is not None:
        yield f"{operation[0]} is in progress; end it with: {operation[1]}"
    if found.conflicted:
        yield f"{len(found.conflicted)} files are in conflict"
    if head.ref is None:
        yield "no branch is checked out; go on one with: git switch -c NAME"
    if os.path.lexists(repository.index_lock):
        yield f"{repository.index_lock} is there: a git program is at work, or one died"
    whole = repository.prefix + b"/"
    if any(name.endswith(b"/") and whole.startswith(name) for name in found.untracked):
        yield f"the whole workspace {shown(whole)} is untracked; save it: holdfast history save"


def _remarks(repository: Repository, found: _Found, nested: list[bytes]) -> Iterator[str]:
    """What should be known, though nothing is wrong."""
    whole = repository.prefix + b"/" if repository.prefix else b""
    folders = [n for n in sorted(found.untracked) if n.endswith(b"/") and n.startswith(whole)]
    for name in folders:
        if name != whole:
            yield f"the whole directory {shown(name)} is untracked"
    for name in nested:
        yield f"{shown(name)} is a repository of its own; a save here does not hold its files"


def _without_credentials(url: str) -> str:
    try:
        parts = urlsplit(url)
    except ValueError:
        return url
    if not parts.scheme or "@" not in parts.netloc or parts.scheme == "ssh":
        return url
    return urlunsplit(parts._replace(netloc=parts.netloc.rpartition("@")[2]))

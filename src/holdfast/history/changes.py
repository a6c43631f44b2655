"""What a save would commit, looked up in an index of its own; the person's index is only read."""

import os
from collections.abc import Iterable, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import NamedTuple

from holdfast.durable.files import read_bytes, write_atomic
from holdfast.errors import NotFoundError, RefusedError, UsageError
from holdfast.history.git import Git, shown
from holdfast.history.repository import Head, Repository
from holdfast.workspace.creation import GITIGNORE
from holdfast.workspace.layout import STATE_FOLDER

GITLINK = b"160000"


class RawChange(NamedTuple):
    """One line of git's raw diff: modes, ids, one letter (``A``, ``M``, ``D``, …) and the name."""

    old_mode: bytes
    mode: bytes
    old_id: bytes
    id: bytes
    letter: bytes
    name: bytes


def raw_changes(git: Git, *arguments: str) -> list[RawChange]:
    """The answer of a diff command with ``--raw -z``; renames are a removal and an addition."""
    options = ("--raw", "-z", "--no-renames", "--no-abbrev", "--ignore-submodules=dirty")
    parts = git.names(arguments[0], *options, *arguments[1:])
    changes = []
    for facts, name in zip(parts[::2], parts[1::2], strict=True):
        old_mode, mode, old_id, identity, letter = facts.lstrip(b":").split(b" ")
        changes.append(RawChange(old_mode, mode, old_id, identity, letter[:1], name))
    return changes


@dataclass
class Changes:
    """Names to be committed, and nested repositories, which are not.

    `old` has the ids of what is modified, as they are in HEAD.
    """

    added: list[bytes] = field(default_factory=list)
    modified: list[bytes] = field(default_factory=list)
    deleted: list[bytes] = field(default_factory=list)
    nested: list[bytes] = field(default_factory=list)
    old: dict[bytes, bytes] = field(default_factory=dict)

    @property
    def all(self) -> list[bytes]:
        """Every name to be committed; removals come first."""
        return self.deleted + self.added + self.modified


def own_index(repository: Repository, head: Head, folder: Path) -> Git:
    """A git with an index of its own in `folder`, equal to HEAD, which knows unchanged files.

    Raises `RefusedError` while files are in conflict.
    """
    conflicts = repository.git.names("ls-files", "--unmerged", "-z")
    if conflicts:
        name = shown(conflicts[0].partition(b"\t")[2])
        hint = "resolve it, then: git add FILE"
        raise RefusedError(f"{name} is in conflict", path=repository.root, hint=hint)
    git = repository.git.with_index(folder / "index")
    # The copy carries what git knows of sizes and times, so that only changed files are read.
    with suppress(NotFoundError):
        content = read_bytes(repository.git_dir / "index")
        write_atomic(folder / "index", content, durability="process")
    git.change("read-tree", *(["--reset", head.commit] if head.commit else ["--empty"]))
    git.change("update-index", "-q", "--refresh")
    return git


def list_changes(repository: Repository, git: Git, scope: Sequence[bytes]) -> Changes:
    """What differs between HEAD, as `git` has it in its index, and the files in `scope`."""
    changes = Changes()
    for change in raw_changes(git, "diff-files", "--", *as_arguments(scope)):
        if GITLINK in (change.mode, change.old_mode):
            changes.nested.append(change.name)
        elif change.letter == b"D":
            changes.deleted.append(change.name)
        else:
            changes.modified.append(change.name)
            changes.old[change.name] = change.old_id
    found = git.names(
        "ls-files", "--others", "-z", *_excludes(repository), "--", *as_arguments(scope)
    )
    for name in found:
        # git descends into every folder but another repository's.
        (changes.nested if name.endswith(b"/") else changes.added).append(name.rstrip(b"/"))
    return changes


def check_named(repository: Repository, git: Git, scope: Sequence[bytes], found: Changes) -> None:
    """Raise for a path that the user named and that a save would pass over in silence."""
    known = {*found.all, *found.nested, *git.names("ls-files", "-z", "--", *as_arguments(scope))}
    known.update(set(parents(known)))
    for name in scope:
        path = repository.path_of(name)
        if name in known or name == b"" or (path.is_dir() and not any(path.iterdir())):
            continue
        if not path.exists() and not path.is_symlink():
            raise NotFoundError("there is no such file, neither on disk nor in git", path=path)
        hint = "see why with: git check-ignore -v FILE"
        raise UsageError("it is left out by .gitignore", path=path, hint=hint)


def ignored_names(repository: Repository, git: Git, scope: Sequence[bytes]) -> set[bytes]:
    """What .gitignore and the like leave out in `scope`; a folder stands for all it holds."""
    options = ("--others", "--ignored", "--directory", "-z")
    found = git.names("ls-files", *options, *_excludes(repository), "--", *as_arguments(scope))
    return {name.rstrip(b"/") for name in found}


def as_arguments(scope: Iterable[bytes]) -> list[str]:
    """Names as arguments of git; the top of the repository is ``.``."""
    return [os.fsdecode(name) or "." for name in scope]


def parents(names: Iterable[bytes]) -> Iterator[bytes]:
    """Every folder above every name, some of them many times."""
    for name in names:
        at = name.rfind(b"/")
        while at > 0:
            yield name[:at]
            at = name.rfind(b"/", 0, at)


def _excludes(repository: Repository) -> list[str]:
    """The person's ignore rules; those of a new workspace where it has no .gitignore itself."""
    options = ["--exclude-standard", f"--exclude={STATE_FOLDER}/"]
    if not (repository.path_of(repository.prefix) / ".gitignore").is_file():
        options.append(f"--exclude-from={GITIGNORE}")
    return options

"""Looking for files that should be in a commit and are not, by the disk and not by git's word."""

import os
import sys
import unicodedata
from collections.abc import Callable, Iterator, Sequence

from holdfast.durable.names import long_path
from holdfast.durable.trees import walk
from holdfast.history.changes import GITLINK, as_arguments, ignored_names
from holdfast.history.git import Git, shown
from holdfast.history.reports import Problem
from holdfast.history.repository import Repository

Spelling = Callable[[bytes], bytes]


def missing_files(
    repository: Repository,
    git: Git,
    tree: str,
    scope: Sequence[bytes],
    *,
    passed_over: set[bytes],
    before: float,
) -> list[Problem]:
    """The files in `scope` that are on disk, not ignored, not in `passed_over`, and not in `tree`.

    `git` has the index of that tree. What was written after `before` (seconds of the epoch) is left
    to the next save. A folder that cannot be looked into is a problem too.
    """
    alike = _spelling(repository)
    tops = [name for name in as_arguments(scope) if name != "."]
    lines = repository.git.names("ls-tree", "-r", "-z", "--full-tree", tree, *tops)
    saved = {alike(line.partition(b"\t")[2]) for line in lines}
    links = {line.partition(b"\t")[2] for line in lines if line.startswith(GITLINK)}
    skipped = {alike(name) for name in passed_over | links | ignored_names(repository, git, scope)}
    problems = []
    for top in scope:
        for name, reason in _on_disk(repository, top, lambda name: alike(name) in skipped, before):
            if reason or alike(name) not in saved:
                problems.append(Problem(shown(name), reason or "git did not store it"))
    return problems


def _on_disk(
    repository: Repository, top: bytes, is_skipped: Callable[[bytes], bool], before: float
) -> Iterator[tuple[bytes, str]]:
    """Each file at or below `top`, with why it cannot be looked at or an empty text."""
    path = long_path(repository.path_of(top))
    if path.is_symlink() or not path.is_dir():
        if os.path.lexists(path) and not is_skipped(top):
            yield top, ""
        return
    above = os.fsdecode(top) + "/" if top else ""
    problems: list[tuple[bytes, str]] = []

    def skip(below: str, item: os.DirEntry[str]) -> bool:
        return item.name == ".git" or is_skipped(os.fsencode(above + below))

    def on_error(below: str, error: OSError) -> None:
        if not isinstance(error, FileNotFoundError):
            reason = f"cannot be looked at: {error.strerror}"
            problems.append((os.fsencode(above + below), reason))

    for entry in walk(path, skip=skip, on_error=on_error):
        if (entry.is_file or entry.is_link) and entry.status.st_ctime < before:
            yield os.fsencode(above + entry.path), ""
    yield from problems


def _spelling(repository: Repository) -> Spelling:
    """The form in which names are compared: git may keep another spelling of the same name."""
    answer = repository.git.try_line("config", "--type=bool", "--get", "core.ignorecase")
    fold_case, compose = answer == b"true", sys.platform == "darwin"
    if not fold_case and not compose:
        return lambda name: name

    def alike(name: bytes) -> bytes:
        text = os.fsdecode(name)
        text = unicodedata.normalize("NFC", text) if compose else text
        return os.fsencode(text.casefold() if fold_case else text)

    return alike

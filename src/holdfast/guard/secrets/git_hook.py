"""Git's pre-commit hook that looks for secrets in what is staged; an existing hook runs first."""

import os
import shlex
import sys
from pathlib import Path

import msgspec

from holdfast.durable.files import make_folder, read_bytes, remove, write_atomic
from holdfast.durable.points import note_created, note_document
from holdfast.errors import ConflictError, NotFoundError, RefusedError
from holdfast.history.repository import Repository
from holdfast.workspace.layout import Layout

_MARK = b"# made by: holdfast guard install --git"
_BEFORE = "pre-commit.before-holdfast"


class GitHook(msgspec.Struct, frozen=True, rename="camel"):
    """The hook: where, whether it is ours, whether it runs another one first."""

    path: str
    installed: bool
    runs_first: str | None
    changed: bool = False


def git_hook(layout: Layout) -> GitHook:
    """How it is now. Raises `NotFoundError` without a repository."""
    path = _place(layout)
    first = path.with_name(_BEFORE)
    return GitHook(str(path), _is_ours(path), str(first) if first.is_file() else None)


def install_git_hook(layout: Layout, *, dry_run: bool = False) -> GitHook:
    """Set the hook. Raises `RefusedError` where it would reach other repositories too."""
    path = _place(layout)
    first = path.with_name(_BEFORE)
    content, present = _script(layout), _content(path)
    ours = _is_ours(path)
    chained = first.is_file() if ours else present is not None
    runs_first = str(first) if chained else None
    if present == content:
        return GitHook(str(path), True, runs_first)
    if not dry_run:
        make_folder(path.parent)
        if present is not None and not ours:
            _set_aside(path, first, present)
        note_document(path) if present is not None else note_created(path.parent, [path.name])
        write_atomic(path, content, mode=0o755)
    return GitHook(str(path), True, runs_first, True)


def uninstall_git_hook(layout: Layout, *, dry_run: bool = False) -> GitHook:
    """Take the hook out; the one it ran first is in its place again."""
    path = _place(layout)
    if not _is_ours(path):
        return GitHook(str(path), False, None)
    first = path.with_name(_BEFORE)
    former = _content(first)
    if not dry_run:
        note_document(path)
        if former is None:
            remove(path)
        else:
            write_atomic(path, former, mode=first.stat().st_mode & 0o777)
            note_document(first)
            remove(first)
    return GitHook(str(path), False, None, True)


def _set_aside(path: Path, first: Path, present: bytes) -> None:
    kept = _content(first)
    if kept not in (None, present):
        raise ConflictError(
            "a hook set aside earlier is there, and is another one",
            path=first,
            hint="look which one is right, and move the other one away",
        )
    if kept is None:
        note_created(first.parent, [first.name])
        write_atomic(first, present, mode=path.stat().st_mode & 0o777)


def _place(layout: Layout) -> Path:
    repository = Repository.find(layout.root)
    named = os.fsdecode(repository.git.line("rev-parse", "--git-path", "hooks"))
    folder = Path(os.path.normpath(repository.root / named))
    common = os.fsdecode(repository.git.line("rev-parse", "--git-common-dir"))
    homes = (repository.root, Path(os.path.normpath(repository.root / common)))
    if not any(folder.is_relative_to(place) for place in homes):
        raise RefusedError(
            "core.hooksPath leads out of the repository: the hook would hold for others too",
            path=folder,
            hint="call it there: holdfast secrets scan --staged",
        )
    return folder / "pre-commit"


def _script(layout: Layout) -> bytes:
    """The hook for sh, which Git for Windows brings along."""
    python = sys.executable.replace("\\", "/")
    root = str(layout.root).replace("\\", "/") if sys.platform == "win32" else str(layout.root)
    lines = [
        "#!/bin/sh",
        _MARK.decode(),
        f'first="${{0%/*}}/{_BEFORE}"',
        'if [ -x "$first" ]; then "$first" "$@" || exit $?; fi',
        f"exec {shlex.quote(python)} -P -m holdfast secrets scan --staged -w {shlex.quote(root)}",
        "",
    ]
    return "\n".join(lines).encode("utf-8", "surrogateescape")


def _is_ours(path: Path) -> bool:
    return _MARK in (_content(path) or b"")


def _content(path: Path) -> bytes | None:
    try:
        return read_bytes(path)
    except NotFoundError:
        return None

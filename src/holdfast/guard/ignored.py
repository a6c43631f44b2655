"""What git must never get, and whether .gitignore says so."""

from pathlib import Path

import msgspec

from holdfast.durable.files import read_bytes, write_atomic
from holdfast.durable.points import note_created, note_document
from holdfast.errors import NotFoundError
from holdfast.history.git import Git, shown
from holdfast.history.repository import Repository
from holdfast.workspace.layout import STATE_FOLDER

_PRIVATE = {
    f"{STATE_FOLDER}/state.db": f"{STATE_FOLDER}/",
    ".env": ".env",
    ".env.local": ".env.*",
    ".credentials.json": ".credentials.json",
    ".claude/settings.local.json": ".claude/settings.local.json",
    "key.pem": "*.pem",
    "server.key": "*.key",
}
"""A path of each kind, and the line of .gitignore that covers it."""


class Uncovered(msgspec.Struct, frozen=True, rename="camel"):
    """The lines that .gitignore lacks, and the private files that git tracks already."""

    missing: list[str] = []
    tracked: list[str] = []


def uncovered(root: Path) -> Uncovered:
    """What git would take, or has. Nothing without a repository. Raises as `Git`.

    Only .gitignore files are looked at: what a person's own settings ignore, others commit.
    """
    try:
        repository = Repository.find(root)
    except NotFoundError:
        return Uncovered()
    missing = [line for name, line in _PRIVATE.items() if not _is_covered(repository, root, name)]
    tracked = Git(root).names("ls-files", "-z", "--", *_PRIVATE, STATE_FOLDER)
    return Uncovered(missing, [shown(name) for name in tracked])


def _is_covered(repository: Repository, root: Path, name: str) -> bool:
    """Whether a .gitignore on the way from the repository's top down to the file says so.

    The nearest that says anything about it counts, as in git.
    """
    from pathspec import GitIgnoreSpec

    path = root / name
    for folder in path.parents:
        try:
            lines = read_bytes(folder / ".gitignore").decode("utf-8", "replace").splitlines()
        except NotFoundError:
            lines = []
        said = GitIgnoreSpec.from_lines(lines).check_file(path.relative_to(folder).as_posix())
        if said.include is not None:
            return said.include
        if folder == repository.root:
            break
    return False


def cover(root: Path, missing: list[str]) -> None:
    """Add the lines to the workspace's .gitignore. Raises `StorageError`."""
    path = root / ".gitignore"
    try:
        before = read_bytes(path)
        note_document(path)
    except NotFoundError:
        before = b""
        note_created(root, [path.name])
    newline = b"\r\n" if b"\r\n" in before else b"\n"
    if before and not before.endswith(b"\n"):
        before += newline
    write_atomic(path, before + b"".join(line.encode() + newline for line in missing))

"""Where a recovery takes from: one snapshot of one vault, which needs no workspace to be read."""

import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path, PurePosixPath, PureWindowsPath

from holdfast.durable.documents import Document, read_document
from holdfast.durable.files import make_folder, remove_tree
from holdfast.durable.points import unrecorded
from holdfast.errors import NotFoundError, UnreadableError
from holdfast.vault import Vault
from holdfast.workspace.layout import STATE_FOLDER


class Source:
    """The snapshot `ref` of `vault`; raises as `Vault.resolve` does."""

    def __init__(self, vault: Vault, ref: str) -> None:
        self.vault = vault
        self.id = vault.resolve(ref)
        header, entries = vault.read(self.id)
        self.root = header.roots[0].path
        homes = {number for number, root in enumerate(header.roots) if root.name == "home"}
        self.entries = {each.path: each for each in entries if each.root not in homes}
        self.has_home = bool(homes)

    def has(self, path: str) -> bool:
        """Whether the workspace had a file or folder at `path` (relative, forward slashes)."""
        entry = self.entries.get(path)
        return entry is not None and entry.kind != "excluded"

    def relative(self, path: str) -> str | None:
        """A path of the workspace as it then was, relative to it; None outside of it."""
        return relative_to(self.root, path)

    @contextmanager
    def fetched(self, paths: Sequence[str], near: Path) -> Iterator[Path]:
        """A private folder on the disk of `near` with `paths` in it, for the time of the body.

        Raises `NotFoundError`, `StorageError`, and `UnreadableError` when not all came out.
        """
        folder = near / "recovery" / f"fetched-{os.getpid()}"
        remove_tree(folder)
        make_folder(folder, private=True)
        try:
            with unrecorded():
                report = self.vault.restore(self.id, paths, to=folder)
            if report.problems:
                problem = report.problems[0]
                raise UnreadableError(
                    f"not in the snapshot as it was: {problem.reason}", path=problem.path
                )
            yield folder
        finally:
            remove_tree(folder)

    def document(self, path: str, near: Path) -> Document | None:
        """A JSON document as it was; None when there was none. Raises `UnreadableError`."""
        if not self.has(path):
            return None
        with self.fetched([path], near) as folder:
            return read_document(folder / path)


def relative_to(root: str, path: str) -> str | None:
    """`path` relative to `root`, both of whatever system; None when it is not below it."""
    kind = type(pure_path(root))
    try:
        return kind(path).relative_to(kind(root)).as_posix()
    except ValueError:
        return None if kind(path).is_absolute() else kind(path).as_posix()


def pure_path(path: str) -> PureWindowsPath | PurePosixPath:
    """A path of whatever system."""
    return PureWindowsPath(path) if PureWindowsPath(path).drive else PurePosixPath(path)


def check_is_workspace(source: Source) -> None:
    """Raise `NotFoundError` when the snapshot is none of a workspace."""
    if not source.has(f"{STATE_FOLDER}/workspace.json"):
        raise NotFoundError(
            f"the snapshot {source.id[:12]} holds no workspace",
            hint="choose another one from: holdfast backup list",
        )

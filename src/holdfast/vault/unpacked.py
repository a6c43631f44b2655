"""An archive or a copy as a vault with one snapshot, so that it is restored like any other."""

import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from holdfast.durable.files import make_folder, remove_tree
from holdfast.durable.names import long_path
from holdfast.errors import NotFoundError, StorageError
from holdfast.vault.entries import Problem
from holdfast.vault.identities import KeySource
from holdfast.vault.repository import Repository

_STALE = 86_400.0


@contextmanager
def unpacked(
    path: Path, source: KeySource, private: Path
) -> Iterator[tuple[Repository, str, list[Problem]]]:
    """A temporary vault below the folder `private`, its snapshot's id, and what was refused.

    Raises what reading the archive does; the vault is removed at the end.
    """
    if not long_path(path).exists():
        raise NotFoundError("there is no such archive or copy", path=path)
    _sweep(private / "unpacked")
    make_folder(private, private=True)
    make_folder(private / "unpacked", private=True)
    place = Path(tempfile.mkdtemp(dir=private / "unpacked"))
    try:
        repository = Repository.create(place)
        if long_path(path).is_dir():
            from holdfast.vault.copies import import_copy

            identity, problems = import_copy(path, repository)
        else:
            from holdfast.vault.archives.reading import import_archive

            room = shutil.disk_usage(place).free
            identity, problems = import_archive(path, source, repository, room=room)
        yield repository, identity, problems
    finally:
        remove_tree(place)


def _sweep(folder: Path) -> None:
    """Remove what a restore that was killed left a day ago or earlier."""
    import time

    try:
        for path in long_path(folder).iterdir():
            if time.time() - path.stat().st_mtime > _STALE:
                remove_tree(path)
    except FileNotFoundError:
        return
    except OSError as error:
        raise StorageError(f"cannot clean up: {error.strerror}", path=folder) from error

"""An archive or a copy as a vault with one snapshot, so that it is restored like any other."""

import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from holdfast.durable.names import long_path
from holdfast.errors import NotFoundError
from holdfast.vault.entries import Problem
from holdfast.vault.identities import KeySource
from holdfast.vault.repository import Repository
from holdfast.vault.scratch import scratch_folder


@contextmanager
def unpacked(
    path: Path, source: KeySource, private: Path
) -> Iterator[tuple[Repository, str, list[Problem]]]:
    """A temporary vault below the folder `private`, its snapshot's id, and what was refused.

    Raises what reading the archive does; the vault is removed at the end.
    """
    if not long_path(path).exists():
        raise NotFoundError("there is no such archive or copy", path=path)
    with scratch_folder(private) as place:
        repository = Repository.create(place)
        if long_path(path).is_dir():
            from holdfast.vault.copies import import_copy

            identity, problems = import_copy(path, repository)
        else:
            from holdfast.vault.archives.reading import import_archive

            room = shutil.disk_usage(place).free
            identity, problems = import_archive(path, source, repository, room=room)
        yield repository, identity, problems

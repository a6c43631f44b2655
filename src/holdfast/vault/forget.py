"""Forgetting snapshots: their files are moved aside, and back again until a prune removes them."""

from collections.abc import Sequence

from holdfast.durable.files import make_folder, move, remove, sync_folder
from holdfast.durable.names import long_path
from holdfast.errors import ConflictError, NotFoundError, StorageError, UsageError
from holdfast.vault.failing import visit
from holdfast.vault.repository import Repository


def forget(repository: Repository, identities: Sequence[str]) -> None:
    """Move the snapshots aside; one already moved by another process is fine."""
    make_folder(repository.forgotten, private=True, durability="power")
    for identity in identities:
        source = repository.lines_path(repository.snapshots, identity)
        try:
            move(source, repository.lines_path(repository.forgotten, identity))
        except ConflictError:
            # Equal names are equal content: it was taken back and a crash left both.
            remove(source)
        except StorageError:
            if long_path(source).exists():
                raise
        visit("vault.forget.moved", repository.root)
    _sync(repository)


def remember(repository: Repository, ref: str) -> str:
    """Take a forgotten snapshot back, by the first digits (at least 4) of its id; returns the id.

    Raises `NotFoundError` when a prune removed it, `UsageError` when several begin so.
    """
    names = repository.identities(repository.forgotten)
    matches = [name for name in names if len(ref) >= 4 and name.startswith(ref.lower())]
    if not matches:
        raise NotFoundError(
            f"no forgotten snapshot {ref!r}",
            path=repository.forgotten,
            hint="give at least 4 digits of its id; a prune removes forgotten snapshots for good",
        )
    if len(matches) > 1:
        raise UsageError(f"{len(matches)} snapshots begin with {ref!r}", hint="give more digits")
    (identity,) = matches
    move(
        repository.lines_path(repository.forgotten, identity),
        repository.lines_path(repository.snapshots, identity),
    )
    _sync(repository)
    return identity


def _sync(repository: Repository) -> None:
    sync_folder(repository.forgotten)
    sync_folder(repository.snapshots)

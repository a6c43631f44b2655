"""The check of a vault's small files, which hold no content: what is damaged is named."""

from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import msgspec

from holdfast.durable.documents import convert, read_document
from holdfast.durable.files import read_bytes
from holdfast.errors import HoldfastError, NotFoundError
from holdfast.vault.prune import Mark
from holdfast.vault.reports import Finding, Proof
from holdfast.vault.repository import IGNORING, Repository
from holdfast.vault.snapshots import list_snapshots


def check_records(repository: Repository) -> Iterator[Finding]:
    """Look at the forgotten snapshots, the proofs, the marks and the vault's own id."""
    for identity in repository.identities(repository.forgotten):
        path = repository.lines_path(repository.forgotten, identity)
        try:
            repository.read(repository.forgotten, identity)
        except HoldfastError as error:
            yield Finding(repository.relative(path), error.message)
    yield from _documents(repository, repository.proofs, Proof)
    yield from _documents(repository, repository.condemned, Mark)
    yield from _identity(repository)
    with suppress(NotFoundError):
        if read_bytes(repository.root / IGNORING.name) != IGNORING.content:
            yield Finding(IGNORING.name, "it does not keep the vault out of git as it did")


def _documents(
    repository: Repository, folder: Path, shape: type[msgspec.Struct]
) -> Iterator[Finding]:
    for path in sorted(folder.glob("*.json")) if folder.is_dir() else ():
        try:
            found = convert(read_document(path), shape)
        except HoldfastError as error:
            yield Finding(repository.relative(path), error.message)
            continue
        named = getattr(found, "pack", None)
        if named is not None and named != path.stem:
            yield Finding(repository.relative(path), "it names another pack")


def _identity(repository: Repository) -> Iterator[Finding]:
    sound = [info for info in list_snapshots(repository) if info.damage is None]
    if sound and all(info.vault != repository.id for info in sound):
        yield Finding("vault.json", "its id is not the one that its snapshots name")

"""Replacing parts of the index, so that every chunk can be found at any moment between."""

from collections.abc import Collection, Sequence

from holdfast.durable.files import read_bytes, remove, sync_folder, write_atomic
from holdfast.vault.entries import FORMAT_VERSION
from holdfast.vault.failing import visit
from holdfast.vault.index import FrameRecord, encode_fragment, read_fragment
from holdfast.vault.repository import Repository

_MANY = 32  # fragments so many are merged into one


def drop_packs(repository: Repository, packs: Collection[str]) -> None:
    """Take `packs` out of the index: a new fragment first, then the old ones go.

    Raises `UnreadableError` for a damaged fragment, before anything is changed.
    """
    fragments = repository.identities(repository.index)
    records = {identity: list(read_fragment(repository, identity)) for identity in fragments}
    old = [
        identity
        for identity in fragments
        if len(fragments) >= _MANY or any(record.pack in packs for record in records[identity])
    ]
    kept = [record for identity in old for record in records[identity] if record.pack not in packs]
    if not old:
        return
    new = publish_records(repository, kept) if kept else None
    for identity in old:
        if identity != new:
            remove(repository.lines_path(repository.index, identity))
            visit("vault.index.replaced", repository.root)
    sync_folder(repository.index)


def publish_records(repository: Repository, records: Sequence[FrameRecord]) -> str:
    """Publish a fragment of `records`; returns its id."""
    data = encode_fragment(repository.id, FORMAT_VERSION, list(records))
    identity = repository.publish(repository.index, data)
    visit("vault.index.written", repository.root)
    return identity


def keep_damaged(repository: Repository, relative: str) -> None:
    """Copy a damaged file of the vault to ``damaged/``, under its own name."""
    source = repository.root / relative
    write_atomic(repository.damaged / source.name, read_bytes(source), mode=0o600)
    visit("vault.repair.kept", repository.root)

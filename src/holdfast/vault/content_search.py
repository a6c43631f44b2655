"""Looking for bytes in the contents of all snapshots."""

from collections.abc import Callable, Iterable

from holdfast.errors import HoldfastError, LockedError, NewerFormatError, NotFoundError
from holdfast.vault.chunks import ChunkReader
from holdfast.vault.coverage import shown
from holdfast.vault.entries import Entry
from holdfast.vault.index import Index
from holdfast.vault.reports import Finding
from holdfast.vault.repository import Repository
from holdfast.vault.snapshots import Snapshot, list_snapshots

Holds = Callable[[Iterable[bytes]], bool]


def find_content(
    repository: Repository, holds: Holds
) -> tuple[dict[str, list[str]], list[Finding]]:
    """The paths whose content `holds` says yes to, each with its snapshots; and what was unread.

    Each content is looked at once, however many snapshots have it. Raises `LockedError` without
    the key, `NewerFormatError`.
    """
    index = Index()
    index.load(repository)
    findings = list(index.findings)
    found: dict[str, list[str]] = {}
    known: dict[tuple[str, ...], bool] = {}
    with ChunkReader(repository, index) as reader:
        for info in list_snapshots(repository):
            try:
                snapshot = Snapshot(repository, info.id)
                for entry in snapshot.entries():
                    if entry.chunks and _holds(entry, reader, holds, known):
                        path = shown(entry, snapshot.header.roots)
                        found.setdefault(path, []).append(info.id)
            except (NewerFormatError, LockedError):
                raise
            except NotFoundError:
                continue  # forgotten since it was listed
            except HoldfastError as error:
                findings.append(Finding(repository.snapshot_name(info.id), error.message, info.id))
    return found, findings


def _holds(
    entry: Entry, reader: ChunkReader, holds: Holds, known: dict[tuple[str, ...], bool]
) -> bool:
    if entry.chunks not in known:
        known[entry.chunks] = holds(reader.content(entry))
    return known[entry.chunks]

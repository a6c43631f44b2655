"""Looking for paths in all snapshots."""

import re
from collections.abc import Callable
from datetime import UTC, datetime
from fnmatch import translate

from holdfast.errors import HoldfastError, LockedError, NewerFormatError, NotFoundError
from holdfast.vault.coverage import shown
from holdfast.vault.entries import Entry
from holdfast.vault.reports import Finding, FindReport, FoundVersion
from holdfast.vault.repository import Repository
from holdfast.vault.snapshots import Snapshot, list_snapshots

_Key = tuple[str, str, tuple[str, ...], str | None, int]


def find(repository: Repository, pattern: str) -> FindReport:
    """Every version of the paths that `pattern` matches; see `Vault.find`."""
    matches = _matcher(pattern)
    held: dict[_Key, list[str]] = {}
    findings = []
    for info in list_snapshots(repository):
        try:
            snapshot = Snapshot(repository, info.id)
            for entry in snapshot.entries():
                path = shown(entry, snapshot.header.roots)
                if entry.kind != "excluded" and matches(path):
                    held.setdefault(_version(path, entry), []).append(info.id)
        except (NewerFormatError, LockedError):
            raise
        except NotFoundError:
            continue  # forgotten since it was listed
        except HoldfastError as error:
            findings.append(Finding(repository.snapshot_name(info.id), error.message, info.id))
    versions = [_found(key, snapshots) for key, snapshots in held.items()]
    # Stable: versions of one path stay in the order in which they were first seen.
    return FindReport(sorted(versions, key=lambda version: version.path), findings)


def _matcher(pattern: str) -> Callable[[str], object]:
    match = re.compile(translate(pattern.strip("/"))).match
    if "/" in pattern:
        return match
    return lambda path: match(path.rpartition("/")[2])


def _version(path: str, entry: Entry) -> _Key:
    if entry.kind == "folder":
        return path, entry.kind, (), None, 0
    if entry.kind == "link":
        return path, entry.kind, (), entry.target, 0
    return path, entry.kind, (*entry.chunks, str(entry.size)), None, entry.mtime


def _found(key: _Key, snapshots: list[str]) -> FoundVersion:
    path, kind, chunks, _, mtime = key
    size = int(chunks[-1]) if chunks else 0
    return FoundVersion(path, kind, size, datetime.fromtimestamp(mtime, UTC), snapshots)

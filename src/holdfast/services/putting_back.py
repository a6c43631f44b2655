"""Putting the servers of a client's file back, from the newest version that is not poorer."""

import json
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import msgspec

from holdfast.claude.guest_file import Difference, Edit, Put
from holdfast.claude.places import claude_places
from holdfast.claude.splicing import Change, Keys
from holdfast.durable.files import make_folder, read_bytes, remove_tree, temporary_beside
from holdfast.durable.names import same_path
from holdfast.errors import HoldfastError, NotFoundError, UnreadableError
from holdfast.facade import Workspace
from holdfast.registry.clients.blocks import ServerBlock
from holdfast.registry.clients.syncing import former_versions, guests_folder
from holdfast.registry.clients.watching import last_seen, servers_by_block, watched_blocks

_MOST_SNAPSHOTS = 20  # versions of the file that are looked for in the vault

Found = dict[Keys, dict[str, Any]]


@dataclass(frozen=True)
class Version:
    """A version of a client's file that parses: where it is from, its time, its servers."""

    source: str
    at: datetime
    content: bytes
    servers: Found

    @property
    def count(self) -> int:
        """How many servers it has."""
        return sum(len(each) for each in self.servers.values())

    def has(self, names: set[tuple[Keys, str]]) -> bool:
        """Whether it has all these servers."""
        return all(name in self.servers.get(keys, {}) for keys, name in names)


class PutBack(msgspec.Struct, frozen=True, rename="camel"):
    """What is put back into a file: from which version, and the differences by key.

    `whole` when the file could not be read or was gone, and is replaced as a whole; `former` is
    the number under which the bytes before are kept.
    """

    path: str
    source: str
    at: datetime
    servers: int
    whole: bool
    differences: list[Difference]
    dry_run: bool
    former: int | None = None


def put_back(
    workspace: Workspace, path: Path, *, source: str | None = None, dry_run: bool = False
) -> PutBack:
    """Put the servers that `path` lost back.

    Without `source` (one that `versions_of` names) the newest version counts that parses and is
    not poorer: that has every server last seen in the file, else the most servers of all. In a
    file that can be read only what is missing is added; one that cannot be read, or is gone, is
    replaced by that version. What was there before is kept.

    Raises `NotFoundError` when there is no such version, and as `GuestFile.edit`.
    """
    block = _block(workspace, path)
    version = _choose(workspace, block, source)
    present = _present(block)
    kept: list[int] = []

    def keep(edit: Edit) -> None:
        if edit.before is not None:
            kept.append(former_versions(workspace.layout, block.path).add(edit.before).number)

    if present is None:
        differences = [
            Difference((*keys, name), "added")
            for keys, servers in version.servers.items()
            for name in servers
        ]
        if not dry_run:
            block.file.replace(version.content, keep=keep)
    else:
        changes = list(_missing(version, present))
        edit = block.file.plan(changes) if dry_run else block.file.edit(changes, keep=keep)
        differences = [*edit.differences]
    return PutBack(
        str(block.path),
        version.source,
        version.at,
        version.count,
        present is None,
        differences,
        dry_run,
        kept[-1] if kept else None,
    )


def versions_of(workspace: Workspace, path: Path) -> list[Version]:
    """The versions of a client's file that parse, newest first, wherever they are kept."""
    block = _block(workspace, path)
    found = [
        *_kept(workspace, block),
        *_of_the_client(workspace, block),
        *_of_the_vault(workspace, block),
    ]
    return sorted(found, key=lambda version: version.at, reverse=True)


def _block(workspace: Workspace, path: Path) -> ServerBlock:
    for block in watched_blocks(workspace.layout):
        if block.path == path.absolute() or same_path(block.path, path):
            return block
    known = ", ".join(str(block.path) for block in watched_blocks(workspace.layout))
    raise NotFoundError("this is no client's file", path=path, hint=f"they are: {known}")


def _choose(workspace: Workspace, block: ServerBlock, source: str | None) -> Version:
    versions = versions_of(workspace, block.path)
    if source is not None:
        chosen = next((each for each in versions if each.source == source), None)
        if chosen is None:
            known = ", ".join(each.source for each in versions) or "none"
            raise NotFoundError(f"no version is called {source!r}", hint=f"known: {known}")
        return chosen
    if not versions:
        raise NotFoundError("no former version of the file is known", path=block.path)
    seen = last_seen(workspace.layout, block.path)
    expected = {(tuple(json.loads(keys)), name) for keys, names in seen.items() for name in names}
    if expected:
        whole = next((each for each in versions if each.has(expected)), None)
        if whole is not None:
            return whole
    return max(versions, key=lambda version: (version.count, version.at))


def _present(block: ServerBlock) -> Found | None:
    """What is in the file now; None when it is gone or cannot be read."""
    try:
        return servers_by_block(block, block.file.read_bytes())
    except (NotFoundError, UnreadableError):
        return None


def _missing(version: Version, present: Found) -> Iterator[Change]:
    for keys, servers in version.servers.items():
        for name, settings in servers.items():
            if name not in present.get(keys, {}):
                yield Put((*keys, name), settings)


def _version(block: ServerBlock, source: str, at: datetime, content: bytes) -> Iterator[Version]:
    """The version, if it can be read."""
    try:
        block.file.check(content)
        yield Version(source, at, content, servers_by_block(block, content))
    except UnreadableError:
        return


def _kept(workspace: Workspace, block: ServerBlock) -> Iterator[Version]:
    for each in former_versions(workspace.layout, block.path).list():
        try:
            content = each.read()
        except HoldfastError:
            continue
        yield from _version(block, f"kept-{each.number}", each.kept_at, content)


def _of_the_client(workspace: Workspace, block: ServerBlock) -> Iterator[Version]:
    """The client's own copies of ``.claude.json``, in which those of a reset hide."""
    if block.scope != "user":
        return
    folder = claude_places(workspace.layout.home).backups
    for path in sorted(folder.glob(f"{block.path.name}*")) if folder.is_dir() else ():
        try:
            content = read_bytes(path)
            at = datetime.fromtimestamp(path.stat().st_mtime, UTC)
        except (HoldfastError, OSError):
            continue
        yield from _version(block, path.name, at, content)


def _of_the_vault(workspace: Workspace, block: ServerBlock) -> Iterator[Version]:
    layout = workspace.layout
    if block.path.is_relative_to(layout.root):
        name = block.path.relative_to(layout.root).as_posix()
    elif block.path.parent == layout.home:
        name = f"~/{block.path.name}"
    else:
        return
    try:
        vault = workspace.vault
        found = [each for each in vault.find(name).versions if each.path == name]
    except HoldfastError:
        return
    for each in found[-_MOST_SNAPSHOTS:]:
        snapshot = each.snapshots[-1]
        make_folder(guests_folder(layout), private=True)
        place = temporary_beside(guests_folder(layout) / "version")
        try:
            vault.restore(snapshot, [name], to=place, home=place)
            content = read_bytes(place / name.removeprefix("~/"))
        except HoldfastError:
            continue
        finally:
            remove_tree(place)
        yield from _version(block, f"snapshot-{snapshot[:8]}", each.modified_at, content)

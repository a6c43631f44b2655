"""Reading an archive that may be hostile, into a vault of its own from which it is restored.

Nothing is written where the archive says. What leads out, is twice there, hides behind a link or
claims special rights is refused or made harmless, and told.
"""

import sys
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path

from blake3 import blake3

from holdfast.durable.files import make_folder
from holdfast.durable.names import inside, long_path
from holdfast.errors import CorruptError, HoldfastError, RefusedError, UsageError
from holdfast.vault.archives import tar
from holdfast.vault.archives.manifest import MANIFEST, ManifestHeader, decode, shown
from holdfast.vault.archives.streams import Stream, open_archive
from holdfast.vault.coverage import HOME, HOME_ITEMS, WORKSPACE
from holdfast.vault.cutting import MOST
from holdfast.vault.entries import (
    FORMAT_VERSION,
    SECOND,
    Entry,
    Header,
    Kind,
    Problem,
    Root,
    Totals,
)
from holdfast.vault.identities import KeySource
from holdfast.vault.packs import PackWriter
from holdfast.vault.repository import Repository
from holdfast.vault.snapshots import SnapshotWriter

_MOST_MEMBERS = 20_000_000
_LONGEST_PATH = 32_768  # characters
_LARGEST_MANIFEST = 4 << 30
# Beyond this an archive is taken for a bomb: text compresses twenty times, at most.
_SUSPICIOUS, _RATIO = 4 << 30, 1000

_KINDS: dict[bytes, Kind] = {b"3": "device", b"4": "device", b"6": "fifo"}


def import_archive(
    path: Path, source: KeySource, repository: Repository, *, room: int
) -> tuple[str, list[Problem]]:
    """Put what is in the archive into `repository` as a snapshot; its id, and what was refused.

    `room` is how many bytes it may unpack to. Raises `CorruptError`, `LockedError` and
    `RefusedError`, naming `path`.
    """
    try:
        return _Import(path, repository, room).run(open_archive(path, source))
    except HoldfastError as error:
        if error.path is None:
            error.path = path
        raise


@dataclass
class _Import:
    """One archive being read."""

    path: Path
    repository: Repository
    room: int
    problems: list[Problem] = field(default_factory=list)
    _folders: set[tuple[int, str]] = field(default_factory=set)  # all that something lies in
    _named: set[tuple[int, str]] = field(default_factory=set)
    _files: dict[tuple[int, str], Entry] = field(default_factory=dict)
    _links: set[tuple[int, str]] = field(default_factory=set)
    _hashes: dict[str, tuple[int, str]] = field(default_factory=dict)
    _added: set[str] = field(default_factory=set)
    _size: int = 0
    _members: int = 0

    def run(self, stream: Stream) -> tuple[str, list[Problem]]:
        repository = self.repository
        make_folder(repository.scratch, private=True)
        packs = PackWriter(repository)
        writer = SnapshotWriter()
        manifest: bytes | None = None
        try:
            for member, content in tar.read_members(stream.read):
                self._weigh(member)
                if member.path == MANIFEST:
                    manifest = b"".join(content)
                    continue
                entry = self._entry(member, content, packs)
                if entry is not None:
                    writer.add(entry)
            stream.drain()
            stored = packs.finish()
        except BaseException:
            packs.abort()
            raise
        finally:
            stream.close()
        header = self._compare_manifest(manifest)
        return self._publish(writer, header, stored), self.problems

    def _weigh(self, member: tar.Member) -> None:
        self._members += 1
        self._size += max(member.size, 0)
        packed = max(long_path(self.path).stat().st_size, 1)
        if self._members > _MOST_MEMBERS:
            raise RefusedError(f"more than {_MOST_MEMBERS} members: this is no workspace")
        if self._size > self.room:
            raise RefusedError(
                f"it unpacks to more than the {self.room} bytes that are free here",
                hint="free some space; what was unpacked so far is removed",
            )
        if self._size > _SUSPICIOUS and self._size > packed * _RATIO:
            raise RefusedError(
                f"it unpacks to over {_RATIO} times its size, as bombs do",
                hint="if you trust it, unpack it with tar",
            )
        if member.path == MANIFEST and member.size > _LARGEST_MANIFEST:
            raise RefusedError("its manifest is too large")

    def _entry(
        self, member: tar.Member, content: Iterator[bytes], packs: PackWriter
    ) -> Entry | None:
        try:
            root, path = self._place(member)
        except UsageError as error:
            self._refuse(member, error.message)
            return None
        key = (root, path)
        mtime, nanos = divmod(member.mtime_ns, SECOND)
        # Never the bits by which a program runs with another's rights.
        entry = Entry(path, "file", member.mode & 0o777, mtime, nanos, root=root)
        if member.kind == tar.FOLDER:
            entry.kind = "folder"
            if key in self._named or key in self._files or key in self._links:
                self._refuse(member, "the name is twice in the archive")
                return None
            self._named.add(key)
            self._note_folders(root, path + "/")
            return entry
        if key in self._files or key in self._links or key in self._folders:
            self._refuse(member, "the name is twice in the archive")
            return None
        self._note_folders(root, path)
        if member.kind == tar.SYMLINK:
            entry.kind, entry.target = "link", member.link
            self._links.add(key)
            return entry
        if member.kind in _KINDS:
            entry.kind = _KINDS[member.kind]
            self._links.add(key)
            return entry
        if member.kind == tar.LINK:
            return self._twin(member, entry)
        if member.kind not in (tar.FILE, b"\0", b"7"):
            self._refuse(member, f"members of type {member.kind!r} are not restored")
            return None
        entry.hard_link = str(self._members)  # shared by those that turn out to be its twins
        self._read(member, entry, content, packs)
        self._files[key] = entry
        return entry

    def _place(self, member: tar.Member) -> tuple[int, str]:
        """The root and the path below it. Raises `UsageError` for what must not be restored."""
        name = member.path.removeprefix("./").rstrip("/")
        if len(name) > _LONGEST_PATH:
            raise UsageError("the path is too long")
        first, _, path = name.partition("/")
        if member.path.startswith("/") or ".." in name.split("/") or "\0" in name:
            raise UsageError("the path leads out of the archive")
        if first not in (WORKSPACE, HOME) or not path:
            raise UsageError("it is part of neither the workspace nor the home")
        parts = path.split("/")
        if any(part in ("", ".") for part in parts):
            raise UsageError("the path is spelt oddly")
        inside(self.path.parent, path)
        root = 0 if first == WORKSPACE else 1
        if root == 1 and parts[0] not in HOME_ITEMS:
            raise UsageError("it is no file of a home that backups hold")
        for count in range(1, len(parts)):
            above = (root, "/".join(parts[:count]))
            if above in self._links or above in self._files:
                raise UsageError("it lies behind a link or a file")
        return root, path

    def _note_folders(self, root: int, path: str) -> None:
        at = path.find("/")
        while at >= 0:
            self._folders.add((root, path[:at]))
            at = path.find("/", at + 1)

    def _twin(self, member: tar.Member, entry: Entry) -> Entry | None:
        try:
            first = self._files.get(self._place(member._replace(path=member.link)))
        except UsageError:
            first = None
        if first is None:
            self._refuse(member, "a hard link to what is not in the archive before it")
            return None
        entry.size, entry.chunks, entry.hard_link = first.size, first.chunks, first.hard_link
        self._files[entry.root, entry.path] = entry
        return entry

    def _read(
        self, member: tar.Member, entry: Entry, content: Iterator[bytes], packs: PackWriter
    ) -> None:
        whole = blake3()
        chunks = []
        for piece in _cut(content):
            whole.update(piece)
            chunk = self.repository.sealing.identify(piece)
            chunks.append(chunk)
            if chunk not in self._added:
                self._added.add(chunk)
                packs.add(chunk, piece)
        entry.size, entry.chunks = member.size, tuple(chunks)
        self._hashes[shown(member.path)] = (member.size, whole.hexdigest())

    def _refuse(self, member: tar.Member, reason: str) -> None:
        self.problems.append(Problem(shown(member.path).rstrip("/"), f"refused: {reason}"))

    def _compare_manifest(self, manifest: bytes | None) -> ManifestHeader | None:
        if manifest is None:
            self.problems.append(Problem(MANIFEST, "the archive has no manifest to compare with"))
            return None
        header, listed = decode(manifest)
        for path, each in listed.items():
            found = self._hashes.get(path)
            if found is None:
                self.problems.append(Problem(path, "the manifest names it, the archive lacks it"))
            elif found != (each.size, each.blake3):
                raise CorruptError(f"{path} is not what the manifest says")
        for path in self._hashes.keys() - listed.keys():
            self.problems.append(Problem(path, "the manifest does not name it"))
        return header

    def _publish(self, writer: SnapshotWriter, about: ManifestHeader | None, stored: int) -> str:
        now = datetime.now(UTC)
        known = about.roots if about is not None else []
        places = {root.name: root.path for root in known}
        totals = Totals(writer.count, len(self._files), size=self._size, stored=stored)
        header = Header(
            format_version=FORMAT_VERSION,
            vault=self.repository.id,
            roots=[Root(name, places.get(name, "")) for name in (WORKSPACE, HOME)],
            host=about.host if about is not None else "",
            platform=about.platform if about is not None else sys.platform,
            started_at=about.started_at if about is not None else now,
            ended_at=about.ended_at if about is not None else now,
            totals=totals,
            tags=about.tags if about is not None else [],
        )
        return writer.publish(self.repository, header)


def _cut(content: Iterator[bytes]) -> Iterator[bytes]:
    """Pieces of the usual length of a chunk."""
    held = b""
    for piece in content:
        held += piece
        while len(held) >= MOST:
            yield held[:MOST]
            held = held[MOST:]
    if held:
        yield held

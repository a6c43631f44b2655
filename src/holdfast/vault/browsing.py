"""Looking into a snapshot as into a folder, and at the beginning of a file in it.

Paths are named as for a restore: relative to the workspace, or ``~/…`` for the home; ``./~`` is
something called ``~`` in the workspace itself.
"""

from collections.abc import Iterator
from datetime import UTC, datetime

import msgspec

from holdfast.errors import NotFoundError, UsageError
from holdfast.vault.chunks import ChunkReader
from holdfast.vault.coverage import HOME
from holdfast.vault.entries import Entry, Header, Kind
from holdfast.vault.index import Index
from holdfast.vault.repository import Repository
from holdfast.vault.restore import normal
from holdfast.vault.snapshots import Snapshot

_AT_HOME = "~"


class Held(msgspec.Struct, frozen=True, rename="camel"):
    """Something in a folder of a snapshot; of a folder `size` (bytes) and `files` count all below.

    `path` names it for a restore. `remake` is the command that makes again what was left out.
    """

    name: str
    path: str
    kind: Kind
    size: int
    files: int
    modified_at: datetime | None = None
    target: str | None = None
    remake: str | None = None


class HeldFile(msgspec.Struct, frozen=True, rename="camel"):
    """A file in a snapshot, and the first bytes of it; `whole` when those are all."""

    held: Held
    beginning: bytes

    @property
    def whole(self) -> bool:
        return len(self.beginning) == self.held.size


def list_folder(repository: Repository, identity: str, folder: str) -> tuple[Header, list[Held]]:
    """What is directly in `folder` (empty: the workspace), sorted by name, folders first.

    Raises `NotFoundError`, and `UsageError` when it is no folder.
    """
    snapshot = Snapshot(repository, identity)
    root, path = _place(snapshot.header, folder)
    prefix = f"{path}/" if path else ""
    named = _AT_HOME if snapshot.header.roots[root].name == HOME else ""
    gathered = _Gathered(prefix, named)
    there = not path
    for entry in _entries(snapshot, root, path):
        if entry.path == path:
            if entry.kind != "folder":
                raise UsageError(f"{folder!r} is no folder in this snapshot")
            there = True
        elif entry.path.startswith(prefix):
            gathered.add(entry)
    if not there and not gathered.entries:
        raise _missing(folder)
    return snapshot.header, sorted(
        gathered.held(), key=lambda each: (each.kind != "folder", each.name)
    )


def read_beginning(repository: Repository, identity: str, path: str, limit: int) -> HeldFile:
    """A file with the first `limit` bytes of it, or a few more.

    Raises `NotFoundError`, `UsageError` when it is no file, `CorruptError`, `LockedError`.
    """
    snapshot = Snapshot(repository, identity)
    root, wanted = _place(snapshot.header, path)
    found = next((e for e in _entries(snapshot, root, wanted) if e.path == wanted), None)
    if found is None:
        raise _missing(path)
    if found.kind != "file":
        raise UsageError(f"{path!r} is no file in this snapshot")
    index = Index()
    index.load(repository, only=set(found.chunks))
    content = bytearray()
    with ChunkReader(repository, index) as reader:
        for chunk in found.chunks:
            if len(content) >= limit:
                break
            content += reader.read(chunk)
    return HeldFile(_held(found, path), bytes(content))


class _Gathered:
    """The entries directly below `prefix`, and what is below those."""

    def __init__(self, prefix: str, named: str) -> None:
        self._prefix = prefix
        self._named = named
        self.entries: dict[str, Entry | None] = {}
        self._sizes: dict[str, int] = {}
        self._files: dict[str, int] = {}

    def add(self, entry: Entry) -> None:
        name, slash, _ = entry.path[len(self._prefix) :].partition("/")
        if not slash:
            self.entries[name] = entry
        else:
            self.entries.setdefault(name, None)
        if entry.kind == "file":
            self._sizes[name] = self._sizes.get(name, 0) + entry.size
            self._files[name] = self._files.get(name, 0) + 1

    def held(self) -> Iterator[Held]:
        for name, entry in self.entries.items():
            path = self._name(self._prefix + name)
            size, files = self._sizes.get(name, 0), self._files.get(name, 0)
            if entry is None:  # only what is below it was captured
                yield Held(name, path, "folder", size, files)
            else:
                yield _held(entry, path, size, files)

    def _name(self, path: str) -> str:
        if self._named:
            return f"{self._named}/{path}"
        return f"./{path}" if path.split("/", 1)[0] == _AT_HOME else path


def _held(entry: Entry, path: str, size: int | None = None, files: int = 1) -> Held:
    return Held(
        name=entry.path.rpartition("/")[2],
        path=path,
        kind=entry.kind,
        size=entry.size if size is None else size,
        files=files,
        modified_at=datetime.fromtimestamp(entry.mtime, UTC) if entry.mtime else None,
        target=entry.target,
        remake=entry.remake,
    )


def _place(header: Header, named: str) -> tuple[int, str]:
    """The number of the root, and the path in it as entries have it."""
    at_home = named == _AT_HOME or named.startswith(_AT_HOME + "/")
    for number, root in enumerate(header.roots):
        if (root.name == HOME) == at_home:
            path = normal(named[1:] if at_home else named)
            return number, "" if path == "." else path
    raise NotFoundError("the snapshot holds no files of a home", path=named)


def _entries(snapshot: Snapshot, root: int, path: str) -> Iterator[Entry]:
    for batch in snapshot.batches([path] if path else ()):
        yield from (entry for entry in batch if entry.root == root)


def _missing(path: str) -> NotFoundError:
    return NotFoundError(
        f"the snapshot has no {path!r}", hint="look for it in all snapshots: holdfast backup find"
    )

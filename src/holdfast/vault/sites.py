"""The destinations of a workspace's backups: folders, each complete on its own.

What was found at a destination is remembered below the workspace's state, so that an unplugged disk
is told from an empty one, and nothing is ever written to the folder it would be mounted on.
"""

import os
import sys
import uuid
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Literal

import msgspec

from holdfast.durable.documents import convert, read_document, write_document
from holdfast.durable.files import make_folder
from holdfast.durable.names import is_within, long_path
from holdfast.errors import ConflictError, HoldfastError, NotFoundError, StorageError, UsageError
from holdfast.vault.identities import KeySource
from holdfast.vault.repository import Access, Repository
from holdfast.workspace.layout import Layout
from holdfast.workspace.settings import Destination

_MARK = "holdfast-destination.json"


class _Mark(msgspec.Struct, frozen=True, rename="camel"):
    """Lies in a folder of archives or copies: what tells it from the place it is mounted on."""

    id: str
    kind: str
    created: datetime
    format_version: int = 1


class _Seen(msgspec.Struct, frozen=True, rename="camel"):
    """What a destination was when it was last written to."""

    folder: str
    id: str


class _SeenFile(msgspec.Struct, frozen=True, rename="camel"):
    destinations: dict[str, _Seen] = {}
    format_version: int = 1


State = Literal["ok", "new", "absent", "unreadable"]


class SiteState(msgspec.Struct, frozen=True, rename="camel", kw_only=True):
    """A destination at a glance. `holds` counts its backups; `newest` is when the last was taken.

    ``new`` was never written to; ``absent`` was, and is not there now (an unplugged disk).
    """

    name: str
    kind: str
    folder: str
    state: State
    encrypted: bool
    elsewhere: bool
    holds: int = 0
    newest: datetime | None = None
    problem: str | None = None


def default_identity() -> Path:
    """The file of the person's private key, when nothing else is said."""
    from platformdirs import user_config_path

    return user_config_path("holdfast") / "identity.txt"


def key_source(
    identity: Path | None = None, *, ask: Callable[[], str | None] | None = None
) -> KeySource:
    """Keys from the file `identity`, else from the person's own if there is one."""
    chosen = identity or default_identity()
    there = identity is not None or long_path(chosen).is_file()
    return KeySource(identity_files=[chosen] if there else [], ask=ask)


@dataclass
class Site:
    """One destination of one workspace."""

    layout: Layout
    destination: Destination
    ask: Callable[[], str | None] | None = None
    _source: KeySource | None = field(default=None, repr=False)

    @property
    def name(self) -> str:
        return self.destination.name

    @property
    def folder(self) -> Path:
        return self.destination.folder

    @property
    def private(self) -> Path:
        """What this machine remembers of its vaults."""
        return self.layout.state / "vaults"

    @property
    def source(self) -> KeySource:
        """Where the keys of this destination come from."""
        if self._source is None:
            self._source = key_source(self.destination.identity, ask=self.ask)
            if self.destination.keyring:
                self._source.keyring_names = [self.destination.keyring]
            self._source.passphrase_file = self.destination.passphrase_file
        return self._source

    @property
    def access(self) -> Access:
        """How its vault is opened."""
        recipients, passphrase = self.destination.recipients, self.destination.passphrase
        return Access(self.source, self.private, recipients, passphrase)

    def open(self) -> Repository:
        """Its vault. Raises `NotFoundError` before the first snapshot, `StorageError` if absent."""
        self._require_kind()
        self._require_presence()
        return Repository.open(self.folder, self.access)

    def make(self) -> Repository:
        """Its vault, made if it is new; from now on it is known."""
        self._require_kind()
        self._require_presence()
        repository = Repository.create(self.folder, self.access)
        if repository.keys is not None and self.destination.recipients:
            repository.keys.write_for(self.destination.recipients)
        self._remember(repository.id)
        return repository

    def prepare_folder(self) -> Path:
        """The folder of archives or copies, made if it is new; from now on it is known."""
        self._require_presence()
        make_folder(self.folder, private=True)
        if (found := self._found()) is None:
            mark = _Mark(uuid.uuid4().hex, self.destination.kind, datetime.now(UTC))
            write_document(self.folder / _MARK, mark, mode=0o600)
            found = mark.id
        self._remember(found)
        return self.folder

    def is_absent(self) -> bool:
        """Whether it was there before and is not now, or what it should lie on is not there."""
        try:
            self._require_presence()
        except StorageError:
            return True
        return False

    def is_new(self) -> bool:
        """Whether nothing was ever kept there."""
        return self._found() is None

    def was_used(self) -> bool:
        """Whether something was kept in this folder once, as far as this machine remembers."""
        known = self._seen().get(self.name)
        return known is not None and known.folder == str(self.folder)

    def forget(self) -> None:
        """Drop what is remembered of it; what it holds stays."""
        seen = self._seen()
        if seen.pop(self.name, None) is not None:
            self._write_seen(seen)

    def _require_kind(self) -> None:
        if self.destination.kind != "snapshot":
            kind = self.destination.kind
            raise UsageError(f"{self.name} is a destination of kind {kind}: it has no vault")

    def _require_presence(self) -> None:
        known = self._seen().get(self.name)
        found = self._found()
        if known is not None and self.was_used() and self.destination.declared:
            if found is None:
                raise StorageError(
                    f"the destination {self.name} is not there: is its disk plugged in?",
                    path=self.folder,
                    hint="if it is gone for good: holdfast backup destinations check NAME --anew",
                )
            if found != known.id:
                raise ConflictError(
                    f"this is not the destination {self.name} of before, but another one",
                    path=self.folder / self._kept,
                    hint="if that is meant: holdfast backup destinations check NAME --anew",
                )
        elif found is None and self.destination.declared and not self._has_ground():
            raise StorageError(
                f"the destination {self.name} is not there: {self.folder.parent} does not exist",
                path=self.folder,
                hint="plug the disk in, or make that folder",
            )

    def _has_ground(self) -> bool:
        """Whether there is something to make the folder on; below the home there always is."""
        if is_within(self.folder, self.layout.home):
            return True
        return long_path(self.folder).is_dir() or long_path(self.folder.parent).is_dir()

    @property
    def _kept(self) -> str:
        """The file that holds its id."""
        return "vault.json" if self.destination.kind == "snapshot" else _MARK

    def _found(self) -> str | None:
        """The id of what lies there; None when nothing does."""
        try:
            found = read_document(self.folder / self._kept, newest=2).data.get("id")
        except NotFoundError:
            return None
        except StorageError as error:
            if isinstance(error.__cause__, NotADirectoryError):
                return None
            raise
        return found if isinstance(found, str) else ""

    def _seen(self) -> dict[str, _Seen]:
        try:
            return dict(convert(read_document(self._seen_file), _SeenFile).destinations)
        except NotFoundError:
            return {}

    def _remember(self, identity: str) -> None:
        seen = self._seen()
        now = _Seen(str(self.folder), identity)
        if seen.get(self.name) != now:
            self._write_seen({**seen, self.name: now})

    def _write_seen(self, seen: dict[str, _Seen]) -> None:
        make_folder(self.private, private=True)
        write_document(self._seen_file, _SeenFile(seen), mode=0o600)

    @property
    def _seen_file(self) -> Path:
        return self.private / "destinations.json"


def site_state(site: Site) -> SiteState:
    """Look at a destination; nothing is changed, and what is wrong is told, not raised."""
    destination = site.destination
    state: State = "ok"
    problem: str | None = None
    moments: list[datetime] = []
    encrypted = bool(destination.recipients) or destination.passphrase
    try:
        if site.is_absent():
            state = "absent"
        elif site.is_new():
            state = "new"
        elif destination.kind == "snapshot":
            repository = site.open()
            encrypted = repository.sealing.encrypted
            moments, problem = _snapshots(repository)
            state = "unreadable" if problem else "ok"
        else:
            moments = _files(site)
    except HoldfastError as error:
        state, problem = "unreadable", error.message
    return SiteState(
        name=site.name,
        kind=destination.kind,
        folder=str(site.folder),
        state=state,
        encrypted=encrypted,
        elsewhere=destination.elsewhere,
        holds=len(moments),
        newest=max(moments, default=None),
        problem=problem,
    )


def _snapshots(repository: Repository) -> tuple[list[datetime], str | None]:
    from holdfast.vault.snapshots import list_snapshots

    infos = list_snapshots(repository)
    damaged = [info for info in infos if info.damage and not info.locked]
    problem = f"{len(damaged)} damaged: {damaged[0].damage}" if damaged else None
    return [info.started_at for info in infos if not info.damage or info.locked], problem


def _files(site: Site) -> list[datetime]:
    from holdfast.vault.naming import kept_backups

    return [moment for _, moment in kept_backups(site.folder, site.destination.kind)]


def device_of(folder: Path) -> str | None:
    """The disk that `folder`, or what there is of it, lies on; None when that cannot be told.

    On Linux partitions of one disk are one device; elsewhere a file system counts as one.
    """
    place = long_path(folder.absolute())
    while not place.exists() and place.parent != place:
        place = place.parent
    try:
        number = place.stat().st_dev
    except OSError:
        return None
    if sys.platform == "linux":
        block = Path(f"/sys/dev/block/{os.major(number)}:{os.minor(number)}")
        if block.exists():
            real = Path(os.path.realpath(block))
            return real.parent.name if (real / "partition").exists() else real.name
    return f"file system {number}"


_NETWORK = {"nfs", "nfs4", "cifs", "smb3", "smbfs", "sshfs", "fuse.sshfs", "afpfs", "webdav", "9p"}


def is_network_share(folder: Path) -> bool:
    """Whether `folder` lies on a file system of another machine, as far as that can be told."""
    import psutil  # type: ignore[import-untyped,unused-ignore]

    if sys.platform == "win32" and str(folder.absolute()).startswith("\\\\"):
        return True
    real = os.path.realpath(folder)
    best, kind = "", ""
    for partition in psutil.disk_partitions(all=True):
        top = partition.mountpoint.rstrip(os.sep) + os.sep
        if (real + os.sep).startswith(top) and len(top) >= len(best):
            best, kind = top, partition.fstype
    return kind.lower() in _NETWORK

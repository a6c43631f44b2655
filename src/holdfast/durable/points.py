"""Undo points: what a command takes away or changes, noted before it happens.

One folder per point, ``<root>/<id>/``: ``point.jsonl`` has a header line (command, time) and a line
for each part in the order in which the parts came about; ``kept-…`` are the former bytes of small
files; ``ended.json`` is written when the command ended. A part is on the disk before what it tells
of begins, so that after a crash at any instant the point says at least what was destroyed. A last
line without its newline was never acknowledged, so nothing was destroyed yet: it is left out.

Whoever destroys something calls `note_quarantined`, `note_created` or `note_document`; without a
point being recorded (see `recording`) these do nothing.
"""

import builtins
import json
import os
import time
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from contextvars import ContextVar
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Literal

import msgspec

from holdfast.durable.documents import convert, read_document, write_document
from holdfast.durable.faults import fault_point
from holdfast.durable.files import (
    Durability,
    is_temporary,
    make_folder,
    move,
    read_bytes,
    remove_tree,
    sweep_temporary,
    sync_folder,
    sync_whole,
    temporary_beside,
    write_all,
    write_atomic,
)
from holdfast.durable.names import check_identifier, inside, long_path
from holdfast.errors import (
    HoldfastError,
    NewerFormatError,
    NotFoundError,
    UnreadableError,
    storage_errors,
)

_FORMAT = 1
_LONGEST_COMMAND = 500  # characters
_TOGETHER = 20_000  # paths in one line, for memory
_APPEND = os.O_WRONLY | os.O_CREAT | os.O_APPEND | getattr(os, "O_BINARY", 0)


class Quarantined(msgspec.Struct, frozen=True, tag_field="kind", tag="quarantined"):
    """The thing at `origin`, or some of what is in it, was moved to quarantine as `entry`."""

    entry: str
    origin: str


class Restored(msgspec.Struct, frozen=True, rename="camel", tag_field="kind", tag="restored"):
    """The quarantine's `entry` was put back at `place`; of a collection, its things at `paths`."""

    entry: str
    origin: str
    reason: str
    taken_at: datetime
    collected: bool
    place: str
    paths: list[str] = []


class Created(msgspec.Struct, frozen=True, tag_field="kind", tag="created"):
    """The `paths` (forward slashes) below the folder `root` were not there before."""

    root: str
    paths: list[str]


class KeptDocument(msgspec.Struct, frozen=True, rename="camel", tag_field="kind", tag="document"):
    """A file was to be replaced: its bytes are in the point as `kept`; None when it was absent.

    `lock` is the lock under which the file is written, if there is one. For a file of another
    program `guest` says how that one locks it, and `left` is the digest of what was written: when
    it is another by now, that program wrote since.
    """

    path: str
    kept: str | None = None
    mode: int | None = None
    lock: str | None = None
    guest: Literal["folder", "none"] | None = None
    left: str | None = None


class KeptSnapshot(msgspec.Struct, frozen=True, rename="camel", tag_field="kind", tag="snapshot"):
    """The snapshot `snapshot` holds `root` as it was."""

    snapshot: str
    root: str


class QueueExport(msgspec.Struct, frozen=True, tag_field="kind", tag="queue"):
    """The queue `queue` was emptied; its messages are in the quarantine entry `entry`."""

    queue: str
    entry: str


class Forgotten(msgspec.Struct, frozen=True, tag_field="kind", tag="forgotten"):
    """The `snapshots` of the vault at `vault` were given up, until a prune."""

    vault: str
    snapshots: list[str]


Part = Quarantined | Restored | Created | KeptDocument | KeptSnapshot | QueueExport | Forgotten


class Header(msgspec.Struct, frozen=True, rename="camel", omit_defaults=True):
    """What a point says of itself; `undoes` is the point that the command undid, if any."""

    id: str
    command: str
    started_at: datetime
    source: Literal["command", "guard"] = "command"
    undoes: str | None = None
    format_version: int = _FORMAT


class Point(msgspec.Struct, frozen=True, rename="camel"):
    """A point as it was read; `ended_at` is None when the command was interrupted or runs on."""

    header: Header
    parts: list[Part]
    ended_at: datetime | None

    @property
    def id(self) -> str:
        return self.header.id


class _Ended(msgspec.Struct, frozen=True, rename="camel"):
    ended_at: datetime


class OpenPoint:
    """A point that is being recorded; its file is made with the first part."""

    def __init__(self, folder: Path, header: Header, durability: Durability) -> None:
        self.header = header
        self.folder = folder
        self._durability: Durability = durability
        self._begun = False
        self._kept = 0

    @property
    def id(self) -> str:
        """The point's id."""
        return self.header.id

    @property
    def begun(self) -> bool:
        """Whether there is anything to undo."""
        return self._begun

    def note(self, part: Part) -> None:
        """Append `part`; on the disk when this returns. Raises `StorageError`."""
        self._append(_line(part) if self._begun else _line(self.header) + _line(part))

    def _append(self, lines: bytes) -> None:
        if not self._begun:
            make_folder(self.folder, private=True)
        path = self.folder / "point.jsonl"
        with storage_errors(path, "write the undo point"):
            descriptor = os.open(long_path(path), _APPEND, 0o600)
            try:
                write_all(descriptor, lines)
                if self._durability == "power":
                    sync_whole(descriptor)
            finally:
                os.close(descriptor)
        if not self._begun and self._durability == "power":
            sync_folder(self.folder)
            sync_folder(self.folder.parent)
        self._begun = True
        fault_point("points.noted")

    def keep_document(
        self,
        path: Path,
        *,
        lock: Path | None = None,
        guest: Literal["folder", "none"] | None = None,
        left: str | None = None,
    ) -> None:
        """Keep the file `path` as it is now, or that there is none; see `KeptDocument`."""
        locked = None if lock is None else str(lock)
        part = KeptDocument(str(path.absolute()), lock=locked, guest=guest, left=left)
        try:
            content = read_bytes(path)
        except NotFoundError:
            self.note(part)
            return
        make_folder(self.folder, private=True)
        self._kept += 1
        name = f"kept-{self._kept}"
        write_atomic(self.folder / name, content, durability=self._durability, mode=0o600)
        mode = os.stat(long_path(path)).st_mode & 0o7777
        self.note(msgspec.structs.replace(part, kept=name, mode=mode))

    def begin(self) -> None:
        """Make the point though nothing is noted in it yet."""
        if not self._begun:
            self._append(_line(self.header))

    def end(self) -> None:
        """Say that the command came to its end."""
        if self._begun:
            ended = _Ended(datetime.now(UTC))
            write_document(self.folder / "ended.json", ended, durability=self._durability)


class PointLog:
    """The points below the folder `root` (made when first needed)."""

    def __init__(self, root: Path, *, durability: Durability = "power") -> None:
        self.root = root
        self.durability: Durability = durability

    def begin(
        self,
        command: str,
        *,
        source: Literal["command", "guard"] = "command",
        undoes: str | None = None,
        key: str | None = None,
    ) -> OpenPoint:
        """A new point for `command`; nothing is written before its first part.

        `key` (letters and digits) ends its id, so that it can be found again; else it is random.
        """
        moment = datetime.now(UTC)
        identity = f"{moment:%Y%m%d-%H%M%S}-{key or os.urandom(4).hex()}"
        if key and os.path.lexists(long_path(self.root / identity)):
            identity += os.urandom(4).hex()
        header = Header(identity, command[:_LONGEST_COMMAND], moment, source, undoes)
        return OpenPoint(self.root / identity, header, self.durability)

    def list(self) -> list[Point]:
        """All points, oldest first. Raises `UnreadableError` when one cannot be read."""
        points = [self._read(name) for name in self._names()]
        found = [point for point in points if point is not None]
        return sorted(found, key=lambda point: (point.header.started_at, point.id))

    def newest(self, source: str) -> Point | None:
        """The newest point of this source; None when there is none."""
        for name in reversed(self._names()):
            point = self._read(name)
            if point is not None and point.header.source == source:
                return point
        return None

    def get(self, point_id: str) -> Point:
        """One point, by its id or the end of it. Raises `NotFoundError`, `UnreadableError`."""
        check_identifier(point_id, "point id")
        names = [name for name in self._names() if name.endswith(point_id)]
        point = self._read(names[0]) if len(names) == 1 else None
        if point is None:
            raise NotFoundError(
                f"no undo point is called {point_id!r}",
                path=self.root,
                hint="list them with: holdfast undo --list",
            )
        return point

    def end(self, key: str) -> bool:
        """Say that the command whose point has this key ended; False when there is none."""
        for name in reversed(self._names()):
            if name.endswith(f"-{key}"):
                ended = _Ended(datetime.now(UTC))
                path = self.root / name / "ended.json"
                with suppress(HoldfastError):  # dropped meanwhile, as it had no effect
                    write_document(path, ended, durability="process")
                return True
        return False

    def kept(self, point: Point, part: KeptDocument) -> bytes | None:
        """The former bytes of a document; None when it was absent. Raises `NotFoundError`."""
        if part.kept is None:
            return None
        return read_bytes(inside(self.root / point.id, part.kept))

    def remove(self, point_id: str) -> None:
        """Forget a point; a missing one is fine. What is in quarantine stays there."""
        folder = self.root / check_identifier(point_id, "point id")
        leaving = temporary_beside(folder)
        with suppress(HoldfastError):
            move(folder, leaving)
            remove_tree(leaving)

    def expire(self, *, older_than: float) -> builtins.list[Point]:
        """Forget the points that began more than `older_than` seconds ago; returns them."""
        limit = time.time() - older_than
        expired = [each for each in self.list() if each.header.started_at.timestamp() < limit]
        for point in expired:
            self.remove(point.id)
        sweep_temporary(self.root)
        return expired

    def _names(self) -> builtins.list[str]:
        with storage_errors(self.root, "list the undo points"):
            try:
                names = sorted(os.listdir(long_path(self.root)))
            except FileNotFoundError:
                return []
        return [name for name in names if not is_temporary(name)]

    def _read(self, name: str) -> Point | None:
        """The point, or None when its command was killed before the first part was noted."""
        path = self.root / name / "point.jsonl"
        try:
            whole = read_bytes(path).rpartition(b"\n")[0]
        except NotFoundError:
            return None
        if not whole:
            return None
        first, *others = whole.split(b"\n")
        header = _convert(first, Header, path, 1)
        if header.format_version > _FORMAT:
            raise NewerFormatError("written by a newer Holdfast", path=path, hint="upgrade it")
        kinds: Any = Part
        parts = [_convert(line, kinds, path, n) for n, line in enumerate(others, start=2)]
        return Point(header, _joined(parts), self._ended(name))

    def _ended(self, name: str) -> datetime | None:
        try:
            document = read_document(self.root / name / "ended.json")
        except NotFoundError:
            return None
        return convert(document, _Ended).ended_at


_current: ContextVar[OpenPoint | None] = ContextVar("holdfast-undo-point", default=None)


def current() -> OpenPoint | None:
    """The point that is being recorded here, if any."""
    return _current.get()


@contextmanager
def recording(log: PointLog, command: str, *, undoes: str | None = None) -> Iterator[OpenPoint]:
    """Let what the body destroys be parts of one point. It is marked ended if nothing is raised."""
    point = log.begin(command, undoes=undoes)
    token = _current.set(point)
    try:
        yield point
    finally:
        _current.reset(token)
    point.end()


@contextmanager
def unrecorded() -> Iterator[None]:
    """Let what the body does be no part of the point that is being recorded."""
    token = _current.set(None)
    try:
        yield
    finally:
        _current.reset(token)


def note_quarantined(entry: str, origin: Path) -> None:
    """Called before what is at or in `origin` is moved to quarantine as `entry`."""
    if (point := _current.get()) is not None:
        point.note(Quarantined(entry, str(origin.absolute())))


def note_restored(part: Restored) -> None:
    """Called before what is in quarantine is put back."""
    if (point := _current.get()) is not None:
        point.note(part)


def note_queue(queue: str, entry: str) -> None:
    """Called before the messages of `queue`, which are in the entry `entry`, are forgotten."""
    if (point := _current.get()) is not None:
        point.note(QueueExport(queue, entry))


def note_forgotten(vault: Path, snapshots: builtins.list[str]) -> None:
    """Called before the `snapshots` of the vault at `vault` are given up."""
    if (point := _current.get()) is not None:
        point.note(Forgotten(str(vault), snapshots))


def note_created(root: Path, paths: Iterable[str | Path]) -> None:
    """Called before `paths`, below `root` and absent now, are made (with the folders above)."""
    point = _current.get()
    if point is None:
        return
    top = str(root.absolute())
    names: list[str] = []
    for name in _missing(root, paths):
        names.append(name)
        if len(names) == _TOGETHER:
            point.note(Created(top, names))
            names = []
    if names:
        point.note(Created(top, names))


def note_document(path: Path, *, lock: Path | None = None) -> None:
    """Called, under `lock` if there is one, before the small file `path` is replaced."""
    if (point := _current.get()) is not None:
        point.keep_document(path, lock=lock)


def note_guest(path: Path, *, guest: Literal["folder", "none"], left: str) -> None:
    """Called before another program's file is replaced by what has the digest `left`."""
    if (point := _current.get()) is not None:
        point.keep_document(path, guest=guest, left=left)


def _missing(root: Path, paths: Iterable[str | Path]) -> Iterator[str]:
    """`paths` and the missing folders above them, outermost first, each once."""
    known: set[str] = set()
    for path in paths:
        name = path if isinstance(path, str) else path.as_posix()
        above = []
        folder = name.rpartition("/")[0]
        while folder and folder not in known:
            if os.path.lexists(long_path(root / folder)):
                known.add(folder)
                break
            above.append(folder)
            folder = folder.rpartition("/")[0]
        for each in (*reversed(above), name):
            if each not in known:
                known.add(each)
                yield each


def _joined(parts: Iterable[Part]) -> list[Part]:
    """`parts` with what was made below one folder at one time as one part."""
    joined: list[Part] = []
    for part in parts:
        last = joined[-1] if joined else None
        if isinstance(part, Created) and isinstance(last, Created) and last.root == part.root:
            joined[-1] = Created(part.root, last.paths + part.paths)
        else:
            joined.append(part)
    return joined


def _line(record: Any) -> bytes:
    # msgspec refuses names that are no UTF-8; the escapes of the standard library keep them.
    return json.dumps(msgspec.to_builtins(record)).encode("ascii") + b"\n"


def _convert(line: bytes, kind: Any, path: Path, number: int) -> Any:
    try:
        return msgspec.convert(json.loads(line), kind)
    except (ValueError, msgspec.ValidationError) as error:
        raise UnreadableError(
            f"not a line of an undo point: {error}",
            path=path,
            line=number,
            column=1,
            hint="move this point's folder away; nothing was changed",
        ) from error

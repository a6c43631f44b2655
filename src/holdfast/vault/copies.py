"""Copies: plain folders ``<workspace>-YYYYMMDD-HHMMSS``, as ``cp -r`` would make them, but whole.

Where the file system can, a file is a reflink of the live one, or a hard link to the same file in
the copy before, never to a live file. The list of what was copied lies beside the copy, as a
``.<name>.jsonl``: it tells the next copy what is unchanged.
"""

import os
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import msgspec
from blake3 import blake3

from holdfast.durable.cloning import clone
from holdfast.durable.files import (
    make_folder,
    move,
    read_bytes,
    remove,
    remove_tree,
    sweep_temporary,
    sync_closed,
    sync_folder,
    temporary_beside,
    write_atomic,
)
from holdfast.durable.names import is_within, long_path
from holdfast.durable.staged import StagedFile
from holdfast.errors import HoldfastError, NotFoundError, UsageError, storage_error
from holdfast.vault.capture import SETTLED_NS
from holdfast.vault.coverage import WORKSPACE
from holdfast.vault.create import Order, take_snapshot
from holdfast.vault.entries import Entry, Problem, Root, escaped, printable, unescaped
from holdfast.vault.failing import visit
from holdfast.vault.naming import free_name, kept_backups
from holdfast.vault.proof import unsound
from holdfast.vault.reports import CopyReport, Finding
from holdfast.vault.repository import Repository
from holdfast.vault.scratch import scratch_folder
from holdfast.vault.whole import Content, Gathered, Gatherer

_BLOCK = 1 << 20
_CHECKED = 5  # databases opened in the finished copy
_STALE = 86_400.0


def create_copy(folder: Path, order: Order, private: Path) -> CopyReport:
    """Copy the workspace to a new folder in `folder` and compare every file written.

    What cannot be read is in `problems`. Raises `NotFoundError`, `UsageError`, `StorageError`; a
    copy has its name only when it is whole.
    """
    began = time.monotonic()
    if not long_path(order.root).is_dir():
        raise NotFoundError("there is no such folder", path=order.root)
    if is_within(order.root, folder):
        raise UsageError("a copy cannot hold itself", path=order.root)
    sweep_temporary(folder, older_than=_STALE)
    with scratch_folder(private) as scratch:
        copying = _Copying(folder, order, scratch)
        try:
            path = copying.run()
        finally:
            copying.gatherer.close()
    return CopyReport(
        path=str(path),
        files=copying.gatherer.files,
        size=copying.gatherer.size,
        linked=copying.linked,
        cloned=copying.cloned,
        copied=copying.copied,
        problems=copying.gatherer.problems,
        findings=copying.findings,
        seconds=time.monotonic() - began,
    )


def import_copy(path: Path, repository: Repository) -> tuple[str, list[Problem]]:
    """Put a copy into `repository` as a snapshot; its id, and what could not be read."""
    report = take_snapshot(repository, Order(path, everything=True))
    return report.snapshot.id, report.snapshot.problems


class _Copying:
    """One copy being made."""

    def __init__(self, folder: Path, order: Order, scratch: Path) -> None:
        self.linked = self.cloned = self.copied = 0
        self.findings: list[Finding] = []
        roots = [Root(WORKSPACE, str(order.root))]
        self.gatherer = Gatherer(order, roots, folder, scratch)
        self._folder = folder
        self._name = order.workspace_name or order.root.name
        self._entries: list[Entry] = []
        self._folders: list[Entry] = []
        self._twins: dict[str, str] = {}
        self._databases: list[str] = []
        self._last, self._before = _last_copy(folder, self._name)

    def run(self) -> Path:
        """Make it; where it is."""
        partial = temporary_beside(self._folder / self._name)
        make_folder(partial, private=True)
        try:
            for gathered in self.gatherer:
                self._add(partial, gathered)
                visit("vault.copy.file", self._folder)
            self._check_databases(partial)
            for entry in reversed(self._folders):
                _describe(partial / entry.path, entry)
            path = free_name(self._folder, self._name, "", self.gatherer.started)
            lines = msgspec.json.Encoder().encode_lines([_writable(e) for e in self._entries])
            write_atomic(_list_of(path), lines, mode=0o600)
            visit("vault.copy.listed", self._folder)
            _sync_all(partial)
            move(partial, path)
            sync_folder(self._folder)
        except OSError as error:
            remove_tree(partial)
            raise storage_error(error, self._folder, "copy the workspace") from error
        except BaseException:
            remove_tree(partial)
            raise
        visit("vault.copy.named", self._folder)
        self._drop_lists()
        return path

    def _add(self, top: Path, gathered: Gathered) -> None:
        entry = gathered.entry
        place = long_path(top / entry.path)
        if entry.kind == "folder":
            make_folder(place, private=True)
            self._folders.append(entry)
        elif entry.kind == "link":
            place.symlink_to(entry.target or "")
            if os.utime in os.supports_follow_symlinks:
                os.utime(place, ns=(entry.mtime_ns, entry.mtime_ns), follow_symlinks=False)
        else:
            self._add_file(top, place, gathered)
        self._entries.append(entry)

    def _add_file(self, top: Path, place: Path, gathered: Gathered) -> None:
        entry = gathered.entry
        twin = self._twins.get(entry.hard_link) if entry.hard_link is not None else None
        if twin is not None and _link(top / twin, place):
            return
        if entry.hard_link is not None:
            self._twins[entry.hard_link] = entry.path
        if entry.capture == "sqlite":
            self._databases.append(entry.path)
        if self._links_to_last(entry, gathered.content, place):
            self.linked += 1
            return
        if entry.capture is None and self._clones(entry, gathered, place):
            self.cloned += 1
            return
        staged = StagedFile(place.parent)
        state = blake3()
        try:
            for piece in gathered.content():
                state.update(piece)
                staged.write(piece)
            staged.describe(mode=entry.mode, mtime_ns=entry.mtime_ns)
            staged.publish(place, durability="process")
        except BaseException:
            staged.discard()
            raise
        self.copied += entry.size
        if _hash(place) != state.hexdigest():
            problem = "the copy's content is not what was read"
            self.findings.append(Finding(self._name, problem, path=printable(entry.path)))

    def _links_to_last(self, entry: Entry, content: Content, place: Path) -> bool:
        """Whether the copy before has the very content, which was compared, mode and time."""
        before = self._before.get(entry.path)
        if self._last is None or before is None or before.chunks != entry.chunks:
            return False
        if (before.mode, before.mtime_ns, before.size) != (entry.mode, entry.mtime_ns, entry.size):
            return False
        source = long_path(self._last / entry.path)
        try:
            status = os.lstat(source)
        except OSError:
            return False
        # Somebody may have changed the copy since; then its time tells.
        if status.st_size != entry.size or status.st_mtime_ns != entry.mtime_ns:
            return False
        # Bits may have flipped in it: a rotten file is not passed on.
        return _hash(source) == _hash_of(content) and _link(source, place)

    def _clones(self, entry: Entry, gathered: Gathered, place: Path) -> bool:
        source = Path(gathered.tree.place(entry.path))
        if not entry.size or time.time_ns() - entry.mtime_ns < SETTLED_NS:
            return False
        if not clone(source, place):
            return False
        if _hash(place) != _hash_of(gathered.content):
            place.unlink()  # it changed since it was read; what was read is copied
            return False
        _describe(place, entry)
        return True

    def _check_databases(self, top: Path) -> None:
        for path in self._databases[:_CHECKED]:
            if (problem := unsound(top / path)) is not None:
                self.findings.append(Finding(self._name, problem, path=path))

    def _drop_lists(self) -> None:
        """The lists of copies that are no more."""
        kept = {_list_of(path).name for path, _ in kept_backups(self._folder, "copy")}
        for path in self._folder.glob(".*.jsonl"):
            if path.name not in kept and path.name.startswith(f".{self._name}-"):
                remove(path)


def _last_copy(folder: Path, name: str) -> tuple[Path | None, dict[str, Entry]]:
    """The newest copy that has a readable list, and what is in it."""
    for path, _ in reversed(kept_backups(folder, "copy")):
        if not path.name.startswith(f"{name}-"):
            continue
        try:
            lines = read_bytes(_list_of(path))
            entries = msgspec.json.Decoder(Entry).decode_lines(lines)
        except (HoldfastError, msgspec.MsgspecError, UnicodeDecodeError):
            continue
        known = (unescaped(entry) if entry.escaped else entry for entry in entries)
        return path, {entry.path: entry for entry in known if entry.kind == "file"}
    return None, {}


def _list_of(copy: Path) -> Path:
    return copy.with_name(f".{copy.name}.jsonl")


def _writable(entry: Entry) -> Entry:
    try:
        (entry.path + (entry.target or "")).encode("utf-8")
    except UnicodeEncodeError:
        return escaped(entry)
    return entry


def _link(source: Path, place: Path) -> bool:
    try:
        os.link(long_path(source), place, follow_symlinks=False)
    except OSError:
        return False
    return True


def _hash(path: Path) -> str:
    state = blake3()
    with path.open("rb") as file:
        while block := file.read(_BLOCK):
            state.update(block)
    return state.hexdigest()


def _hash_of(content: Content) -> str:
    state = blake3()
    for piece in content():
        state.update(piece)
    return state.hexdigest()


def _describe(place: Path, entry: Entry) -> None:
    if sys.platform != "win32" or entry.kind != "folder":
        long_path(place).chmod(entry.mode)
    os.utime(long_path(place), ns=(entry.mtime_ns, entry.mtime_ns))


if sys.platform != "win32":

    def _sync_all(top: Path) -> None:
        os.sync()  # one call for a hundred thousand files

else:

    def _sync_all(top: Path) -> None:
        for path in _files(top):
            sync_closed(path)

    def _files(top: Path) -> Iterator[Path]:
        for folder, _, names in os.walk(long_path(top)):
            yield from (Path(folder, name) for name in names if not Path(folder, name).is_symlink())

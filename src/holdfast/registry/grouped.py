"""The core of every registry: one JSON file of groups of entries, safe under many writers.

::

    {"agentRegistry": {"production": {"director-agent": {"name": …, "path": …, "status": …}}}}

The core knows files, locks, generations and undo, and nothing of what an entry means: that is a
`RegistryKind`. Keys it does not know, at every level, and the order of all keys stay as they are.
"""

import functools
import os
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeVar

import msgspec

from holdfast.durable.documents import (
    Document,
    check_format,
    convert,
    digest_of,
    parse_object,
)
from holdfast.durable.faults import fault_point
from holdfast.durable.files import Durability, make_folder, read_bytes, write_atomic
from holdfast.durable.locks import Lock
from holdfast.durable.names import long_path
from holdfast.durable.points import note_document
from holdfast.durable.quarantine import Quarantine
from holdfast.errors import (
    HoldfastError,
    NewerFormatError,
    NotFoundError,
    UnreadableError,
    UsageError,
    storage_error,
)
from holdfast.registry.entry_splicing import WatchedEntries, spliced
from holdfast.registry.freshness import Signature, settled, signature_of
from holdfast.registry.generations import Generation, GenerationStore

Groups = dict[str, dict[str, dict[str, Any]]]
Result = TypeVar("Result")

GROUPS = ("production", "staging", "development")
"""The groups that a new registry has; further ones are made when an entry names them."""

_NEWEST_FORMAT = 1
_LOCK_TIMEOUT = 30.0  # seconds; a change takes milliseconds, so this is many writers' patience


@dataclass(frozen=True)
class RegistryKind:
    """What tells one registry from another.

    `root_key` is the key of the groups in the file, `name` that of its lock and its generations,
    `noun` what an entry is called, `command` the command people use it with, `schema` the whole
    document as a msgspec type.
    """

    root_key: str
    name: str
    noun: str
    command: str
    schema: type[msgspec.Struct]


@dataclass(frozen=True)
class Content:
    """A registry as it was read: its groups (never to be changed in place), its exact bytes.

    `is_plain` when it is laid out exactly as Holdfast does it.
    """

    groups: Groups
    raw: bytes = field(default=b"", repr=False)
    is_plain: bool = False


class GroupedRegistry:
    """One registry file with its lock and its generations.

    Nothing is held open between calls, so that any number of processes and threads may share the
    file. A file that was never there reads as empty groups; one that is gone although it has
    generations is an error.
    """

    def __init__(
        self,
        kind: RegistryKind,
        path: Path,
        *,
        generations: Path,
        locks: Path,
        quarantine: Path | None = None,
        keep: int = 50,
        durability: Durability = "power",
    ) -> None:
        if keep < 2:
            raise UsageError("at least 2 generations must be kept: the present one and one before")
        self.kind = kind
        self.path = path
        self.durability = durability
        self.history = GenerationStore(generations / kind.name, keep=keep, durability=durability)
        self._lock_path = locks / f"{kind.name}.lock"
        self._quarantine = Quarantine(quarantine or generations.parent / "quarantine")
        self._seen: tuple[Signature | None, Content] | None = None

    def read(self) -> Content:
        """The registry as it stands, from memory while the file has not changed.

        Raises `UnreadableError` (`NewerFormatError`) with line and column.
        """
        signature = self._signature()
        trusted = settled(signature)  # judged before the bytes are read: they may change meanwhile
        if signature is not None and self._seen is not None and self._seen[0] == signature:
            return self._seen[1]
        raw = self._read_bytes()
        if raw is None:
            return Content({group: {} for group in GROUPS})
        content = self._seen[1] if self._seen is not None else None
        if content is None or content.raw != raw:
            content = Content(self._parse(raw)[self.kind.root_key], raw)
        self._seen = (signature if trusted else None, content)
        return content

    def change(self, purpose: str, edit: Callable[[Groups], Result]) -> Result:
        """Lock, read again, let `edit` change the groups in place, publish; returns its result.

        When this returns, the change is on disk at the registry's durability. If `edit` changes
        nothing, nothing is written; if it raises, neither. Raises `BusyError`, `UnreadableError`,
        `StorageError`; in each case the file is as it was.
        """
        with self._locked(purpose):
            signature = self._signature()
            raw = self._read_bytes()
            seen = self._seen[1] if self._seen is not None else None
            if seen is not None and seen.is_plain and seen.raw == raw:
                return self._change_entries(seen, edit, signature)
            return self._change_document(raw, edit, signature)

    def _change_document(
        self, raw: bytes | None, edit: Callable[[Groups], Result], signature: Signature | None
    ) -> Result:
        """The slow way: everything is decoded and encoded again."""
        data = self._new() if raw is None else self._parse(raw)
        before = None if raw is None else msgspec.json.encode(data)
        result = edit(data[self.kind.root_key])
        after = self._encode(data)
        if after != before:
            content = msgspec.json.format(after, indent=2) + b"\n"
            self._publish(content, replacing=raw, signature=signature)
            groups = self._decode(after)[self.kind.root_key]  # whoever edits may keep what it has
            self._seen = (None, Content(groups, content, is_plain=True))
        return result

    def _change_entries(
        self, seen: Content, edit: Callable[[Groups], Result], signature: Signature | None
    ) -> Result:
        """The fast way, for a document that is known: only what changed is encoded."""
        groups = {group: WatchedEntries(entries) for group, entries in seen.groups.items()}
        edited: dict[str, Any] = {**groups}
        result = edit(edited)
        try:
            content = spliced(seen.raw, self.kind.root_key, seen.groups, edited)
        except (TypeError, ValueError, OverflowError, RecursionError) as error:
            raise self._no_json(error) from error
        if content is None:
            fill = functools.partial(_fill, edited=edited, result=result)
            return self._change_document(seen.raw, fill, signature)
        if content != seen.raw:
            self._publish(content, replacing=seen.raw, signature=signature)
            after = {group: entries.settled() for group, entries in groups.items()}
            self._seen = (None, Content(after, content, is_plain=True))
        return result

    def put_back(self, entry_id: str, group: str, entry: dict[str, Any]) -> bool:
        """Make the entry `entry_id` exactly `entry`, in `group`; others stay as they are.

        Returns whether that changed anything. Raises as `change` does.
        """

        def edit(groups: Groups) -> bool:
            if groups.get(group, {}).get(entry_id) == entry and _homes(groups, entry_id) == [group]:
                return False
            for other in _homes(groups, entry_id):
                if other != group:
                    del groups[other][entry_id]
            groups.setdefault(group, {})[entry_id] = entry
            return True

        return self.change(f"put {entry_id} back", edit)

    def publish(self, content: bytes, purpose: str) -> bool:
        """Make `content` the whole file; what was there is kept as by `undo`.

        Returns whether that changed anything. Raises `UnreadableError` when `content` is no such
        registry, and as `change` does.
        """
        self._strict(content, self.path)
        with self._locked(purpose):
            raw = self._read_bytes(lost_is_error=False)
            if raw == content:
                return False
            if raw is not None and not self._is_readable(raw):
                self._quarantine.take(self.path, reason=f"unreadable registry, {purpose}")
                raw = None
            self._publish(content, replacing=raw)
        return True

    def generations(self) -> list[Generation]:
        """The kept versions, oldest first; the last one is what was last published."""
        return self.history.list()

    def read_generation(self, generation: Generation) -> Groups:
        """The groups as they were in `generation`. Raises `UnreadableError`."""
        groups: Groups = self._strict(generation.read(), generation.path)[self.kind.root_key]
        return groups

    def undo(self, number: int | None = None) -> Generation:
        """Bring back generation `number`, or the one before the present; returns it.

        The present version is kept first: as a generation, or in quarantine when it cannot be
        read; in that case, and when the file is gone, the newest readable generation is brought
        back. Undo makes a new generation, so it can be undone.

        Raises `NotFoundError` when there is no such generation, `CorruptError` when it is damaged,
        `NewerFormatError` when the present file is from a newer Holdfast.
        """
        with self._locked("undo"):
            raw = self._read_bytes(lost_is_error=False)
            readable = raw is not None and self._is_readable(raw)
            self.history.settle(raw)
            target = self._target(raw if readable else None, number)
            content = target.read()
            self._strict(content, target.path)
            if raw is not None and not readable:
                self._quarantine.take(self.path, reason="unreadable registry, replaced by undo")
            if content != raw:
                self._publish(content, replacing=raw if readable else None)
            return target

    def _target(self, present: bytes | None, number: int | None) -> Generation:
        """The generation that undo brings back; `present` is None when it is lost or unreadable."""
        if number is not None:
            return self.history.get(number)
        for generation in reversed(self.history.list()):
            if present is not None and generation.holds(present):
                continue
            try:
                generation.read()
            except HoldfastError:
                continue  # a damaged generation is no way back; an earlier one may be
            return generation
        raise NotFoundError(
            "there is no earlier generation to go back to",
            path=self.history.folder,
            hint="restore the file from a backup: holdfast backup list",
        )

    def _publish(
        self, content: bytes, *, replacing: bytes | None, signature: Signature | None = None
    ) -> None:
        """Make `content` the file; what it replaces is a generation before that happens.

        `signature` is that of the file which holds `replacing`, if it is certain.
        """
        self.history.settle(replacing)
        if replacing is not None:
            self.history.keep_version(replacing, self.path, signature)
        note_document(self.path, lock=self._lock_path)
        make_folder(self.path.parent)
        self.history.prepare(content)
        try:
            write_atomic(self.path, content, durability=self.durability, check=self.history.sync)
        except HoldfastError:
            self.history.abandon()
            raise
        fault_point("registry.published")
        self.history.seal(content)

    def _parse(self, raw: bytes) -> dict[str, Any]:
        """The document; checked strictly unless it is one of ours, whose bytes were checked."""
        known = self._seen is not None and self._seen[1].raw == raw
        if not known:
            newest = self.history.newest()
            known = newest is not None and newest.holds(raw)
        return self._decode(raw) if known else self._strict(raw, self.path)

    def _encode(self, data: dict[str, Any]) -> bytes:
        try:
            return msgspec.json.encode(data)
        except (TypeError, ValueError, OverflowError, RecursionError) as error:
            raise self._no_json(error) from error

    def _no_json(self, error: Exception) -> UsageError:
        return UsageError(f"cannot be written as JSON: {error}", path=self.path)

    def _decode(self, raw: bytes) -> dict[str, Any]:
        data: dict[str, Any] = msgspec.json.decode(raw.removeprefix(b"\xef\xbb\xbf"))
        return data

    def _strict(self, raw: bytes, path: Path) -> dict[str, Any]:
        try:
            data = parse_object(raw, path)
            check_format(data, path, _NEWEST_FORMAT, raw)
            convert(Document(path, data, digest_of(raw), raw), self.kind.schema)
            try:
                return self._decode(raw)
            except (msgspec.DecodeError, RecursionError) as error:
                # NaN, numbers beyond a double and half surrogate pairs would be lost on writing.
                raise UnreadableError(f"not valid JSON: {error}", path=path) from error
        except UnreadableError as error:
            if not isinstance(error, NewerFormatError):
                error.hint = self._way_out()
            raise

    def _is_readable(self, raw: bytes) -> bool:
        try:
            self._strict(raw, self.path)
        except NewerFormatError:
            raise
        except UnreadableError:
            return False
        return True

    def _read_bytes(self, *, lost_is_error: bool = True) -> bytes | None:
        """The file, or None when there is none and never was one."""
        try:
            return read_bytes(self.path)
        except NotFoundError as error:
            if lost_is_error and self.history.newest() is not None:
                raise UnreadableError(
                    "the registry is gone, though it has earlier generations",
                    path=self.path,
                    hint=self._way_out(),
                ) from error
            return None

    def _way_out(self) -> str:
        if self.history.newest() is None:
            return "mend the file by hand or restore it from a backup; nothing was changed"
        return (
            f"'{self.kind.command} undo' brings back the newest readable generation and keeps "
            "the file as it is in quarantine; or mend it by hand; nothing was changed"
        )

    def _new(self) -> dict[str, Any]:
        return {self.kind.root_key: {group: {} for group in GROUPS}}

    def _signature(self) -> Signature | None:
        try:
            return signature_of(os.stat(long_path(self.path)))  # noqa: PTH116  twice as fast
        except FileNotFoundError:
            return None
        except OSError as error:
            raise storage_error(error, self.path, "look at the registry") from error

    def _locked(self, purpose: str) -> Lock:
        return Lock(
            self._lock_path, purpose=f"{self.kind.command}: {purpose}"[:200], timeout=_LOCK_TIMEOUT
        )


def _homes(groups: Groups, entry_id: str) -> list[str]:
    """The groups that hold the entry."""
    return [group for group, entries in groups.items() if entry_id in entries]


def _fill(present: Groups, edited: Groups, result: Result) -> Result:
    """Make `present` say what `edited` says."""
    present.clear()
    present.update({group: dict(entries) for group, entries in edited.items()})
    return result

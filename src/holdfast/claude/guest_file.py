"""One JSON file of another program: read strictly, changed key by key, under its owner's lock."""

import json
import stat
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager, nullcontext, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

import msgspec

from holdfast.claude.json_members import NotPlainError, members_of
from holdfast.claude.masking import mask
from holdfast.claude.splicing import (
    Change,
    Keys,
    NoObjectError,
    Put,
    Remove,
    Touched,
    apply_changes,
)
from holdfast.durable import positions
from holdfast.durable.documents import digest_of, parse_object
from holdfast.durable.faults import fault_point
from holdfast.durable.files import make_folder, read_bytes, write_atomic
from holdfast.durable.folder_locks import FolderLock
from holdfast.durable.names import long_path
from holdfast.durable.points import note_guest
from holdfast.errors import ConflictError, NotFoundError, RefusedError, UnreadableError

__all__ = ["Difference", "Edit", "GuestFile", "LockKind", "Put", "Remove"]

LockKind = Literal["folder", "none"]

_BOM = b"\xef\xbb\xbf"
_ATTEMPTS = 8  # how often a file without a lock is read again because somebody wrote meanwhile


class Difference(msgspec.Struct, frozen=True, rename="camel"):
    """What happens to one key: the values before and after, secrets masked.

    `kind` is added, changed or removed; the missing side is None.
    """

    keys: Keys
    kind: Literal["added", "changed", "removed"]
    before: Any = None
    after: Any = None


@dataclass(frozen=True)
class Edit:
    """A change of a file: the bytes before (None: there was no file) and after it, by key."""

    path: Path
    before: bytes | None = field(repr=False)
    after: bytes | None = field(repr=False)
    differences: tuple[Difference, ...]

    @property
    def changed(self) -> bool:
        """Whether it changes anything."""
        return self.before != self.after


Changes = Sequence[Change] | Callable[[bytes | None], Sequence[Change]]
Keep = Callable[[Edit], object]


class GuestFile:
    """The JSON file `path`, which belongs to another program.

    `lock` says how its owner keeps writers apart: ``folder`` is the folder ``<path>.lock`` (as for
    ``.claude.json``), ``none`` that it does not. Either way nothing is replaced that was written
    since it was read.
    """

    def __init__(self, path: Path, *, lock: LockKind, lock_timeout: float = 30.0) -> None:
        self.path = path
        self.lock = lock
        self._lock_timeout = lock_timeout

    def read(self) -> dict[str, Any]:
        """The whole file, strictly.

        Raises `NotFoundError` when there is none, `UnreadableError` with line and column when it
        is torn, empty, full of NULs, no object or has a key twice.
        """
        return parse_object(self.read_bytes(), self.path)

    def read_bytes(self) -> bytes:
        """The bytes of the file. Raises `NotFoundError`, `StorageError`."""
        if long_path(self.path).is_dir():
            raise UnreadableError("a folder is where the file belongs", path=self.path)
        return read_bytes(self.path)

    def check(self, content: bytes) -> None:
        """Raise `UnreadableError` unless `content` could be this file."""
        parse_object(content, self.path)

    def plan(self, changes: Sequence[Change]) -> Edit:
        """What `edit` would do, without doing it. Raises as `read` (but makes a missing file)."""
        return self._edit_of(self._present(), changes)

    def edit(self, changes: Changes, *, keep: Keep | None = None) -> Edit:
        """Make `changes`, on disk at power durability when this returns.

        Changes may be computed from the bytes as they are under the lock; this is done again when
        somebody wrote in between. `keep` is called with the edit before anything is replaced.
        What is not changed stays byte for byte; nothing is written when nothing changes.

        Raises as `plan`; `BusyError` while the owner holds its lock, `ConflictError` when others
        keep writing in between, `RefusedError` for a read-only file, `StorageError`. The file is
        then as it was.
        """
        return self._write(
            lambda before: self._edit_of(before, changes(before) if callable(changes) else changes),
            keep,
        )

    def replace(self, content: bytes, *, keep: Keep | None = None) -> Edit:
        """Put a former version of the whole file back, also over one that cannot be read.

        Locks, checks and raises as `edit` does; `content` must be readable itself.
        """
        parse_object(content, self.path)
        return self._write(lambda before: Edit(self.path, before, content, ()), keep)

    def rewrite(self, change: Callable[[bytes], bytes]) -> Edit:
        """Change the bytes of the file by `change`, whose answer must be readable itself.

        Locks, checks and raises as `edit` does; `NotFoundError` when there is none.
        """

        def plan(before: bytes | None) -> Edit:
            if before is None:
                raise NotFoundError("no such file", path=self.path)
            parse_object(before, self.path)
            after = change(before)
            parse_object(after, self.path)
            return Edit(self.path, before, after, ())

        return self._write(plan, None)

    def _write(self, plan: Callable[[bytes | None], Edit], keep: Keep | None) -> Edit:
        for _ in range(_ATTEMPTS - 1):
            with suppress(ConflictError):
                return self._write_once(plan, keep)
        return self._write_once(plan, keep)

    def _write_once(self, plan: Callable[[bytes | None], Edit], keep: Keep | None) -> Edit:
        with self._locked() as lock:
            edit = plan(self._present())
            if not edit.changed or edit.after is None:
                return edit
            self._refuse_read_only()
            if keep is not None:
                keep(edit)

            def check() -> None:
                fault_point("guest.checking")
                if lock is not None:
                    lock.check()
                self._refuse_changed(edit.before)

            note_guest(self.path, guest=self.lock, left=digest_of(edit.after))
            is_new = edit.before is None
            write_atomic(
                self.path,
                edit.after,
                mode=0o600 if is_new and self.lock == "folder" else None,
                exclusive=is_new and not self.path.is_symlink(),
                check=check,
            )
            return edit

    def _edit_of(self, before: bytes | None, changes: Sequence[Change]) -> Edit:
        content = b"{}" if before is None else before
        bom = _BOM if content.startswith(_BOM) else b""
        text = content.removeprefix(_BOM)
        try:
            _refuse_bad_text(text)
            spliced, touched = apply_changes(text, changes)
            differences = tuple(map(_difference, touched))
            after = bom + spliced if touched else before
            return Edit(self.path, before, after, differences)
        except (NotPlainError, UnicodeDecodeError) as error:
            parse_object(content, self.path)  # says what is wrong, and where
            raise UnreadableError(f"not valid JSON: {error}", path=self.path) from error
        except NoObjectError as error:
            at = positions.position_of_path(text.decode(), error.keys)
            raise UnreadableError(
                f"an object is expected at {error}",
                path=self.path,
                hint="mend the file by hand or restore an earlier version; nothing was changed",
                line=at.line if at else None,
                column=at.column if at else None,
            ) from error

    def _locked(self) -> AbstractContextManager[FolderLock | None]:
        make_folder(self.path.parent)
        if self.lock == "none":
            return nullcontext()
        return FolderLock(self._lock_folder(), timeout=self._lock_timeout)

    def _lock_folder(self) -> Path:
        return self.path.with_name(self.path.name + ".lock")

    def _present(self) -> bytes | None:
        try:
            return self.read_bytes()
        except NotFoundError:
            return None

    def _refuse_changed(self, before: bytes | None) -> None:
        if self._present() != before:
            raise ConflictError(
                "somebody else wrote the file in between, again and again",
                path=self.path,
                hint="run the same command again",
            )

    def _refuse_read_only(self) -> None:
        try:
            mode = long_path(self.path).stat().st_mode
        except FileNotFoundError:
            return
        if not mode & stat.S_IWUSR:
            raise RefusedError(
                "the file is read-only",
                path=self.path,
                hint="make it writable first, if Holdfast may change it",
            )


def value_at(content: bytes, keys: Keys, *, missing: Any = None) -> Any:
    """The value at `keys` in the JSON object `content`; `missing` when there is none.

    Only the objects on the way are looked at, so it is fast in a large file. Raises
    `NotPlainError` when one of them is not well-formed or has a key twice.
    """
    text = content.removeprefix(_BOM)
    start, end = 0, len(text)
    for key in keys:
        member = next((each for each in members_of(text, start, end) if each.key == key), None)
        if member is None:
            return missing
        start, end = member.value_start, member.value_end
    return parse_value(text[start:end])


def parse_value(text: bytes) -> Any:
    """One JSON value, unique keys at all depths. Raises `NotPlainError`."""
    path = Path("value")
    try:
        return parse_object(b'{"value":' + text + b"}", path)["value"]
    except UnreadableError as error:
        raise NotPlainError(error.message) from error


def _refuse_bad_text(text: bytes) -> None:
    if not text.strip(b"\0 \t\r\n"):
        raise NotPlainError("the file is empty")
    text.decode()


def _difference(touched: Touched) -> Difference:
    change, name = touched.change, touched.change.keys[-1]
    before = None if touched.before is None else mask(json.loads(touched.before), name)
    if isinstance(change, Remove):
        return Difference(change.keys, "removed", before=before)
    kind: Literal["added", "changed"] = "added" if touched.before is None else "changed"
    return Difference(change.keys, kind, before=before, after=mask(change.value, name))

"""Quarantine: what is taken away is moved aside, listed, and can be put back.

One folder per removal, ``<root>/<id>/``, with ``item`` (the thing itself, moved by one rename where
the disk is the same) and ``entry.json`` (what it was and why). The note is written before the move,
so after a crash at any instant each thing is in exactly one of its two places (on two disks, where
it must be copied, never in none): an entry without its item was never taken, or was put back, and
`list_entries` drops it. Many things of one folder can be taken as one entry (`collect`): ``item``
then mirrors that folder. What is deleted for good is renamed first, so that nobody restores half.
"""

import os
import time
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime
from pathlib import Path

import msgspec

from holdfast.durable.documents import convert, read_document, write_document
from holdfast.durable.faults import fault_point
from holdfast.durable.files import (
    is_temporary,
    make_folder,
    move,
    remove_tree,
    sweep_temporary,
    temporary_beside,
)
from holdfast.durable.names import check_identifier, long_path, plain_path
from holdfast.durable.points import Restored, note_created, note_quarantined, note_restored
from holdfast.errors import (
    ConflictError,
    HoldfastError,
    NotFoundError,
    StorageError,
    storage_errors,
)


class QuarantineEntry(msgspec.Struct, frozen=True, rename="camel"):
    """One thing in quarantine: its id, where it was, why and when it was taken (UTC).

    With `collected` it is many things, and `origin` is the folder in which they all were.
    """

    id: str
    origin: str
    reason: str
    taken_at: datetime
    collected: bool = False


class Collection:
    """Takes many things of one folder into one entry; see `Quarantine.collect`."""

    def __init__(self, entry: QuarantineEntry, item: Path) -> None:
        self.entry = entry
        self._item = item

    def take(self, path: Path, *, through: Path | None = None) -> None:
        """Move `path`, which lies in the folder, aside. Raises `NotFoundError`, `StorageError`.

        `through` is another way to it, such as one by a `held_folder`.
        """
        source = path if through is None else through
        if not os.path.lexists(long_path(source)):
            raise NotFoundError("there is nothing to move to quarantine", path=path)
        place = self._item / plain_path(path).absolute().relative_to(self.entry.origin)
        make_folder(place.parent, private=True)
        move(source, place)
        fault_point("quarantine.collected")


class Quarantine:
    """The quarantine below the folder `root` (made when first needed)."""

    def __init__(self, root: Path) -> None:
        self.root = root

    def take(self, path: Path, *, reason: str, origin: Path | None = None) -> QuarantineEntry:
        """Move the file, link or folder `path` into quarantine. Raises `NotFoundError`.

        `origin` is where it goes back to, for a copy of what must stay in its place.
        """
        if not os.path.lexists(long_path(path)):
            raise NotFoundError("there is nothing to move to quarantine", path=path)
        entry = _new_entry(origin or path, reason)
        folder = self.root / entry.id
        make_folder(folder, private=True)
        try:
            write_document(folder / "entry.json", entry, exclusive=True)
            fault_point("quarantine.noted")
            note_quarantined(entry.id, path)
            move(path, folder / "item")
        except HoldfastError:
            if not _holds_item(folder):
                remove_tree(folder)
            raise
        fault_point("quarantine.taken")
        return entry

    def collect(self, folder: Path, *, reason: str) -> Collection:
        """An entry for many things of `folder`: noted once, then each is moved by one rename.

        An entry that nothing was taken into is dropped like any other without its item.
        """
        entry = _new_entry(folder, reason, collected=True)
        make_folder(self.root / entry.id, private=True)
        write_document(self.root / entry.id / "entry.json", entry, exclusive=True)
        note_quarantined(entry.id, folder)
        return Collection(entry, self.root / entry.id / "item")

    def list_entries(self, *, older_than: float = 0.0) -> list[QuarantineEntry]:
        """What was taken at least `older_than` seconds ago, oldest first.

        Raises `UnreadableError` when a note cannot be read.
        """
        newest = time.time() - older_than
        entries = [
            entry
            for entry in self._entries()
            # Without an age everything counts, also what a clock set back made come from tomorrow.
            if older_than <= 0 or entry.taken_at.timestamp() <= newest
        ]
        return sorted(entries, key=lambda entry: (entry.taken_at, entry.id))

    def get(self, entry_id: str) -> QuarantineEntry:
        """One entry. Raises `NotFoundError`, `UnreadableError`."""
        return _read_entry(self._folder(entry_id))

    def item(self, entry_id: str) -> Path:
        """Where the thing itself is now. Raises `NotFoundError`."""
        return self._folder(entry_id) / "item"

    def places(self, entry_id: str, *, to: Path | None = None) -> list[tuple[Path, bool]]:
        """Where `restore` would put it, or each thing of it, and whether that place is taken."""
        entry, item = self.get(entry_id), self.item(entry_id)
        target = to if to is not None else Path(entry.origin)
        moves = _moves(item, target) if entry.collected and to is None else [(item, target)]
        return [(place, os.path.lexists(long_path(place))) for _, place in moves]

    def restore(self, entry_id: str, *, to: Path | None = None) -> Path:
        """Move an item back to where it was, or to `to`; returns where it is now.

        Of a collection each thing goes back to its own place, all of which must be free. Raises
        `NotFoundError` for an unknown id and `ConflictError` when the place is taken.
        """
        folder = self._folder(entry_id)
        entry = _read_entry(folder)
        target = to if to is not None else Path(entry.origin)
        note_created(target.parent.parent, [target.parent.name])
        make_folder(target.parent)
        try:
            if entry.collected and to is None:
                _put_back(entry, folder / "item", target)
            else:
                note_restored(_restored(entry, target))
                move(folder / "item", target)
        except ConflictError as error:
            taken = error.path if entry.collected else target
            raise ConflictError(
                error.message, path=taken, hint="restore to another place"
            ) from error
        fault_point("quarantine.restored")
        remove_tree(folder)
        return target

    def take_again(self, entry: QuarantineEntry, place: Path, paths: Sequence[str] = ()) -> None:
        """Take back what `restore` put at `place` (of a collection at `paths`), as the same entry.

        What is not there any more is left out. Raises `ConflictError`, `StorageError`.
        """
        folder = self.root / entry.id
        make_folder(folder, private=True)
        note_quarantined(entry.id, place)
        write_document(folder / "entry.json", entry)
        if paths:
            collection = Collection(entry, folder / "item")
            for path in paths:
                if os.path.lexists(long_path(place / path)):
                    collection.take(place / path)
        elif os.path.lexists(long_path(place)):
            move(place, folder / "item")

    def empty(self, *, older_than: float = 0.0) -> list[QuarantineEntry]:
        """Delete for good what was taken more than `older_than` seconds ago; returns what went."""
        deleted = []
        for entry in self.list_entries(older_than=older_than):
            leaving = temporary_beside(self.root / entry.id)
            try:
                move(self.root / entry.id, leaving)
            except StorageError:
                if not _holds_item(self.root / entry.id):
                    continue  # put back, or emptied by another process, since it was listed
                raise
            fault_point("quarantine.leaving")
            remove_tree(leaving)
            deleted.append(entry)
        sweep_temporary(self.root)
        return deleted

    def _entries(self) -> Iterator[QuarantineEntry]:
        with storage_errors(self.root, "list the quarantine"):
            names = sorted(os.listdir(long_path(self.root))) if self.root.is_dir() else []
        for name in names:
            folder = self.root / name
            if is_temporary(name) or not _holds_item(folder):
                continue
            try:
                yield _read_entry(folder)
            except NotFoundError:
                if _holds_item(folder):
                    raise  # the note is lost, the thing is not; it must not go unseen

    def _folder(self, entry_id: str) -> Path:
        folder = self.root / check_identifier(entry_id, "quarantine id")
        if not _holds_item(folder):
            raise NotFoundError(
                f"nothing in quarantine is called {entry_id!r}",
                path=self.root,
                hint="list it with: holdfast quarantine list",
            )
        return folder


def _new_entry(path: Path, reason: str, *, collected: bool = False) -> QuarantineEntry:
    moment = datetime.now(UTC)
    entry_id = f"{moment:%Y%m%d-%H%M%S}-{os.urandom(4).hex()}"
    return QuarantineEntry(entry_id, str(plain_path(path).absolute()), reason, moment, collected)


def _restored(entry: QuarantineEntry, place: Path, paths: Sequence[str] = ()) -> Restored:
    return Restored(
        entry.id,
        entry.origin,
        entry.reason,
        entry.taken_at,
        entry.collected,
        str(place.absolute()),
        list(paths),
    )


def _put_back(entry: QuarantineEntry, item: Path, target: Path) -> None:
    """Move what a collection holds to its places, if all are free; raises `ConflictError`."""
    moves = list(_moves(item, target))
    for _, place in moves:
        if os.path.lexists(long_path(place)):
            raise ConflictError("something is there already", path=place)
    paths = [place.relative_to(target).as_posix() for _, place in moves]
    note_restored(_restored(entry, target, paths))
    for source, place in moves:
        move(source, place)


def _moves(item: Path, target: Path) -> Iterator[tuple[Path, Path]]:
    """What to move where: folders that are there on both sides are gone into."""
    for name in sorted(os.listdir(long_path(item))):
        source, place = item / name, target / name
        if _is_folder(source) and _is_folder(place):
            yield from _moves(source, place)
        else:
            yield source, place


def _is_folder(path: Path) -> bool:
    return long_path(path).is_dir() and not long_path(path).is_symlink()


def _holds_item(folder: Path) -> bool:
    return os.path.lexists(long_path(folder / "item"))


def _read_entry(folder: Path) -> QuarantineEntry:
    return convert(read_document(folder / "entry.json"), QuarantineEntry)

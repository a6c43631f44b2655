"""Undoing one part of a point: a thing in quarantine, a file made, a document, a queue's export."""

import os
from collections.abc import Iterator, Sequence
from contextlib import nullcontext
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import msgspec

from holdfast.claude.guest_file import GuestFile
from holdfast.durable import trees
from holdfast.durable.documents import digest_of
from holdfast.durable.files import make_folder, read_bytes, write_atomic
from holdfast.durable.journal import read_journal
from holdfast.durable.locks import Lock
from holdfast.durable.names import long_path
from holdfast.durable.points import (
    Created,
    Forgotten,
    KeptDocument,
    Part,
    Point,
    Quarantined,
    QueueExport,
    Restored,
    note_document,
)
from holdfast.durable.quarantine import QuarantineEntry
from holdfast.errors import HoldfastError, NotFoundError
from holdfast.facade import Workspace
from holdfast.vault import Vault

Action = Literal["bring back", "take away", "put back", "keep"]


class Step(msgspec.Struct, frozen=True):
    """One path: what is done with it, and a remark."""

    action: Action
    path: str
    remark: str = ""


@dataclass(frozen=True)
class Choice:
    """What a person asked of an undo beyond the default.

    `paths` narrow a snapshot's part to what is at and below them; with `new` the files made since
    are taken away too; with `changed_since` files go back although they changed after the command.
    """

    paths: Sequence[str] = ()
    new: bool = False
    changed_since: bool = False


class Undoer:
    """The undoing of one part; what it replaces goes to the quarantine."""

    def __init__(
        self, workspace: Workspace, point: Point, part: Part, choice: Choice | None = None
    ) -> None:
        self._workspace = workspace
        self._point = point
        self._part = part
        self._choice = choice or Choice()
        self._quarantine = workspace.quarantine
        self._reason = f"taken away by the undo of {point.id}"

    def paths(self) -> set[str]:
        """The files concerned."""
        part = self._part
        if isinstance(part, Created):
            return {str(Path(part.root) / path) for path in part.paths}
        if isinstance(part, KeptDocument):
            return {part.path}
        if isinstance(part, Quarantined):
            return {str(place) for place, _ in self._places(part)}
        if isinstance(part, Restored):
            return {str(path) for path in _restored_paths(part)}
        return set()

    def steps(self) -> list[Step]:
        """What would be done now."""
        part = self._part
        if isinstance(part, Created):
            return [Step("take away", str(path)) for path in self._made(part)]
        if isinstance(part, KeptDocument):
            former = self._workspace.points.kept(self._point, part)
            if _content(Path(part.path)) == former or self._is_others(part):
                return []
            return [Step("take away" if former is None else "put back", part.path)]
        if isinstance(part, Quarantined):
            return [
                Step("bring back", str(place), "what is there now is kept" if taken else "")
                for place, taken in self._places(part)
            ]
        if isinstance(part, Restored):
            return [Step("take away", str(path)) for path in _there(_restored_paths(part))]
        if isinstance(part, QueueExport) and self._is_there(part.entry):
            return [Step("bring back", f"the messages of the queue {part.queue}")]
        if isinstance(part, Forgotten):
            return [
                Step("bring back", f"the snapshot {each[:12]} in {part.vault}")
                for each in self._forgotten(part)
            ]
        return []

    def left(self) -> list[Step]:
        """What stays as it is."""
        if isinstance(self._part, KeptDocument) and self._is_others(self._part):
            return [Step("keep", self._part.path, "its program wrote it since")]
        return []

    def obstacles(self) -> list[str]:
        """Why something cannot be brought back."""
        part = self._part
        if isinstance(part, Forgotten):
            return self._pruned(part)
        if not isinstance(part, (Quarantined, QueueExport)) or self._is_there(part.entry):
            return []
        if isinstance(part, Quarantined) and os.path.lexists(long_path(Path(part.origin))):
            return []  # put back already
        return [f"{part.entry} is no longer in quarantine"]

    def carry_out(self) -> None:
        """Do it. Raises `HoldfastError`."""
        part = self._part
        if isinstance(part, Created):
            self._take_away(part)
        elif isinstance(part, KeptDocument):
            lock = Lock(Path(part.lock), purpose=self._reason, timeout=30.0) if part.lock else None
            with lock or nullcontext():
                self._put_back(part)
        elif isinstance(part, QueueExport) and self._is_there(part.entry):
            self._requeue(part)
        elif isinstance(part, Forgotten):
            for each in self._forgotten(part):
                Vault.open(Path(part.vault)).remember(each)
        elif isinstance(part, Quarantined) and self._is_there(part.entry):
            self._bring_back(part)
        elif isinstance(part, Restored) and _there(_restored_paths(part)):
            entry = QuarantineEntry(
                part.entry, part.origin, part.reason, part.taken_at, part.collected
            )
            self._quarantine.take_again(entry, Path(part.place), part.paths)

    def _bring_back(self, part: Quarantined) -> None:
        entry = self._quarantine.get(part.entry)
        taken = [place for place, is_taken in self._places(part) if is_taken]
        if taken and entry.collected:
            collection = self._quarantine.collect(Path(entry.origin), reason=self._reason)
            for place in taken:
                collection.take(place)
        elif taken:
            self._quarantine.take(taken[0], reason=self._reason)
        self._quarantine.restore(part.entry, to=_elsewhere(part, entry))

    def _take_away(self, part: Created) -> None:
        made = self._made(part)
        if made:
            collection = self._quarantine.collect(Path(part.root), reason=self._reason)
            for path in made:
                collection.take(path)

    def _made(self, part: Created) -> list[Path]:
        """What of `part` is there, without what lies in a folder that goes as a whole.

        A folder in which there is anything else stays, with that.
        """
        known = set(part.paths)
        whole: set[str] = set()
        found = []
        for name in sorted(known, key=lambda name: name.count("/")):
            path = Path(part.root) / name
            if any(above in whole for above in _above(name)):
                continue
            if not os.path.lexists(long_path(path)):
                continue
            if _is_folder(path):
                if not all(f"{name}/{inner.path}" in known for inner in trees.walk(path)):
                    continue
                whole.add(name)
            found.append(path)
        return found

    def _put_back(self, part: KeptDocument) -> None:
        path = Path(part.path)
        former = self._workspace.points.kept(self._point, part)
        if _content(path) == former or self._is_others(part):
            return
        if former is not None and part.guest is not None:
            GuestFile(path, lock=part.guest).replace(former)
            return
        if former is None or _is_folder(path):
            self._quarantine.take(path, reason=self._reason)
        if former is not None:
            note_document(path, lock=Path(part.lock) if part.lock else None)
            make_folder(path.parent)
            write_atomic(path, former, mode=part.mode)

    def _is_others(self, part: KeptDocument) -> bool:
        """Whether another program wrote its file after the command."""
        if part.left is None or self._choice.changed_since:
            return False
        content = _content(Path(part.path))
        return isinstance(content, bytes) and digest_of(content) != part.left

    def _requeue(self, part: QueueExport) -> None:
        """Put the messages again, in their order; one that was interrupted may put some twice."""
        queue = self._workspace.queue(part.queue)
        for record in read_journal(self._quarantine.item(part.entry)).records:
            message: dict[str, Any] = msgspec.json.decode(record)
            queue.put(message["body"], headers=message["headers"] or None)

    def _forgotten(self, part: Forgotten) -> list[str]:
        """The snapshots that can be taken back; none when the vault is not there now."""
        try:
            there = Vault.open(Path(part.vault)).forgotten()
        except HoldfastError:
            return []
        return [each for each in part.snapshots if each in there]

    def _pruned(self, part: Forgotten) -> list[str]:
        """Why snapshots cannot be taken back."""
        try:
            vault = Vault.open(Path(part.vault))
            known = vault.forgotten() | {info.id for info in vault.snapshots()}
        except HoldfastError as error:
            return [str(error)]
        gone = [each for each in part.snapshots if each not in known]
        return [f"the snapshot {each[:12]} was removed by a prune" for each in gone]

    def _is_there(self, entry_id: str) -> bool:
        try:
            self._quarantine.get(entry_id)
        except NotFoundError:
            return False
        return True

    def _places(self, part: Quarantined) -> list[tuple[Path, bool]]:
        if not self._is_there(part.entry):
            return []
        to = _elsewhere(part, self._quarantine.get(part.entry))
        return self._quarantine.places(part.entry, to=to)


def _elsewhere(part: Quarantined, entry: QuarantineEntry) -> Path | None:
    """Where it was when it was taken, if it had been put back to another place than its own."""
    return None if part.origin == entry.origin else Path(part.origin)


def _restored_paths(part: Restored) -> list[Path]:
    place = Path(part.place)
    return [place / path for path in part.paths] or [place]


def _there(paths: list[Path]) -> list[Path]:
    return [path for path in paths if os.path.lexists(long_path(path))]


def _content(path: Path) -> bytes | Literal["folder"] | None:
    if _is_folder(path):
        return "folder"
    try:
        return read_bytes(path)
    except NotFoundError:
        return None


def _is_folder(path: Path) -> bool:
    place = long_path(path)
    return place.is_dir() and not place.is_symlink()


def _above(name: str) -> Iterator[str]:
    while "/" in name:
        name = name.rpartition("/")[0]
        yield name

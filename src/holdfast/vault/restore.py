"""Bringing files back: planned first, what is replaced set aside, each file whole or not there.

The order: folders, files, further hard links, then symbolic links, and last
the folders' modes and times. Nothing is written through a link, as no link is made before the end
and none that is there is followed.
"""

import errno
import os
import secrets
import sys
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path

from holdfast.durable.files import TEMPORARY_SUFFIX, make_folder
from holdfast.durable.points import note_created
from holdfast.durable.quarantine import Collection, Quarantine
from holdfast.durable.staged import StagedFile
from holdfast.engines.sqlite_copy import COMPANIONS
from holdfast.engines.sqlite_restore import replace_content
from holdfast.errors import HoldfastError, NotFoundError, RefusedError, StorageError, storage_error
from holdfast.vault.chunks import ChunkReader
from holdfast.vault.entries import Entry, Problem, printable
from holdfast.vault.failing import visit
from holdfast.vault.in_use import is_in_use, keep_database
from holdfast.vault.plan import Planner, Step
from holdfast.vault.reports import PlannedPath, Progress, RestoreReport

_TELL_EVERY = 64  # files
_TOGETHER = 16  # replaced files; more of them are one entry in quarantine, for speed
_FATAL = {errno.ENOSPC, errno.EROFS, errno.EDQUOT}


def normal(path: str) -> str:
    """`path` as entries have it; ``.`` is the root."""
    return path.replace(os.sep, "/").strip("/").removeprefix("./")


def select(entries: Iterable[Entry], paths: Sequence[str]) -> list[Entry]:
    """The entries at and below `paths`, and the folders above them; all when `paths` is empty.

    Raises `NotFoundError` for a path that no entry has.
    """
    wanted = {normal(path) for path in paths}
    wanted.discard(".")
    if not wanted:
        return [entry for entry in entries if entry.kind != "excluded"]
    found: set[str] = set()
    above = {path[:at] for path in wanted for at in range(len(path)) if path[at] == "/"}
    below = tuple(path + "/" for path in wanted)
    chosen = []
    for entry in entries:
        if entry.path in wanted:
            found.add(entry.path)
        elif not (entry.path.startswith(below) or (entry.path in above and entry.kind == "folder")):
            continue
        if entry.kind != "excluded":
            chosen.append(entry)
    if missing := sorted(wanted - found):
        raise NotFoundError(
            f"the snapshot has no {missing[0]!r}",
            hint="paths are relative to the workspace; look with: holdfast backup show",
        )
    return chosen


@dataclass
class Restorer:
    """Restores entries below `target`. `quarantine` takes what is replaced."""

    reader: ChunkReader
    target: Path
    settled_before: int = 0
    quarantine: Quarantine | None = None
    reason: str = "restore"
    progress: Progress | None = None
    touched: Callable[[Entry], bool] = lambda _: False  # which files get the present time
    quarantined: list[str] = field(default_factory=list)
    problems: list[Problem] = field(default_factory=list)
    _files_done: int = 0
    _size_done: int = 0
    _written: int = 0  # bytes of the present file
    _whole_size: int = 0
    _collection: Collection | None = None

    def __post_init__(self) -> None:
        matches = self.reader.repository.sealing.matches
        self._planner = Planner(self.target, self.reader.index, self.settled_before, matches)

    def plan(self, entries: Iterable[Entry]) -> list[Step]:
        """What would be done, in the entries' order."""
        return [self._planner.plan(entry) for entry in entries]

    def carry_out(self, steps: Sequence[Step]) -> None:
        """Do what was planned. What fails is in `problems`; a full disk raises `StorageError`."""
        if self.quarantine is None and any(s.action in ("replace", "conflict") for s in steps):
            raise RefusedError("files would be replaced, and no quarantine was given to keep them")
        replaced = sum(step.action in ("replace", "conflict") for step in steps)
        if self.quarantine is not None and replaced > _TOGETHER:
            self._collection = self.quarantine.collect(self.target, reason=self.reason)
            self.quarantined.append(self._collection.entry.id)
        note_created(self.target, (s.entry.path for s in steps if _creates(s)))
        for folder in ("", *self._planner.implicit):
            make_folder(self.target / folder)
        self._make_folders(steps)
        later = self._write_files(steps)
        for step, first in later:
            self._attempt(step.entry, partial(self._link_twin, step, first))
        for step in steps:
            if step.entry.kind == "link" and step.action != "unchanged" and not step.refusal:
                self._attempt(step.entry, partial(self._make_link, step.entry))
        self._finish_folders(steps)

    def report(self, snapshot: str, steps: Sequence[Step], *, dry_run: bool) -> RestoreReport:
        """The plan and what came of it."""
        refused = [
            Problem(printable(s.entry.path), s.refusal) for s in steps if s.refusal is not None
        ]
        actions = [step.action for step in steps]
        return RestoreReport(
            snapshot=snapshot,
            target=str(self.target),
            dry_run=dry_run,
            plan=[
                PlannedPath(printable(step.entry.path), step.action, step.newer)
                for step in steps
                if step.action != "unchanged"
            ],
            created=actions.count("create"),
            replaced=actions.count("replace") + actions.count("conflict"),
            unchanged=actions.count("unchanged"),
            size=sum(step.entry.size for step in steps if step.action in _WRITTEN),
            quarantined=self.quarantined,
            problems=refused + self.problems,
        )

    def _make_folders(self, steps: Sequence[Step]) -> None:
        for step in steps:
            if step.entry.kind != "folder" or step.action == "unchanged" or step.refusal:
                continue
            self._attempt(step.entry, partial(self._make_folder, step))

    def _make_folder(self, step: Step) -> None:
        if step.action == "conflict":
            self._set_aside(step.entry.path)
        place = self._planner.place(step.entry.path)
        try:
            os.mkdir(place, 0o700)  # noqa: PTH102
        except FileExistsError:
            if os.path.islink(place):  # noqa: PTH114
                raise
        except FileNotFoundError:
            os.makedirs(place, 0o700, exist_ok=True)  # noqa: PTH103

    def _write_files(self, steps: Sequence[Step]) -> list[tuple[Step, Entry]]:
        """Write all files; returns the further names of files that have several."""
        first: dict[str, Entry] = {}
        later: list[tuple[Step, Entry]] = []
        self._whole_size = sum(step.entry.size for step in steps)
        # One thread: a second one was measured to be slower, both wait for the same file system.
        for step in self._files(steps, first, later):
            self._attempt(step.entry, partial(self._write_file, step))
            self._files_done += 1
            self._size_done += step.entry.size
            self._written = 0
            self._tell(_TELL_EVERY)
        return later

    def _tell(self, every: int) -> None:
        if self.progress is not None and (every == 0 or self._files_done % every == 0):
            self.progress(self._files_done, self._size_done + self._written, self._whole_size)

    def _files(
        self, steps: Sequence[Step], first: dict[str, Entry], later: list[tuple[Step, Entry]]
    ) -> Iterator[Step]:
        for step in steps:
            entry = step.entry
            if entry.kind != "file" or step.refusal:
                continue
            if entry.hard_link is not None:
                known = first.setdefault(entry.hard_link, entry)
                if known is not entry:
                    later.append((step, known))
                    continue
            yield step

    def _write_file(self, step: Step) -> None:
        entry = step.entry
        place = self._planner.place(entry.path)
        if step.action == "unchanged":
            if not self.touched(entry):
                _describe(place, entry)
            return
        staged = StagedFile(place.rpartition(os.sep)[0])
        try:
            for piece in self.reader.content(entry):
                staged.write(piece)
                if len(entry.chunks) > 1:
                    self._written += len(piece)
                    self._tell(0)
            staged.describe(mode=entry.mode, mtime_ns=self._time_of(entry))
            if step.action == "replace" and entry.capture == "sqlite" and is_in_use(Path(place)):
                self._replace_inside(Path(place), staged)
            else:
                self._make_room(entry, place)
                staged.publish(place, durability="process")
        except BaseException:
            staged.discard()
            raise
        visit("vault.restore.file", self.target, "restore the file")

    def _time_of(self, entry: Entry) -> int:
        return time.time_ns() if self.touched(entry) else entry.mtime_ns

    def _replace_inside(self, path: Path, staged: StagedFile) -> None:
        """Bring a database back that another process has open: its content, not its file."""
        if self.quarantine is None:
            raise RefusedError("the database is in use", path=path)
        self.quarantined.append(keep_database(path, self.quarantine, reason=self.reason))
        replace_content(staged.complete(), path)
        staged.discard()

    def _make_room(self, entry: Entry, place: str) -> None:
        """Set aside what has the entry's name now, and a log that belongs to another database."""
        if os.path.lexists(place):
            self._set_aside(entry.path)
        if entry.capture == "sqlite":
            for suffix in COMPANIONS:
                if self._planner.look(entry.path + suffix) is not None:
                    self._set_aside(entry.path + suffix)

    def _set_aside(self, path: str) -> None:
        if self.quarantine is None:
            raise RefusedError("something is in the way", path=self.target / path)
        if self._collection is not None:
            self._collection.take(self.target / path)
            return
        taken = self.quarantine.take(self.target / path, reason=self.reason)
        self.quarantined.append(taken.id)

    def _link_twin(self, step: Step, first: Entry) -> None:
        source, place = self._planner.place(first.path), self._planner.place(step.entry.path)
        if os.path.lexists(place):
            if os.path.lexists(source) and os.path.samefile(source, place):  # noqa: PTH121
                return
            if step.action == "unchanged":
                _describe(place, step.entry)
                return
        temporary = f"{os.path.dirname(place)}{os.sep}{_temporary()}"  # noqa: PTH120
        try:
            os.link(source, temporary, follow_symlinks=False)
        except OSError:
            self._write_file(step)
            self._report(step.entry.path, "restored as a file of its own, not as a hard link")
            return
        self._make_room(step.entry, place)
        os.replace(temporary, place)  # noqa: PTH105
        visit("vault.restore.file", Path(place), "restore the file")

    def _make_link(self, entry: Entry) -> None:
        place = self._planner.place(entry.path)
        temporary = f"{os.path.dirname(place)}{os.sep}{_temporary()}"  # noqa: PTH120
        Path(temporary).symlink_to(entry.target or "")
        self._make_room(entry, place)
        os.replace(temporary, place)  # noqa: PTH105
        if os.utime in os.supports_follow_symlinks:
            os.utime(place, ns=(entry.mtime_ns, entry.mtime_ns), follow_symlinks=False)

    def _finish_folders(self, steps: Sequence[Step]) -> None:
        """Modes and times, innermost first: what is made in a folder changes its time."""
        for step in reversed(steps):
            if step.entry.kind == "folder" and not step.refusal:
                place = self._planner.place(step.entry.path)
                self._attempt(step.entry, partial(_describe, place, step.entry))

    def _attempt(self, entry: Entry, work: Callable[[], None]) -> None:
        try:
            work()
        except OSError as error:
            if error.errno in _FATAL:
                raise storage_error(error, self.target, "go on restoring") from error
            self._report(entry.path, error.strerror or str(error))
        except HoldfastError as error:
            cause = error.__cause__
            if isinstance(error, StorageError) and getattr(cause, "errno", None) in _FATAL:
                raise
            self._report(entry.path, str(error))

    def _report(self, path: str, reason: str) -> None:
        self.problems.append(Problem(printable(path), reason))


_WRITTEN = ("create", "replace", "conflict")


def _creates(step: Step) -> bool:
    return step.action == "create" and not step.refusal


def _describe(place: str, entry: Entry) -> None:
    if sys.platform == "win32" and entry.kind == "folder":
        os.utime(place, ns=(entry.mtime_ns, entry.mtime_ns))
        return
    os.chmod(place, entry.mode)  # noqa: PTH101
    os.utime(place, ns=(entry.mtime_ns, entry.mtime_ns))


def _temporary() -> str:
    return f".{secrets.token_hex(8)}{TEMPORARY_SUFFIX}"

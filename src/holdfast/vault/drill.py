"""The drill: a whole recovery into a scratch folder, and every part of it looked at.

A sampled restore shows that the vault gives files back; a drill shows that all of the snapshot
comes back, that its databases are sound, and, by `look`, that its stores open.
"""

import os
import shutil
import sqlite3
import stat
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing
from pathlib import Path

from holdfast.durable.files import TEMPORARY_SUFFIX, make_folder, remove_tree, sweep_temporary
from holdfast.durable.names import long_path
from holdfast.durable.points import unrecorded
from holdfast.errors import StorageError
from holdfast.vault.chunks import ChunkReader
from holdfast.vault.coverage import HOME
from holdfast.vault.entries import Entry, Root, printable
from holdfast.vault.failing import visit
from holdfast.vault.index import Index
from holdfast.vault.plan import Planner
from holdfast.vault.proof import record_drill
from holdfast.vault.reports import DrilledStore, DrillReport, Finding, Progress
from holdfast.vault.repository import Repository
from holdfast.vault.restore import Restorer
from holdfast.vault.snapshots import Snapshot

Look = Callable[[Path], list[DrilledStore]]
"""Opens the stores of a restored workspace, and says of each what it holds."""

_TELL_EVERY = 64  # files
_TIME_NS = 2_000_000_000  # the coarsest times of a file system (FAT)
_SPARE = 1.05  # of the content's size: folders and the ends of files take space too


def drill(
    repository: Repository,
    identity: str,
    *,
    scratch: Path | None = None,
    look: Look | None = None,
    progress: Progress | None = None,
) -> DrillReport:
    """Recover the snapshot `identity` into a scratch folder; see `Vault.drill`."""
    began = time.monotonic()
    repository.sealing.require_key()
    place = scratch or repository.scratch
    make_folder(place, private=True)
    sweep_temporary(place, older_than=86_400)
    snapshot = Snapshot(repository, identity)
    size = snapshot.header.totals.size
    free = shutil.disk_usage(long_path(place)).free
    if free < size * _SPARE:
        raise StorageError(
            f"a drill needs {size:,} bytes, and there are {free:,} left",
            path=place,
            hint="name a folder on another disk with --scratch",
        )
    # By its name, what a drill that was killed leaves is swept away later.
    folder = Path(tempfile.mkdtemp(TEMPORARY_SUFFIX, ".drill-", long_path(place)))
    try:
        work = _Drill(repository, snapshot, folder, progress)
        work.recover()
        stores = [] if look is None else look(work.workspace)
    finally:
        remove_tree(folder)
    findings = work.findings + [
        Finding(work.where, f"the {store.name} do not open: {store.problem}", identity)
        for store in stores
        if store.problem
    ]
    report = DrillReport(
        snapshot=identity,
        files=work.files,
        size=work.size,
        databases=work.databases,
        stores=stores,
        findings=findings,
        seconds=time.monotonic() - began,
    )
    if report.healthy:
        record_drill(repository, report)
    return report


class _Drill:
    """One recovery; `findings` is all that did not come back as it was."""

    def __init__(
        self, repository: Repository, snapshot: Snapshot, folder: Path, progress: Progress | None
    ) -> None:
        self.where = repository.snapshot_name(snapshot.id)
        self.workspace = folder / "0"
        self.findings: list[Finding] = []
        self.files = self.size = self.databases = 0
        self._repository = repository
        self._snapshot = snapshot
        self._folder = folder
        self._progress = progress
        self._expected = 2 * snapshot.header.totals.size  # written once and read once

    def recover(self) -> None:
        """Restore everything, and compare everything."""
        entries = [entry for entry in self._snapshot.entries() if entry.kind != "excluded"]
        index = Index()
        index.load(self._repository)
        with ChunkReader(self._repository, index) as reader:
            for number, root in enumerate(self._snapshot.header.roots):
                part = [entry for entry in entries if entry.root == number]
                self._recover(reader, root, part, self._folder / str(number))

    def _recover(
        self, reader: ChunkReader, root: Root, entries: Sequence[Entry], target: Path
    ) -> None:
        done = self.size

        def tell(files: int, size: int, _: int) -> None:
            if self._progress is not None:
                self._progress(self.files + files, 2 * done + size, self._expected)

        restorer = Restorer(reader, target, progress=tell)
        with unrecorded():
            restorer.carry_out(restorer.plan(entries))
        visit("vault.drill.restored", target, "go on with the drill")
        before = "~/" if root.name == HOME else ""
        failed = set()
        for problem in restorer.problems:
            failed.add(problem.path)
            self._report(before + problem.path, problem.reason)
        restored = 2 * done + sum(entry.size for entry in entries)
        checker = _Checker(target, reader)
        for entry in entries:
            path = printable(entry.path)
            if path in failed:
                continue
            for wrong in checker.differences(entry):
                self._report(before + path, wrong)
            if entry.kind == "file":
                self._count(entry, restored + self.size - done)

    def _count(self, entry: Entry, bytes_done: int) -> None:
        self.files += 1
        self.size += entry.size
        self.databases += entry.capture == "sqlite"
        if self._progress is not None and self.files % _TELL_EVERY == 0:
            self._progress(self.files, bytes_done, self._expected)

    def _report(self, path: str, problem: str) -> None:
        self.findings.append(Finding(self.where, problem, self._snapshot.id, path))


class _Checker:
    """Compares what was restored below `target` with the snapshot's entries."""

    def __init__(self, target: Path, reader: ChunkReader) -> None:
        self._planner = Planner(target, reader.index, 0, reader.repository.sealing.matches)
        self._twins: dict[str, int] = {}

    def differences(self, entry: Entry) -> Iterator[str]:
        """What is not as `entry` says."""
        if entry.kind in ("fifo", "socket", "device"):
            return
        found = self._planner.look(entry.path)
        if found is None:
            yield "it was not restored"
            return
        if entry.kind == "link":
            if os.readlink(self._planner.place(entry.path)) != entry.target:  # noqa: PTH115
                yield "the link points elsewhere"
            return
        if sys.platform != "win32" and stat.S_IMODE(found.st_mode) != entry.mode:
            yield f"its mode is {stat.S_IMODE(found.st_mode):o} instead of {entry.mode:o}"
        if abs(found.st_mtime_ns - entry.mtime_ns) > _TIME_NS:
            yield "its time is another"
        if entry.kind == "file":
            yield from self._content(entry, found)

    def _content(self, entry: Entry, found: os.stat_result) -> Iterator[str]:
        if found.st_size != entry.size:
            yield f"it has {found.st_size} bytes instead of {entry.size}"
        elif not self._planner.same_content(entry, found):
            yield "its bytes are others"
        elif entry.capture == "sqlite" and (wrong := _unsound(self._planner.place(entry.path))):
            yield f"the database is unsound: {wrong}"
        if entry.hard_link is not None:
            first = self._twins.setdefault(entry.hard_link, found.st_ino)
            if first != found.st_ino:
                yield "it is no hard link to its twin any more"


def _unsound(database: str) -> str | None:
    """What SQLite's whole integrity check says, if anything."""
    try:
        with closing(sqlite3.connect(database)) as connection:
            answer = str(connection.execute("PRAGMA integrity_check(3)").fetchone()[0])
    except sqlite3.Error as error:
        answer = str(error)
    return None if answer == "ok" else answer

"""Proof: a sample of a snapshot restored into a scratch folder and compared byte for byte."""

import os
import sqlite3
import tempfile
from collections.abc import Sequence
from contextlib import closing
from datetime import UTC, datetime
from pathlib import Path
from typing import Literal

from blake3 import blake3

from holdfast.durable.documents import convert, read_document, write_document
from holdfast.durable.files import TEMPORARY_SUFFIX, make_folder, remove_tree
from holdfast.durable.names import long_path
from holdfast.durable.points import unrecorded
from holdfast.vault.chunks import ChunkReader
from holdfast.vault.entries import Entry, Root, printable
from holdfast.vault.index import Index
from holdfast.vault.reports import DrillReport, Finding, Proof
from holdfast.vault.repository import Repository
from holdfast.vault.restore import Restorer

_BLOCK = 1 << 20
DRILL = ".drill.json"
"""How the names of drills' proofs end."""


def prove(
    repository: Repository,
    index: Index,
    snapshot: str,
    sample: Sequence[tuple[Entry, bool]],
    roots: Sequence[Root],
    stores: Sequence[str] = (),
) -> tuple[Proof | None, list[Finding]]:
    """Restore `sample` and compare it; the proof is recorded if all is right.

    An entry marked True is also compared with the file below its root, if that is as it was when
    the snapshot was taken. Every restored file is compared with its hashes, and every database is
    checked by SQLite.
    """
    if repository.keys is not None and not repository.keys.opens():
        return _prove_sealed(repository, index, snapshot, [entry for entry, _ in sample])
    make_folder(repository.scratch, private=True)
    scratch = Path(tempfile.mkdtemp(TEMPORARY_SUFFIX, ".proof-", repository.scratch))
    try:
        with ChunkReader(repository, index) as reader:
            findings = []
            for number, root in enumerate(roots):
                part = [chosen for chosen in sample if chosen[0].root == number]
                findings += _restore(reader, snapshot, part, root, scratch / str(number))
    finally:
        remove_tree(scratch)
    if findings:
        return None, findings
    entries = [entry for entry, _ in sample]
    return record(repository, snapshot, entries, full=False, stores=stores), []


def _prove_sealed(
    repository: Repository, index: Index, snapshot: str, sample: Sequence[Entry]
) -> tuple[Proof | None, list[Finding]]:
    """Without the key: the packs of the sample are on the disk as they were written."""
    packs = set()
    for entry in sample:
        for chunk in entry.chunks:
            place = index.place(chunk)
            if place is None:
                problem = f"its chunk {chunk[:16]} is in no readable pack"
                return None, [Finding(repository.snapshot_name(snapshot), problem, snapshot)]
            packs.add(index.frames[place.frame].pack)
    wrong = "its content does not match its name"
    findings = [
        Finding(repository.pack_name(pack), wrong, snapshot)
        for pack in sorted(packs)
        if hash_of(repository.pack_path(pack)) != pack
    ]
    size = sum(entry.size for entry in sample)
    proof = Proof(snapshot, datetime.now(UTC), "sealed", len(sample), size)
    return (None if findings else proof), findings


def hash_of(path: Path) -> str | None:
    """The BLAKE3 of a file; None when it cannot be read."""
    state = blake3()
    try:
        with long_path(path).open("rb") as file:
            while block := file.read(_BLOCK):
                state.update(block)
    except OSError:
        return None
    return state.hexdigest()


def record(
    repository: Repository,
    snapshot: str,
    entries: Sequence[Entry],
    *,
    full: bool,
    stores: Sequence[str] = (),
) -> Proof:
    """Note that `snapshot` was checked just now by restoring `entries`."""
    size = sum(entry.size for entry in entries)
    how: Literal["full", "sample"] = "full" if full else "sample"
    inside = [f"{entry.path}/" for entry in entries if entry.root == 0]
    # Names of files would be in clear, also in an encrypted vault; those of stores tell nothing.
    paths = [store for store in stores if any(path.startswith(f"{store}/") for path in inside)]
    proof = Proof(snapshot, datetime.now(UTC), how, len(entries), size, paths)
    make_folder(repository.proofs, private=True)
    # Losing it in a power cut costs the next proof, which is not far: it is not worth an fsync.
    path = repository.proofs / f"{snapshot}.json"
    write_document(path, proof, mode=0o600, durability="process")
    return proof


def record_drill(repository: Repository, report: DrillReport) -> Proof:
    """Note that all of a snapshot came back; the note stays when the snapshot is gone."""
    when = datetime.now(UTC)
    proof = Proof(report.snapshot, when, "drill", report.files, report.size)
    make_folder(repository.proofs, private=True)
    path = repository.proofs / f"{when:%Y%m%d-%H%M%S}-{report.snapshot[:16]}{DRILL}"
    write_document(path, proof, mode=0o600)
    return proof


def proofs(repository: Repository) -> list[Proof]:
    """All that is known of checks that passed, oldest first. Raises `UnreadableError`."""
    if not repository.proofs.is_dir():
        return []
    found = [convert(read_document(path), Proof) for path in repository.proofs.glob("*.json")]
    return sorted(found, key=lambda proof: proof.proven_at)


def last_proof(repository: Repository, snapshot: str | None = None) -> Proof | None:
    """The newest proof, of `snapshot` or of any. Raises `UnreadableError`."""
    known = [proof for proof in proofs(repository) if snapshot in (None, proof.snapshot)]
    return known[-1] if known else None


def _restore(
    reader: ChunkReader,
    snapshot: str,
    sample: Sequence[tuple[Entry, bool]],
    root: Root,
    scratch: Path,
) -> list[Finding]:
    where = reader.repository.snapshot_name(snapshot)
    restorer = Restorer(reader, scratch)
    with unrecorded():
        restorer.carry_out(restorer.plan([entry for entry, _ in sample]))
    problems = [(problem.path, problem.reason) for problem in restorer.problems]
    failed = {path for path, _ in problems}
    for entry, compare in sample:
        if printable(entry.path) in failed:
            continue
        source = Path(root.path) / entry.path if compare else None
        problem = _difference(entry, long_path(scratch) / entry.path, source)
        if problem is not None:
            problems.append((printable(entry.path), problem))
    return [Finding(where, reason, snapshot, path) for path, reason in problems]


def _difference(entry: Entry, restored: Path, source: Path | None) -> str | None:
    if restored.stat().st_size != entry.size:
        return f"restored {restored.stat().st_size} bytes instead of {entry.size}"
    if entry.capture == "sqlite":
        return unsound(restored)
    if source is not None and _as_captured(entry, source) and not _equal(restored, source):
        # Only damage if the source did not change while it was compared.
        return "restored bytes differ from the file" if _as_captured(entry, source) else None
    return None


def _as_captured(entry: Entry, source: Path) -> bool:
    try:
        status = os.lstat(long_path(source))
    except OSError:
        return False
    now = (status.st_size, status.st_mtime_ns, status.st_ctime_ns, status.st_ino)
    return now == entry.on_disk


def _equal(first: Path, second: Path) -> bool:
    try:
        with first.open("rb") as one, long_path(second).open("rb") as other:
            while block := one.read(_BLOCK):
                if other.read(_BLOCK) != block:
                    return False
            return not other.read(1)
    except OSError:
        return True  # the source cannot be read any more: nothing to compare with


def unsound(database: Path) -> str | None:
    """What SQLite finds wrong with a restored database."""
    try:
        with closing(sqlite3.connect(database)) as connection:
            answer = str(connection.execute("PRAGMA quick_check(1)").fetchone()[0])
    except sqlite3.Error as error:
        answer = str(error)
    return None if answer == "ok" else f"the restored database is unsound: {answer}"

"""Verification: is everything there, is it right, and does it come back."""

import random
from collections import defaultdict
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor

from holdfast.errors import HoldfastError, LockedError, NewerFormatError
from holdfast.vault.chunks import ChunkReader
from holdfast.vault.coverage import shown
from holdfast.vault.entries import Entry
from holdfast.vault.index import Index
from holdfast.vault.proof import hash_of, last_proof, prove, record
from holdfast.vault.records import check_records
from holdfast.vault.reports import Finding, Progress, VerifyReport
from holdfast.vault.repository import Repository
from holdfast.vault.snapshots import Snapshot

_SAMPLE = 20  # files restored per snapshot
_NAMED = 50  # damaged paths named per snapshot; the rest is counted


def verify(
    repository: Repository,
    identities: Sequence[str],
    *,
    full: bool,
    stores: Sequence[str] = (),
    progress: Progress | None = None,
) -> VerifyReport:
    """Check the snapshots `identities`; see `Vault.verify`."""
    repository.sealing.require_key()
    index = Index()
    index.load(repository)
    findings = list(index.findings)
    damaged: set[str] = set()
    packs = repository.pack_sizes()
    if full:
        findings += _check_packs(repository, index, packs, damaged, progress)
        findings += check_records(repository)
    restored = 0
    for identity in identities:
        try:
            files, wrong = _check_snapshot(repository, index, identity, damaged, stores, full=full)
        except (NewerFormatError, LockedError):
            raise
        except HoldfastError as error:
            where = repository.snapshot_name(identity)
            findings.append(Finding(where, error.message, identity))
            continue
        restored += files
        findings += wrong
    return VerifyReport(len(identities), len(packs), restored, full, findings)


def _check_snapshot(
    repository: Repository,
    index: Index,
    identity: str,
    damaged: set[str],
    stores: Sequence[str],
    *,
    full: bool,
) -> tuple[int, list[Finding]]:
    """How many files were restored, and what is wrong; a file of each of `stores` is restored."""
    snapshot = Snapshot(repository, identity)
    earlier = last_proof(repository, identity)  # the new proof takes its place
    stores = sorted({*stores, *(earlier.paths if earlier is not None else ())})
    of_stores: dict[str, Entry] = {}
    where = repository.snapshot_name(identity)
    findings: list[Finding] = []
    sample: list[Entry] = []
    files = more = 0
    for entry in snapshot.entries():
        if entry.kind != "file":
            continue
        problem = _missing(repository, entry, index, damaged)
        if problem is not None:
            if len(findings) < _NAMED:
                path = shown(entry, snapshot.header.roots)
                findings.append(Finding(where, problem, identity, path))
            else:
                more += 1
            continue
        files += 1
        if entry.root == 0:
            _offer(entry, stores, of_stores)
        at = len(sample) if len(sample) < _SAMPLE else int(random.random() * files)  # noqa: S311
        if at < _SAMPLE:
            sample[at : at + 1] = [entry]
    if more:
        findings.append(Finding(where, f"{more} more files are damaged", identity))
    chosen = {(entry.root, entry.path) for entry in sample}
    sample += [each for each in of_stores.values() if (0, each.path) not in chosen]
    compared = [(entry, True) for entry in sample]
    proof, wrong = prove(repository, index, identity, compared, snapshot.header.roots, stores)
    if full and proof is not None and not findings:
        record(repository, identity, sample, full=True, stores=stores)
    return len(sample), findings + wrong


def _offer(entry: Entry, stores: Sequence[str], chosen: dict[str, Entry]) -> None:
    """Choose `entry` for its store if it is the smallest of it that holds anything."""
    for store in stores:
        if entry.size and f"{entry.path}/".startswith(f"{store}/"):
            known = chosen.get(store)
            if known is None or entry.size < known.size:
                chosen[store] = entry


def _missing(repository: Repository, entry: Entry, index: Index, damaged: set[str]) -> str | None:
    size = 0
    for chunk in entry.chunks:
        place = index.place(chunk)
        if place is None:
            return f"its chunk {chunk[:16]} is in no readable pack"
        if chunk in damaged:
            pack = index.frames[place.frame].pack
            return f"its chunk {chunk[:16]} is damaged in {repository.pack_name(pack)}"
        size += place.length
    return None if size == entry.size else f"its chunks have {size} bytes instead of {entry.size}"


def _check_packs(
    repository: Repository,
    index: Index,
    packs: dict[str, int],
    damaged: set[str],
    progress: Progress | None,
) -> Iterator[Finding]:
    """Read every byte of every pack: the file against its name, each chunk against its id."""
    chunks: defaultdict[int, list[str]] = defaultdict(list)
    for chunk in index.chunks():
        place = index.place(chunk)
        assert place is not None
        chunks[place.frame].append(chunk)
    frames: defaultdict[str, list[int]] = defaultdict(list)
    for number, frame in enumerate(index.frames):
        frames[frame.pack].append(number)
    done = size = 0
    whole_size = sum(packs.values())
    with ChunkReader(repository, index) as reader, ThreadPoolExecutor(2) as pool:

        def check(pack: str) -> tuple[list[str], Finding | None]:
            return _check_pack(repository, reader, pack, frames[pack], chunks)

        for pack, (bad, finding) in zip(sorted(packs), pool.map(check, sorted(packs)), strict=True):
            damaged.update(bad)
            done, size = done + 1, size + packs[pack]
            if progress is not None:
                progress(done, size, whole_size)
            if finding is not None:
                yield finding


def _check_pack(
    repository: Repository,
    reader: ChunkReader,
    pack: str,
    frames: list[int],
    chunks: dict[int, list[str]],
) -> tuple[list[str], Finding | None]:
    path = repository.pack_path(pack)
    bad = []
    problems: dict[str, None] = {}
    if hash_of(path) != pack:
        problems["its content does not match its name"] = None
    for number in frames:
        for chunk in chunks.get(number, ()):
            try:
                reader.read(chunk)
            except HoldfastError as error:
                bad.append(chunk)
                problems[error.message] = None
    if not problems:
        return bad, None
    text = "; ".join(problems)
    if bad:
        text += f"; {len(bad)} chunks cannot be read"
    return bad, Finding(repository.relative(path), text)

"""One run on the disk: its document, its journal, and what this process remembers of both.

A step is one line appended to the journal, so its cost does not depend on how many there are. When
the journal has outgrown the document it is folded in, which doubles the document, so that all
folding together costs a constant per step. Whatever else changes (owner, status, signals, the end)
is folded in at once: the document always tells the state of the run.

All methods but the reading ones are called under the run's lock.
"""

import secrets
from pathlib import Path

from holdfast.durable.faults import fault_point
from holdfast.durable.files import Durability, remove, write_atomic
from holdfast.durable.journal import JournalWriter
from holdfast.durable.names import long_path
from holdfast.errors import NotFoundError, StorageError, storage_errors
from holdfast.workflows.store import RunRow
from holdfast.workflows.stores.json import document
from holdfast.workflows.stores.json.document import State

_LEAST_FOLD = 256 << 10  # bytes of journal below which nothing is folded in
_TOKEN = 8  # hexadecimal digits in a journal's name

Identity = tuple[int, int, int]


class Places:
    """Where the parts of a store are."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.journals = folder / "journals"
        self.owners = folder / "owners"
        self.blobs = folder / "blobs"
        self.notes = folder / "notes"
        self.locks = folder / "locks"

    def run(self, run_id: str) -> Path:
        return self.folder / f"{run_id}.json"

    def journal(self, run_id: str, token: str) -> Path:
        return self.journals / f"{run_id}.{token}.jsonl"


def identity_of(path: Path) -> Identity | None:
    """Which content `path` has, as far as the system tells without reading; None when missing."""
    try:
        status = long_path(path).stat()
    except FileNotFoundError:
        return None
    return status.st_ino, status.st_size, status.st_mtime_ns


def read_state(places: Places, run_id: str) -> State:
    """All of a run, also while others write it.

    Raises `NotFoundError`, `UnreadableError`, `CorruptError`, `NewerFormatError`.
    """
    path = places.run(run_id)
    before = identity_of(path)
    while True:
        state = document.read_document(path, run_id)
        if state.journal is None:
            return state
        try:
            document.read_journal(places.journal(run_id, state.journal), state)
        except NotFoundError as error:
            now = identity_of(path)
            if now == before:  # nobody folded it in meanwhile
                raise document.journal_is_gone(path, error) from error
            before = now
            continue
        return state


class RunFile:
    """An unfinished run that this process appends to."""

    def __init__(self, places: Places, run_id: str, durability: Durability) -> None:
        self._places = places
        self._path = places.run(run_id)
        self._durability = durability
        state = read_state(places, run_id)
        self.row = state.row
        self._identity = identity_of(self._path)
        self._taken = _Positions(state.steps)
        self._blobs = state.blobs
        self._token = state.journal
        self._grown = 0
        self._writer: JournalWriter | None = None
        _remove_orphans(places, run_id, state.journal)

    def is_current(self) -> bool:
        """Whether nobody else has written the run since this was read."""
        # Of two documents one may have the inode and the time of the other; a journal's name is
        # never used again.
        return self._identity == identity_of(self._path) and (
            self._token is None
            or identity_of(self._places.journal(self.row.id, self._token)) is not None
        )

    def append_step(self, position: int, body: bytes) -> bool:
        """Record a step; False when the position is taken."""
        if position in self._taken:
            return False
        entry = document.StepEntry(position, document.wrap(body))
        self._append(document.encode_line(entry))
        self._taken.add(position)
        return True

    def append_blob(self, digest: str) -> None:
        """Note that the run uses a blob."""
        if digest not in self._blobs:
            self._append(document.encode_line(document.BlobEntry(digest)))
            self._blobs.add(digest)

    def rewrite(
        self, row: RunRow, *, signal: bytes | None = None, drop: frozenset[int] = frozenset()
    ) -> None:
        """Fold the journal in and change the row; add a signal; drop steps."""
        state = read_state(self._places, row.id)
        state.row = row
        if signal is not None:
            state.signals.append(signal)
        for position in drop:
            state.steps.pop(position, None)
        self.close()
        publish(self._places, state, self._durability)
        self.row = row
        self._token = state.journal
        self._identity = identity_of(self._path)
        self._taken = _Positions(state.steps)
        self._grown = 0

    def close(self) -> None:
        """Close the journal."""
        if self._writer is not None:
            self._writer.close()
            self._writer = None

    def _append(self, record: bytes) -> None:
        if self._grown > max(_LEAST_FOLD, self._identity[1] if self._identity else 0):
            self.rewrite(self.row)
        if self._writer is None:
            if self._token is None:
                raise StorageError("a finished run has no journal", path=self._path)
            path = self._places.journal(self.row.id, self._token)
            self._writer = JournalWriter(path, durability=self._durability)
        self._writer.append(record)
        self._grown += len(record)


def publish(
    places: Places, state: State, durability: Durability, *, exclusive: bool = False
) -> None:
    """Write the document, beginning a new journal if the run is unfinished.

    With `exclusive` an existing document raises `ConflictError`.
    """
    run_id, before = state.row.id, state.journal
    state.journal = None
    if state.row.finished is None:
        state.journal = secrets.token_hex(_TOKEN // 2)
        JournalWriter(places.journal(run_id, state.journal), durability=durability).close()
    fault_point("workflow.document.journal")
    try:
        write_atomic(
            places.run(run_id), document.encode(state), durability=durability, exclusive=exclusive
        )
    except BaseException:
        _remove_orphans(places, run_id, before)
        raise
    fault_point("workflow.document.written")
    if before is not None:
        _remove_quietly(places.journal(run_id, before))


def remove_run(places: Places, run_id: str) -> None:
    """Remove a finished run's document and whatever is left of its journals."""
    remove(places.run(run_id))
    _remove_orphans(places, run_id, None)


def _remove_orphans(places: Places, run_id: str, current: str | None) -> None:
    """Remove the journals that a crash left between a new document and their removal."""
    with storage_errors(places.journals, "list the folder"):
        names = [path.name for path in long_path(places.journals).iterdir()]
    length = len(run_id) + 1 + _TOKEN + len(".jsonl")
    for name in names:
        if name.startswith(f"{run_id}.") and len(name) == length:
            token = name[len(run_id) + 1 : -len(".jsonl")]
            if "." not in token and token != current:
                _remove_quietly(places.journals / name)


def _remove_quietly(path: Path) -> None:
    try:
        remove(path)
    except StorageError:
        return  # open in another process on Windows; whoever reads the run next removes it


class _Positions:
    """The positions of recorded steps: mostly 1 to n, so they take no room of their own."""

    def __init__(self, positions: "dict[int, bytes]") -> None:
        self._reached = 0
        self._beyond: set[int] = set()
        for position in sorted(positions):
            self.add(position)

    def __contains__(self, position: int) -> bool:
        return 1 <= position <= self._reached or position in self._beyond

    def add(self, position: int) -> None:
        self._beyond.add(position)
        while self._reached + 1 in self._beyond:
            self._reached += 1
            self._beyond.discard(self._reached)

"""``json:///dir``: workflow state as JSON snapshots, one readable document a run.

::

    <dir>/
        <run id>.json                the run: state, input, steps, signals, outcome
        journals/<run id>.<x>.jsonl  the steps of an unfinished run since its document was written
        blobs/<sha256>               large results, once however many runs have them
        owners/<owner>               who executes runs, with a heartbeat
    notes/<name>.json            what all processes share of limits and schedules
        locks/                       between processes; `serial` is the last run's number

A document that is torn, newer or wrongly edited is an error with its path and line, for that run
alone. Where several locks are needed the order is blobs, creation, run.
"""

import time
from collections import Counter
from collections.abc import Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from heapq import nsmallest
from itertools import islice
from pathlib import Path
from zlib import crc32

from holdfast.durable.appending import AppendFile
from holdfast.durable.files import (
    Durability,
    is_temporary,
    make_folder,
    read_bytes,
    remove,
    sweep_temporary,
    write_atomic,
)
from holdfast.durable.locks import QuickLock
from holdfast.durable.names import long_path
from holdfast.errors import (
    ConflictError,
    HoldfastError,
    NotFoundError,
    storage_errors,
)
from holdfast.workflows.store import RunRow, is_ready, urgency
from holdfast.workflows.stores.json.document import State, read_document
from holdfast.workflows.stores.json.run_file import (
    Identity,
    Places,
    RunFile,
    identity_of,
    publish,
    read_state,
    remove_run,
)

_STRIPES = 16
_KEPT_ROWS = 20_000
_LONGEST_SERIALS = 1 << 20  # bytes
_SAME_TICK = 100_000_000  # nanoseconds


class JsonStore:
    """See `holdfast.workflows.store.WorkflowStore`. Many processes may open the same folder."""

    shared_by_hosts = False

    def __init__(self, folder: Path, *, durability: Durability = "process") -> None:
        self._places = Places(folder)
        self._durability = durability
        for place in (self._places.journals, self._places.owners, self._places.blobs):
            make_folder(place, durability=durability)
            sweep_temporary(place)
        sweep_temporary(folder)
        locks = self._places.locks
        self._creating = QuickLock(locks / "create.lock")
        self._blobs = QuickLock(locks / "blobs.lock")
        self._stripes = [QuickLock(locks / f"runs-{n:02}.lock") for n in range(_STRIPES)]
        self._serials = AppendFile(locks / "serial", create=True)
        self._files: dict[str, RunFile] = {}
        self._rows: dict[str, tuple[Identity, RunRow]] = {}
        self._put: set[int] = set()  # the serials that are taken when `_last_put` is the last one
        self._last_put = -1
        self._last: tuple[tuple[Identity | None, ...], State] | None = None

    def create_run(self, run: RunRow, *, fork: tuple[str, int] | None = None) -> RunRow | None:
        state = State(run)
        if fork is not None:
            with suppress(NotFoundError):
                state = read_state(self._places, fork[0])
                state.steps = {at: body for at, body in state.steps.items() if at < fork[1]}
        state.journal = None
        with self._creating:
            if identity_of(self._places.run(run.id)) is not None:
                return self._present(run.id)
            serial = self._next_serial()
            state.row = run._replace(serial=serial, signals=len(state.signals))
            with self._lock(run.id):
                publish(self._places, state, self._durability, exclusive=True)
        return None

    def read_run(self, run_id: str) -> RunRow | None:
        path = self._places.run(run_id)
        identity = identity_of(path)
        if identity is None:
            return None
        kept = self._rows.get(run_id)
        if kept is not None and kept[0] == identity:
            return kept[1]
        try:
            row = read_document(path, run_id).row
        except NotFoundError:
            return None
        self._keep(run_id, identity, row)
        return row

    def list_runs(
        self,
        *,
        status: str | None = None,
        name: str | None = None,
        unfinished: bool = False,
        since: int | None = None,
        until: int | None = None,
        containing: bytes | None = None,
        before: int | None = None,
        limit: int = 100,
    ) -> list[RunRow]:
        rows = sorted(self._all_rows(), key=lambda run: run.serial, reverse=True)
        fitting = (
            run
            for run in rows
            if (status is None or run.status == status)
            and (name is None or run.name == name)
            and (not unfinished or run.finished is None)
            and (since is None or run.created >= since)
            and (until is None or run.created < until)
            and (containing is None or containing in run.body)
            and (before is None or run.serial < before)
        )
        return list(islice(fitting, limit))

    def ready_runs(self, *, now: int, limit: int) -> list[RunRow]:
        return nsmallest(limit, (r for r in self._all_rows() if is_ready(r, now)), key=urgency)

    def count_runs(self) -> Mapping[str, int]:
        return Counter(run.status for run in self._all_rows())

    def claim_run(
        self,
        run_id: str,
        *,
        epoch: int,
        owner: str | None,
        status: str = "running",
        due: int | None = None,
        signals: int | None = None,
    ) -> bool:
        with self._held(run_id, epoch) as file:
            if file is None or signals not in (None, file.row.signals):
                return False
            file.rewrite(file.row._replace(owner=owner, epoch=epoch + 1, status=status, due=due))
            return True

    def record_step(self, run_id: str, *, epoch: int, position: int, body: bytes) -> bool:
        with self._held(run_id, epoch) as file:
            return file is not None and file.append_step(position, body)

    def read_steps(self, run_id: str, *, after: int, limit: int) -> Sequence[tuple[int, bytes]]:
        state = self._read_for_paging(run_id)
        if state is None:
            return []
        positions = sorted(at for at in state.steps if at > after)
        if len(positions) <= limit:
            self._last = None
        return [(at, state.steps[at]) for at in positions[:limit]]

    def finish_run(
        self, run_id: str, *, epoch: int, status: str, outcome: bytes, finished: int
    ) -> bool:
        with self._held(run_id, epoch) as file:
            if file is None:
                return False
            file.rewrite(
                file.row._replace(owner=None, status=status, outcome=outcome, finished=finished)
            )
            self._forget(run_id)
            return True

    def reopen_run(self, run_id: str, *, epoch: int, status: str, drop: Sequence[int]) -> bool:
        with self._file(run_id) as file:
            if file is None or file.row.finished is None or file.row.epoch != epoch:
                return False
            row = file.row._replace(
                epoch=epoch + 1, status=status, finished=None, outcome=None, due=None
            )
            file.rewrite(row, drop=frozenset(drop))
            return True

    def add_signal(self, run_id: str, body: bytes) -> bool:
        with self._file(run_id) as file:
            if file is None or file.row.finished is not None:
                return False
            due = file.row.due if file.row.owner is not None else None
            row = file.row._replace(signals=file.row.signals + 1, due=due)
            file.rewrite(row, signal=body)
            return True

    def read_signals(self, run_id: str, *, after: int) -> Sequence[tuple[int, bytes]]:
        try:
            state = read_state(self._places, run_id)
        except NotFoundError:
            return []
        return list(enumerate(state.signals, start=1))[after:]

    def save_blob(self, run_id: str, digest: str, data: bytes) -> None:
        with self._blobs:
            path = self._places.blobs / digest
            if identity_of(path) is None:
                write_atomic(path, data, durability=self._durability)
            with self._file(run_id) as file:
                if file is not None and file.row.finished is None:
                    file.append_blob(digest)

    def read_blob(self, digest: str) -> bytes | None:
        try:
            return read_bytes(self._places.blobs / digest)
        except NotFoundError:
            return None

    def delete_runs(
        self, *, finished_before: int, limit: int, keep: Collection[str] = ()
    ) -> list[str]:
        old = sorted(
            (
                run
                for run in self._all_rows()
                if run.finished is not None
                and run.finished < finished_before
                and run.id not in keep
            ),
            key=lambda run: run.serial,
        )
        deleted = []
        for run in old[:limit]:
            with self._file(run.id) as file:
                if file is not None and file.row == run:
                    remove_run(self._places, run.id)
                    self._forget(run.id)
                    self._rows.pop(run.id, None)
                    deleted.append(run.id)
        if deleted:
            self._remove_unused_blobs()
        return deleted

    def save_owner(self, owner: str, body: bytes) -> None:
        write_atomic(self._places.owners / owner, body, durability="process")

    def read_owners(self) -> Mapping[str, bytes]:
        owners = {}
        for name in self._names(self._places.owners):
            with suppress(NotFoundError):  # it left meanwhile
                owners[name] = read_bytes(self._places.owners / name)
        return owners

    def remove_owner(self, owner: str) -> None:
        remove(self._places.owners / owner)

    def read_note(self, name: str) -> bytes | None:
        try:
            return read_bytes(self._places.notes / f"{name}.json")
        except NotFoundError:
            return None

    def swap_note(self, name: str, before: bytes | None, after: bytes) -> bool:
        with self._lock(name):
            if self.read_note(name) != before:
                return False
            make_folder(self._places.notes, durability=self._durability)
            path = self._places.notes / f"{name}.json"
            write_atomic(path, after, durability=self._durability)
            return True

    def put_run(
        self,
        run: RunRow,
        steps: Sequence[tuple[int, bytes]],
        signals: Sequence[tuple[int, bytes]],
        blobs: Collection[str],
    ) -> bool:
        state = State(run, dict(steps), [body for _, body in signals], set(blobs))
        with self._creating:
            if self._last_put != self._last_number():  # somebody else created runs
                self._put = {row.serial for row in self._all_rows()}
            if run.serial in self._put or identity_of(self._places.run(run.id)) is not None:
                return False
            if run.serial > self._last_number():
                self._write_number(run.serial)
            self._last_put = self._last_number()
            self._put.add(run.serial)
            with self._lock(run.id):
                publish(self._places, state, self._durability, exclusive=True)
        return True

    def note_names(self) -> list[str]:
        if identity_of(self._places.notes) is None:
            return []
        return sorted(name.removesuffix(".json") for name in self._names(self._places.notes))

    def close(self) -> None:
        for file in self._files.values():
            file.close()
        self._files.clear()
        self._serials.close()
        for lock in (self._creating, self._blobs, *self._stripes):
            lock.close()

    def _lock(self, run_id: str) -> QuickLock:
        return self._stripes[crc32(run_id.encode()) % _STRIPES]

    @contextmanager
    def _file(self, run_id: str) -> Iterator[RunFile | None]:
        """The run's file under its lock, as it is now; None when there is none."""
        with self._lock(run_id):
            file = self._files.get(run_id)
            if file is None or not file.is_current():
                self._forget(run_id)
                try:
                    file = RunFile(self._places, run_id, self._durability)
                except NotFoundError:
                    file = None
                if file is not None and file.row.finished is None:
                    self._files[run_id] = file
            try:
                yield file
            except BaseException:
                self._forget(run_id)  # what it remembers may be wrong now
                raise

    @contextmanager
    def _held(self, run_id: str, epoch: int) -> Iterator[RunFile | None]:
        """As `_file`, and None unless the run is unfinished and still has this epoch."""
        with self._file(run_id) as file:
            fits = file is not None and file.row.finished is None and file.row.epoch == epoch
            yield file if fits else None

    def _forget(self, run_id: str) -> None:
        file = self._files.pop(run_id, None)
        if file is not None:
            file.close()

    def _present(self, run_id: str) -> RunRow:
        row = self.read_run(run_id)
        if row is None:
            raise ConflictError(f"run {run_id} was deleted meanwhile", hint="start it again")
        return row

    def _next_serial(self) -> int:
        serial = self._last_number() + 1
        self._write_number(serial)
        return serial

    def _last_number(self) -> int:
        """The last number in the file ``locks/serial``, a number a line."""
        end = self._serials.size()
        lines = self._serials.read(max(0, end - 64), 64).split(b"\n")
        try:
            return int(lines[-2]) if end < _LONGEST_SERIALS else self._last_serial()
        except (IndexError, ValueError):  # new, lost or torn: the documents have the numbers
            return self._last_serial()

    def _write_number(self, serial: int) -> None:
        end = self._serials.size()
        if end >= _LONGEST_SERIALS or (end and self._serials.read(end - 1, 1) != b"\n"):
            self._serials.cut(0)
            end = 0
        self._serials.append(b"%d\n" % serial, end)

    def _last_serial(self) -> int:
        return max((run.serial for run in self._all_rows()), default=0)

    def _all_rows(self) -> Iterator[RunRow]:
        for name in self._names(self._places.folder):
            run_id, dot, suffix = name.rpartition(".")
            if dot and suffix == "json":
                row = self._row_or_damage(run_id)
                if row is not None:
                    yield row

    def _row_or_damage(self, run_id: str) -> RunRow | None:
        path = self._places.run(run_id)
        identity = identity_of(path)
        kept = self._rows.get(run_id)
        if identity is not None and kept is not None and kept[0] == identity:
            return kept[1]
        try:
            return self.read_run(run_id)
        except HoldfastError as error:
            return RunRow(run_id, "", "unreadable", 0, b"", damage=str(error))

    def _keep(self, run_id: str, identity: Identity, row: RunRow) -> None:
        """Remember the row, unless its document is so new that the next may look the same."""
        if time.time_ns() - identity[2] < _SAME_TICK:
            return
        if len(self._rows) >= _KEPT_ROWS:
            self._rows.clear()
        self._rows[run_id] = (identity, row)

    def _read_for_paging(self, run_id: str) -> State | None:
        """The run's state, remembered while its steps are read page by page."""
        last = self._last
        if last is not None and last[1].row.id == run_id and last[0] == self._version(last[1]):
            return last[1]
        try:
            state = read_state(self._places, run_id)
        except NotFoundError:
            return None
        self._last = (self._version(state), state)
        return state

    def _version(self, state: State) -> tuple[Identity | None, ...]:
        run_id, token = state.row.id, state.journal
        document = identity_of(self._places.run(run_id))
        if token is None:
            return (document,)
        return document, identity_of(self._places.journal(run_id, token))

    def _remove_unused_blobs(self) -> None:
        with self._blobs:
            used: set[str] = set()
            for run in self._all_rows():
                if run.damage is not None:
                    return  # what it uses is not known
                with suppress(NotFoundError):
                    used |= read_state(self._places, run.id).blobs
            for digest in set(self._names(self._places.blobs)) - used:
                remove(self._places.blobs / digest)

    def _names(self, folder: Path) -> list[str]:
        with storage_errors(folder, "list the folder"):
            names = [path.name for path in long_path(folder).iterdir()]
        return [name for name in names if not is_temporary(name)]

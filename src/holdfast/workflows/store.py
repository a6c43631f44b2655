"""What the workflow room asks of an engine: rows and opaque bytes, no policy.

A store keeps runs, their steps and the owners that execute them. Every method is safe to call from
many threads, and, on an engine that several processes can open, from many processes. A write has
reached the store's durability when its method returns.

`epoch` is a run's fencing token: each claim raises it by one, and a write that carries an older
one changes nothing and returns False. That is what keeps an owner that lost its lease, and does
not know it yet, from recording a step a second time.
"""

from collections.abc import Collection, Mapping, Sequence
from typing import NamedTuple, Protocol, cast

from holdfast.engines.outbox import Outbox


class RunRow(NamedTuple):
    """A run as stored. Times are whole milliseconds of the epoch (UTC).

    `serial` grows with every run of a store, so it orders and pages them. `body` and `outcome` are
    opaque. A run is unfinished as long as `finished` is None.

    An unfinished run without an `owner` may be taken up once `due` has come (None: at once), the
    highest `priority` first. `signals` is how many signals the run was ever sent. `damage` says why
    a run that is there cannot be read; of such a one only `id` means anything.
    """

    id: str
    name: str
    status: str
    created: int
    body: bytes
    owner: str | None = None
    epoch: int = 1
    finished: int | None = None
    outcome: bytes | None = None
    serial: int = 0
    due: int | None = None
    priority: int = 0
    signals: int = 0
    damage: str | None = None


def is_ready(run: RunRow, now: int) -> bool:
    """Whether `WorkflowStore.ready_runs` gives out the run."""
    unowned = run.finished is None and run.owner is None and run.damage is None
    return unowned and (run.due is None or run.due <= now)


def urgency(run: RunRow) -> tuple[int, int]:
    """The order of `WorkflowStore.ready_runs`."""
    return -run.priority, run.serial


class WorkflowStore(Protocol):
    """An engine of workflow state; `holdfast.testing.workflows` is the suite it has to pass."""

    @property
    def shared_by_hosts(self) -> bool:
        """Whether processes on other machines may use the same store."""
        ...

    def create_run(self, run: RunRow, *, fork: tuple[str, int] | None = None) -> RunRow | None:
        """Store a new run (its `serial` is given by the store) and return None.

        With `fork`, a run's id and a position, it begins with that run's steps below the position
        and with its signals.
        When the id is taken nothing changes and the run that has it is returned.
        """
        ...

    def read_run(self, run_id: str) -> RunRow | None:
        """The run, or None when there is none."""
        ...

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
        """At most `limit` runs, the newest first, with a `serial` below `before`.

        They were created at `since` or later and before `until`, and `containing` is in their body.
        """
        ...

    def ready_runs(self, *, now: int, limit: int) -> list[RunRow]:
        """At most `limit` unfinished runs without an owner that are due at `now`.

        The highest priority first, then the oldest.
        """
        ...

    def count_runs(self) -> Mapping[str, int]:
        """How many runs there are of each status."""
        ...

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
        """Give an unfinished run that still has `epoch` to `owner`, raising its epoch by one.

        With `signals`, only while the run was sent exactly that many.
        """
        ...

    def record_step(self, run_id: str, *, epoch: int, position: int, body: bytes) -> bool:
        """Store a step of an unfinished run that still has `epoch`; False when it has not, or
        when that position is taken."""
        ...

    def read_steps(self, run_id: str, *, after: int, limit: int) -> Sequence[tuple[int, bytes]]:
        """At most `limit` steps with a position above `after`, in order of position."""
        ...

    def finish_run(
        self, run_id: str, *, epoch: int, status: str, outcome: bytes, finished: int
    ) -> bool:
        """End an unfinished run that still has `epoch`; it then has no owner."""
        ...

    def reopen_run(self, run_id: str, *, epoch: int, status: str, drop: Sequence[int]) -> bool:
        """Make a finished run that still has `epoch` unfinished again, raising its epoch by one.

        It has no outcome and no owner then, and the steps at the positions `drop` are gone.
        """
        ...

    def add_signal(self, run_id: str, body: bytes) -> bool:
        """Send an unfinished run a signal, numbered from 1 on, and make it due at once if nobody
        owns it; False when there is no such unfinished run."""
        ...

    def read_signals(self, run_id: str, *, after: int) -> Sequence[tuple[int, bytes]]:
        """The signals with a number above `after`, in order."""
        ...

    def save_blob(self, run_id: str, digest: str, data: bytes) -> None:
        """Keep `data`, once however many runs have it, as long as one of these runs is there.

        A run that forks from one of them has it too.
        """
        ...

    def read_blob(self, digest: str) -> bytes | None:
        """The bytes that were kept under `digest`, or None."""
        ...

    def delete_runs(
        self, *, finished_before: int, limit: int, keep: Collection[str] = ()
    ) -> list[str]:
        """Delete at most `limit` runs that finished before then, save those in `keep`, with all
        that belongs to them; their ids."""
        ...

    def save_owner(self, owner: str, body: bytes) -> None:
        """Store or replace an owner."""
        ...

    def read_owners(self) -> Mapping[str, bytes]:
        """All owners."""
        ...

    def remove_owner(self, owner: str) -> None:
        """Forget an owner; a missing one is fine."""
        ...

    def read_note(self, name: str) -> bytes | None:
        """A small document that all who use the store share, or None."""
        ...

    def swap_note(self, name: str, before: bytes | None, after: bytes) -> bool:
        """Store the document `after` if it is still `before` (None: there is none)."""
        ...

    def close(self) -> None:
        """Give back what the store holds; it is not used afterwards."""
        ...


class TransactionalStore(WorkflowStore, Protocol):
    """A store in a database that other rooms may live in: their writes go in with its own."""

    @property
    def database(self) -> str:
        """The identity of that database; see `holdfast.engines.outbox`."""
        ...

    def create_run(
        self,
        run: RunRow,
        *,
        fork: tuple[str, int] | None = None,
        outbox: Outbox | None = None,
    ) -> RunRow | None:
        """As of every store; the writes of `outbox` are kept exactly when the run is created."""
        ...

    def deliver(self, outbox: Outbox) -> None:
        """Do the writes of `outbox` in a transaction of their own."""
        ...

    def record_step(
        self,
        run_id: str,
        *,
        epoch: int,
        position: int,
        body: bytes,
        outbox: Outbox | None = None,
    ) -> bool:
        """As of every store; the writes of `outbox` are kept exactly when the step is."""
        ...


class MovableStore(WorkflowStore, Protocol):
    """A store that can become the exact copy of another engine's."""

    def put_run(
        self,
        run: RunRow,
        steps: Sequence[tuple[int, bytes]],
        signals: Sequence[tuple[int, bytes]],
        blobs: Collection[str],
    ) -> bool:
        """Keep a run of another store as it is there, all of it or nothing; its blobs are saved.

        False, and nothing is kept, when its id or its serial is taken.
        """
        ...

    def note_names(self) -> list[str]:
        """The names of all notes, sorted."""
        ...


def movable(store: WorkflowStore) -> MovableStore | None:
    """The store, if it can become the copy of another."""
    return cast("MovableStore", store) if hasattr(store, "put_run") else None


def transactional(store: WorkflowStore) -> TransactionalStore | None:
    """The store, if it shares the transactions of its database."""
    return cast("TransactionalStore", store) if hasattr(store, "database") else None

"""What the workflow room asks of an engine: rows and opaque bytes, no policy.

A store keeps runs, their steps and the owners that execute them. Every method is safe to call from
many threads, and, on an engine that several processes can open, from many processes. A write has
reached the store's durability when its method returns.

`epoch` is a run's fencing token: each claim raises it by one, and a write that carries an older
one changes nothing and returns False. That is what keeps an owner that lost its lease, and does
not know it yet, from recording a step a second time.
"""

from collections.abc import Mapping, Sequence
from typing import NamedTuple, Protocol


class RunRow(NamedTuple):
    """A run as stored. Times are whole milliseconds of the epoch (UTC).

    `serial` grows with every run of a store, so it orders and pages them. `body` and `outcome` are
    opaque. A run is unfinished as long as `finished` is None.
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


class WorkflowStore(Protocol):
    """An engine of workflow state; `holdfast.testing.workflows` is the suite it has to pass."""

    @property
    def shared_by_hosts(self) -> bool:
        """Whether processes on other machines may use the same store."""
        ...

    def create_run(self, run: RunRow) -> RunRow | None:
        """Store a new run (its `serial` is given by the store) and return None.

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
        before: int | None = None,
        limit: int = 100,
    ) -> list[RunRow]:
        """At most `limit` runs, the newest first, with a `serial` below `before`."""
        ...

    def count_runs(self) -> Mapping[str, int]:
        """How many runs there are of each status."""
        ...

    def claim_run(self, run_id: str, *, epoch: int, owner: str | None) -> bool:
        """Give an unfinished run that still has `epoch` to `owner`, raising its epoch by one."""
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

    def delete_runs(self, *, finished_before: int, limit: int) -> list[str]:
        """Delete at most `limit` runs that finished before then, and their steps; their ids."""
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

    def close(self) -> None:
        """Give back what the store holds; it is not used afterwards."""
        ...

"""Looking at the runs of a store: one, many, their steps and outcomes, which are interrupted."""

import time
from collections.abc import Callable, Iterable, Iterator
from datetime import datetime
from typing import Any

import msgspec

from holdfast.errors import NotFoundError, RunError, UnreadableError
from holdfast.workflows.leases import Leases
from holdfast.workflows.records import (
    Failure,
    Outcome,
    RunInfo,
    Status,
    StepInfo,
    read_body,
    read_outcome,
    read_step,
    run_info,
    step_info,
    unreadable_info,
)
from holdfast.workflows.results import with_large_result, with_result
from holdfast.workflows.store import RunRow, WorkflowStore

_PAGE = 500

Runs = list[RunInfo]


class RunReader:
    """The reading side of `Workflows`."""

    def __init__(
        self, store: WorkflowStore, leases: Leases, running: Callable[[str], bool]
    ) -> None:
        self._store = store
        self._leases = leases
        self._running = running

    def get(self, run_id: str) -> RunInfo:
        """One run. Raises `NotFoundError`, `UnreadableError`."""
        row = self.row(run_id)
        return self._info(row, interrupted=bool(self.free([row])))

    def list(
        self,
        *,
        status: Status | None = None,
        name: str | None = None,
        since: datetime | None = None,
        until: datetime | None = None,
        text: str | None = None,
        limit: int = 100,
        before: int | None = None,
    ) -> "list[RunInfo]":
        """At most `limit` runs, newest first; go on with `before` = the last one's `serial`.

        They were started at `since` or later and before `until` (with time zones), and `text` is
        somewhere in their input, written as in JSON.
        """
        found: list[RunInfo] = []
        piece = None if text is None else msgspec.json.encode(text)[1:-1]
        while len(found) < limit:
            rows = self._store.list_runs(
                status=status,
                name=name,
                since=_milliseconds(since),
                until=_milliseconds(until),
                containing=piece,
                before=before,
                limit=limit,
            )
            free = self.free(rows)
            wanted = [r for r in rows if piece is None or piece in bytes(read_body(r).input)]
            found += [self._info(row, interrupted=row.id in free) for row in wanted]
            if len(rows) < limit:
                break
            before = rows[-1].serial
        return found[:limit]

    def prunable(self, *, older_than: float) -> Runs:
        """The runs that `Workflows.prune` would delete, newest first; without their results."""
        before = now_milliseconds() - int(older_than * 1000)
        awaited = self.awaited_children()
        return [
            run_info(row, interrupted=False, outcome=Outcome())
            for row in self._rows()
            if row.finished is not None and row.finished < before and row.id not in awaited
        ]

    def awaited_children(self) -> set[str]:
        """The finished runs whose parent has not finished: it may still ask for their results."""
        parents = {row.id for row in self._rows(unfinished=True)}
        if not parents:
            return set()
        children = (row for row in self._rows(containing=b'"parent":') if row.finished is not None)
        return {row.id for row in children if read_body(row).parent in parents}

    def count_by_status(self) -> dict[str, int]:
        """How many runs there are of each status; those that no status has are left out."""
        return dict(self._store.count_runs())

    def steps(self, run_id: str) -> Iterator[StepInfo]:
        """The finished steps of a run in the order they were called. Raises `NotFoundError`."""
        self.row(run_id)
        return self._steps(run_id)

    def settled(self, run_id: str) -> RunRow | None:
        """The stored run once it is finished, None while it is executed or waits.

        Raises `RunError` when it is interrupted, `NotFoundError`.
        """
        row = self.row(run_id)
        if row.finished is not None:
            return row
        if self.free([row]):
            raise RunError(
                f"run {run_id} was interrupted",
                hint=f"go on with it: holdfast workflows resume {run_id}",
            )
        return None

    def read_outcome(self, row: RunRow) -> Outcome:
        """How a finished run ended, with its large result. Raises `UnreadableError`."""
        if row.status == "cancelled":
            return Outcome(error=Failure("Cancelled", f"run {row.id} was cancelled", ""))
        return with_large_result(self._store, read_outcome(row))

    def row(self, run_id: str) -> RunRow:
        """The stored run. Raises `NotFoundError`, `UnreadableError`."""
        row = self._store.read_run(run_id)
        if row is None:
            raise NotFoundError(
                f"there is no run {run_id!r}", hint="list them with: holdfast workflows list"
            )
        if row.damage is not None:
            raise UnreadableError(row.damage)
        return row

    def free(self, rows: Iterable[RunRow]) -> set[str]:
        """The ids of those of `rows` that were interrupted: unfinished and executed by nobody.

        Each is read again at the end, as it may just have been finished by an owner that left.
        """
        idle = {
            row.id: row.owner
            for row in rows
            if row.finished is None
            and row.damage is None
            and not is_put_down(row)
            and not self._running(row.id)
        }
        owners = {owner for owner in idle.values() if owner is not None}
        free = self._leases.free_owners(owners) if owners else set()
        free.add(self._leases.owner)
        maybe = [run_id for run_id, owner in idle.items() if owner is None or owner in free]
        again = {run_id: self._store.read_run(run_id) for run_id in maybe}
        return {
            run_id
            for run_id, row in again.items()
            if row is not None and row.finished is None and row.owner == idle[run_id]
        }

    def interrupted(self) -> Iterator[RunRow]:
        """The runs that were interrupted, newest first."""
        before: int | None = None
        while page := self._store.list_runs(
            status="running", unfinished=True, before=before, limit=_PAGE
        ):
            free = self.free(page)
            yield from (row for row in page if row.id in free)
            before = page[-1].serial

    def _rows(self, **wanted: Any) -> Iterator[RunRow]:
        before: int | None = None
        while page := self._store.list_runs(before=before, limit=_PAGE, **wanted):
            yield from (row for row in page if row.damage is None)
            before = page[-1].serial

    def _info(self, row: RunRow, *, interrupted: bool) -> RunInfo:
        if row.damage is not None:
            return unreadable_info(row)
        cancelled = row.finished is None or row.status == "cancelled"
        outcome = Outcome() if cancelled else self.read_outcome(row)
        return run_info(row, interrupted=interrupted, outcome=outcome)

    def _steps(self, run_id: str) -> Iterator[StepInfo]:
        after = 0
        while page := self._store.read_steps(run_id, after=after, limit=_PAGE):
            for _, body in page:
                yield step_info(with_result(self._store, read_step(body, run_id)))
            after = page[-1][0]


def is_put_down(row: RunRow) -> bool:
    """Whether nobody executes the run because it waits or is queued; not interrupted."""
    return row.owner is None and row.status in ("queued", "waiting")


def _milliseconds(moment: datetime | None) -> int | None:
    return None if moment is None else int(moment.timestamp() * 1000)


def now_milliseconds() -> int:
    """The time, in milliseconds of the epoch."""
    return int(time.time() * 1000)

"""Workflow state in this process's memory: gone when it ends."""

import threading
from collections import Counter
from collections.abc import Collection, Mapping, Sequence
from heapq import nsmallest
from itertools import islice

from holdfast.workflows.store import RunRow, is_ready, urgency


class MemoryStore:
    """See `holdfast.workflows.store.WorkflowStore`."""

    shared_by_hosts = False

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._runs: dict[str, RunRow] = {}
        self._steps: dict[str, dict[int, bytes]] = {}
        self._signals: dict[str, list[bytes]] = {}
        self._blobs: dict[str, bytes] = {}
        self._blobs_of: dict[str, set[str]] = {}
        self._owners: dict[str, bytes] = {}
        self._notes: dict[str, bytes] = {}
        self._serial = 0

    def create_run(self, run: RunRow, *, fork: tuple[str, int] | None = None) -> RunRow | None:
        with self._lock:
            present = self._runs.get(run.id)
            if present is None:
                self._serial += 1
                source, end = fork or ("", 0)
                steps = self._steps.get(source, {})
                self._signals[run.id] = list(self._signals.get(source, ()))
                self._runs[run.id] = run._replace(
                    serial=self._serial, signals=len(self._signals[run.id])
                )
                self._steps[run.id] = {at: body for at, body in steps.items() if at < end}
                self._blobs_of[run.id] = set(self._blobs_of.get(source, ()))
            return present

    def read_run(self, run_id: str) -> RunRow | None:
        return self._runs.get(run_id)

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
        with self._lock:
            fitting = (
                run
                for run in reversed(self._runs.values())
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
        with self._lock:
            ready = (run for run in self._runs.values() if is_ready(run, now))
            return nsmallest(limit, ready, key=urgency)

    def count_runs(self) -> Mapping[str, int]:
        with self._lock:
            return Counter(run.status for run in self._runs.values())

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
        with self._lock:
            run = self._held(run_id, epoch)
            if run is None or signals not in (None, run.signals):
                return False
            self._runs[run_id] = run._replace(owner=owner, epoch=epoch + 1, status=status, due=due)
            return True

    def record_step(self, run_id: str, *, epoch: int, position: int, body: bytes) -> bool:
        with self._lock:
            if self._held(run_id, epoch) is None:
                return False
            steps = self._steps[run_id]
            if position in steps:
                return False
            steps[position] = body
            return True

    def read_steps(self, run_id: str, *, after: int, limit: int) -> Sequence[tuple[int, bytes]]:
        with self._lock:
            steps = self._steps.get(run_id, {})
            return [(at, steps[at]) for at in sorted(p for p in steps if p > after)[:limit]]

    def finish_run(
        self, run_id: str, *, epoch: int, status: str, outcome: bytes, finished: int
    ) -> bool:
        with self._lock:
            run = self._held(run_id, epoch)
            if run is None:
                return False
            self._runs[run_id] = run._replace(
                owner=None, status=status, outcome=outcome, finished=finished
            )
            return True

    def reopen_run(self, run_id: str, *, epoch: int, status: str, drop: Sequence[int]) -> bool:
        with self._lock:
            run = self._runs.get(run_id)
            if run is None or run.finished is None or run.epoch != epoch:
                return False
            self._runs[run_id] = run._replace(
                epoch=epoch + 1, status=status, finished=None, outcome=None, due=None
            )
            for position in drop:
                self._steps[run_id].pop(position, None)
            return True

    def add_signal(self, run_id: str, body: bytes) -> bool:
        with self._lock:
            run = self._runs.get(run_id)
            if run is None or run.finished is not None:
                return False
            self._signals[run_id].append(body)
            due = run.due if run.owner is not None else None
            self._runs[run_id] = run._replace(signals=run.signals + 1, due=due)
            return True

    def read_signals(self, run_id: str, *, after: int) -> Sequence[tuple[int, bytes]]:
        with self._lock:
            return list(enumerate(self._signals.get(run_id, ()), start=1))[after:]

    def save_blob(self, run_id: str, digest: str, data: bytes) -> None:
        with self._lock:
            self._blobs.setdefault(digest, data)
            self._blobs_of[run_id].add(digest)

    def read_blob(self, digest: str) -> bytes | None:
        return self._blobs.get(digest)

    def delete_runs(
        self, *, finished_before: int, limit: int, keep: Collection[str] = ()
    ) -> list[str]:
        with self._lock:
            doomed = [
                run.id
                for run in self._runs.values()
                if run.finished is not None
                and run.finished < finished_before
                and run.id not in keep
            ][:limit]
            for run_id in doomed:
                del self._runs[run_id], self._steps[run_id]
                del self._signals[run_id], self._blobs_of[run_id]
            if doomed:
                wanted = set().union(*self._blobs_of.values())
                self._blobs = {key: data for key, data in self._blobs.items() if key in wanted}
            return doomed

    def save_owner(self, owner: str, body: bytes) -> None:
        with self._lock:
            self._owners[owner] = body

    def read_owners(self) -> Mapping[str, bytes]:
        with self._lock:
            return dict(self._owners)

    def remove_owner(self, owner: str) -> None:
        with self._lock:
            self._owners.pop(owner, None)

    def read_note(self, name: str) -> bytes | None:
        return self._notes.get(name)

    def swap_note(self, name: str, before: bytes | None, after: bytes) -> bool:
        with self._lock:
            same = self._notes.get(name) == before
            if same:
                self._notes[name] = after
            return same

    def close(self) -> None:
        """Nothing to give back."""

    def _held(self, run_id: str, epoch: int) -> RunRow | None:
        """The run, if it is unfinished and still has this epoch."""
        run = self._runs.get(run_id)
        return run if run and run.finished is None and run.epoch == epoch else None

"""Workflow state in this process's memory: gone when it ends."""

import threading
from collections import Counter
from collections.abc import Mapping, Sequence

from holdfast.workflows.store import RunRow


class MemoryStore:
    """See `holdfast.workflows.store.WorkflowStore`."""

    shared_by_hosts = False

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._runs: dict[str, RunRow] = {}
        self._steps: dict[str, dict[int, bytes]] = {}
        self._owners: dict[str, bytes] = {}
        self._serial = 0

    def create_run(self, run: RunRow) -> RunRow | None:
        with self._lock:
            present = self._runs.get(run.id)
            if present is None:
                self._serial += 1
                self._runs[run.id] = run._replace(serial=self._serial)
                self._steps[run.id] = {}
            return present

    def read_run(self, run_id: str) -> RunRow | None:
        return self._runs.get(run_id)

    def list_runs(
        self,
        *,
        status: str | None = None,
        name: str | None = None,
        unfinished: bool = False,
        before: int | None = None,
        limit: int = 100,
    ) -> list[RunRow]:
        found: list[RunRow] = []
        with self._lock:
            for run in reversed(self._runs.values()):
                if len(found) >= limit:
                    break
                if before is not None and run.serial >= before:
                    continue
                if unfinished and run.finished is not None:
                    continue
                if status in (None, run.status) and name in (None, run.name):
                    found.append(run)
        return found

    def count_runs(self) -> Mapping[str, int]:
        with self._lock:
            return Counter(run.status for run in self._runs.values())

    def claim_run(self, run_id: str, *, epoch: int, owner: str | None) -> bool:
        with self._lock:
            run = self._held(run_id, epoch)
            if run is None:
                return False
            self._runs[run_id] = run._replace(owner=owner, epoch=epoch + 1)
            return True

    def record_step(self, run_id: str, *, epoch: int, position: int, body: bytes) -> bool:
        with self._lock:
            if self._held(run_id, epoch) is None:
                return False
            steps = self._steps[run_id]
            return steps.setdefault(position, body) is body

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

    def delete_runs(self, *, finished_before: int, limit: int) -> list[str]:
        with self._lock:
            doomed = [
                run.id
                for run in self._runs.values()
                if run.finished is not None and run.finished < finished_before
            ][:limit]
            for run_id in doomed:
                del self._runs[run_id], self._steps[run_id]
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

    def close(self) -> None:
        """Nothing to give back."""

    def _held(self, run_id: str, epoch: int) -> RunRow | None:
        """The run, if it is unfinished and still has this epoch."""
        run = self._runs.get(run_id)
        return run if run and run.finished is None and run.epoch == epoch else None

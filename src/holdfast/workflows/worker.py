"""Taking up what waits: parked runs of this process, and with `work` whatever a store holds."""

import threading
import time
from collections.abc import Callable
from contextlib import suppress
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from holdfast.errors import BusyError, HoldfastError
from holdfast.workflows.cron import Schedule
from holdfast.workflows.definitions import definitions
from holdfast.workflows.limits import LimitReachedError
from holdfast.workflows.store import RunRow, WorkflowStore

if TYPE_CHECKING:
    from holdfast.workflows.engine import Workflows

_POLL = 0.25  # seconds between looks at the store for what is due
_PAGE = 1_000


class Waker:
    """Begins the parked runs of this process again once they are due or were sent a signal.

    Its thread lives only while there are any.
    """

    def __init__(self, store: WorkflowStore, resume: Callable[[str], None]) -> None:
        self._store = store
        self._resume = resume
        self._parked: set[str] = set()
        self._lock = threading.Lock()
        self._thread: threading.Thread | None = None
        self._woken = threading.Event()
        self._closed = False

    def add(self, run_id: str) -> None:
        """The run was parked by this process."""
        with self._lock:
            if self._closed:
                return
            self._parked.add(run_id)
            if self._thread is None:
                self._thread = threading.Thread(
                    target=self._loop, name="holdfast-waker", daemon=True
                )
                self._thread.start()

    def look(self) -> None:
        """Look at once: a signal was sent."""
        self._woken.set()

    def close(self) -> None:
        """Leave what is parked to others."""
        with self._lock:
            self._closed = True
            thread = self._thread
        self._woken.set()
        if thread is not None:
            thread.join()

    def _loop(self) -> None:
        while True:
            self._woken.wait(_POLL)
            self._woken.clear()
            with self._lock:
                if self._closed or not self._parked:
                    self._thread = None
                    return
                parked = set(self._parked)
            try:
                for run_id in self._ready(parked):
                    with self._lock:
                        self._parked.discard(run_id)
                    self._resume(run_id)
            except HoldfastError:
                continue  # the store said no: the next look may pass

    def _ready(self, parked: set[str]) -> list[str]:
        """Those of `parked` that are due, or that somebody else has taken meanwhile."""
        now = int(time.time() * 1000)
        page = self._store.ready_runs(now=now, limit=_PAGE)
        if len(page) < _PAGE:
            return [row.id for row in page if row.id in parked]
        rows = [self._store.read_run(run_id) for run_id in parked]
        return [row.id for row in rows if row is not None and _is_due(row, now)]


def _is_due(row: RunRow, now: int) -> bool:
    return row.finished is not None or row.due is None or row.due <= now


class Worker:
    """The loop of `Workflows.work`."""

    def __init__(self, engine: "Workflows", store: WorkflowStore, *, load: bool) -> None:
        self._engine = engine
        self._load = load
        self._schedule = Schedule(store, datetime.now(UTC))
        self._refused: dict[str, int] = {}
        self._limited = 0  # runs that were over their workflow's limit at the last look

    def run(self, stop: threading.Event, *, poll: float) -> None:
        """Take runs until `stop` is set, looking every `poll` seconds."""
        while not stop.is_set():
            try:
                busy = self.look()
            except HoldfastError:
                busy = False  # the store said no: it may be back at the next look
            stop.wait(_pause_after(busy, poll))

    def look(self) -> bool:
        """Start what is due, interrupted or scheduled; whether there may be more at once."""
        with suppress(HoldfastError):  # the minute is due again at the next look
            self._start_scheduled()
        for run in self._engine.recover(load=self._load):
            self._refused.pop(run.id, None)
        room = self._engine.free_threads()
        passed_over = len(self._refused) + self._limited
        rows = self._engine.ready(limit=room + passed_over) if room else []
        taken = self._limited = 0
        for row in rows:
            if taken < room and self._refused.get(row.id) != row.epoch:
                taken += self._take(row)
        return bool(rows) and taken == room

    def _start_scheduled(self) -> None:
        self._schedule.start_due(
            list(definitions.values()),
            datetime.now(UTC),
            lambda due, run_id: self._engine.start(due, run_id=run_id),
        )

    def _take(self, row: RunRow) -> bool:
        try:
            self._engine.resume(row.id, load=self._load)
        except LimitReachedError:
            self._limited += 1
            return False
        except BusyError:
            return False  # another worker was faster
        except HoldfastError:
            self._refused[row.id] = row.epoch  # its code is not here: not asked again by this one
            return False
        return True


def _pause_after(busy: bool, poll: float) -> float:
    return min(poll, 0.01) if busy else poll

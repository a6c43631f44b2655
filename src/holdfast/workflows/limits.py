"""How many calls of one step may run at once, and how many may begin in a span of time.

A step's own limiter holds within a process, without asking anybody. `SharedLimiter` holds over all
processes that use one store, by a note there that they change one after the other: who is within
the step, and when calls began. Who is within is told from the owners' leases, so that what a killed
process held is free again as its runs are.
"""

import itertools
import threading
import time
from collections import deque
from typing import TYPE_CHECKING, Any, Protocol

import msgspec

from holdfast.errors import BusyError, HoldfastError, UsageError
from holdfast.workflows.leases import Leases
from holdfast.workflows.store import WorkflowStore
from holdfast.workflows.stores.memory import MemoryStore

if TYPE_CHECKING:
    from holdfast.workflows.definitions import Step, Workflow

_LOOK_AGAIN = 0.005  # seconds, within a process
_ASK_AGAIN = 0.02  # seconds, of the store
_TRIES = 50


class LimitReachedError(BusyError):
    """As many runs of a workflow are executed as may be; it is as it was."""


class Gate(Protocol):
    """What lets calls in."""

    def try_enter(self) -> float:
        """0.0 when the call may run now (then `leave` follows it), else seconds until asking
        again makes sense."""
        ...

    def leave(self) -> None:
        """The call has ended."""
        ...


class Limiter:
    """At most `concurrency` calls at once, and at most `rate[0]` begun in any `rate[1]` seconds."""

    def __init__(self, concurrency: int | None, rate: tuple[int, float] | None) -> None:
        if concurrency is not None and concurrency < 1:
            raise UsageError("concurrency is at least 1")
        if rate is not None and (rate[0] < 1 or rate[1] <= 0):
            raise UsageError("rate is (calls, seconds): at least 1 call in more than 0 seconds")
        self.concurrency = concurrency
        self.rate = rate
        self._running = 0
        self._begun: deque[float] = deque()
        self._lock = threading.Lock()

    def try_enter(self) -> float:
        with self._lock:
            if self.concurrency is not None and self._running >= self.concurrency:
                return _LOOK_AGAIN
            if self.rate is not None:
                calls, seconds = self.rate
                now = time.monotonic()
                while self._begun and now - self._begun[0] >= seconds:
                    self._begun.popleft()
                if len(self._begun) >= calls:
                    return max(_LOOK_AGAIN, seconds - (now - self._begun[0]))
                self._begun.append(now)
            self._running += 1
            return 0.0

    def leave(self) -> None:
        with self._lock:
            self._running -= 1


class _Note(msgspec.Struct):
    """Who is within, each with its owner, and when the last calls began (ms of the epoch)."""

    held: dict[str, str] = {}
    begun: list[int] = []


class SharedLimiter:
    """The limits of `own`, over all who use `store` and call the limit `name`.

    `own` goes first, so that of one process at most `concurrency` threads ask the store.
    """

    def __init__(self, name: str, own: Limiter, store: WorkflowStore, leases: Leases) -> None:
        self._name = name
        self._own = Limiter(own.concurrency, None)
        self._concurrency, self._rate = own.concurrency, own.rate
        self._store = store
        self._leases = leases
        self._tokens = itertools.count()
        self._held: list[str] = []
        self._left: set[str] = set()
        """What this process no longer holds and the note may still say."""

    def try_enter(self) -> float:
        pause = self._own.try_enter()
        if pause:
            return pause
        try:
            pause = self._ask()
        except BaseException:
            self._own.leave()
            raise
        if pause:
            self._own.leave()
        return pause

    def leave(self) -> None:
        self._own.leave()
        if self._concurrency is None:
            return
        self._left.add(self._held.pop())
        try:
            self._change(lambda note: 0.0)
        except HoldfastError:
            return  # the next call, or the end of this owner, frees it

    def _ask(self) -> float:
        token = f"{self._leases.owner}/{next(self._tokens)}"
        try:
            pause = self._change(lambda note: self._entered(note, token))
        except BaseException:
            self._left.add(token)  # the answer may be lost, not the change
            raise
        if not pause and self._concurrency is not None:
            self._held.append(token)
        return pause

    def _entered(self, note: _Note, token: str) -> float:
        """Let `token` in, or tell how long to wait."""
        if self._concurrency is not None:
            if len(note.held) >= self._concurrency:
                gone = self._leases.free_owners(set(note.held.values()))
                note.held = {t: owner for t, owner in note.held.items() if owner not in gone}
            if len(note.held) >= self._concurrency:
                return _ASK_AGAIN
        if self._rate is not None:
            pause = _too_many(note, self._rate)
            if pause:
                return pause
            note.begun.append(_now())
        if self._concurrency is not None:
            note.held[token] = self._leases.owner
        return 0.0

    def _change(self, change: "_Change") -> float:
        """Change the note; what `change` returned, or a pause when others were always faster."""
        for _ in range(_TRIES):
            before = self._store.read_note(self._name)
            note = _Note({}, []) if before is None else msgspec.json.decode(before, type=_Note)
            left = set(self._left)
            for token in left:
                note.held.pop(token, None)
            pause = change(note)
            after = msgspec.json.encode(note)
            if after == before or self._store.swap_note(self._name, before, after):
                self._left -= left
                return pause
        return _ASK_AGAIN


class Gates:
    """The limiters of the steps and workflows that one process executes for one store."""

    def __init__(self, store: WorkflowStore, leases: Leases) -> None:
        self._store = store
        self._leases = leases
        self._gates: dict[object, SharedLimiter] = {}
        self._lock = threading.Lock()

    def of_step(self, step: "Step[..., Any]") -> Gate:
        """What keeps to the limits of a step that has some."""
        assert step.limiter is not None
        return self._of(step, step.limiter, f"limit-{step.name}")

    def enter(self, workflow: "Workflow[..., Any]") -> Gate | None:
        """Let a run of the workflow in; what it leaves by at its end, if there is a limit.

        Raises `LimitReachedError`.
        """
        if workflow.limiter is None:
            return None
        gate = self._of(workflow, workflow.limiter, f"limit-workflow-{workflow.name}")
        if gate.try_enter():
            raise LimitReachedError(
                f"as many runs of {workflow.name} are being executed as may be",
                hint="a worker takes it up when one of them has ended",
            )
        return gate

    def _of(self, limited: object, own: Limiter, name: str) -> Gate:
        if isinstance(self._store, MemoryStore):
            return own
        with self._lock:
            if limited not in self._gates:
                self._gates[limited] = SharedLimiter(name, own, self._store, self._leases)
            return self._gates[limited]


class _Change(Protocol):
    def __call__(self, note: _Note, /) -> float: ...


def _too_many(note: _Note, rate: tuple[int, float]) -> float:
    """Seconds until one more call may begin. A clock that was stepped back only makes it wait."""
    calls, seconds = rate
    now, span = _now(), round(seconds * 1000)
    note.begun = [min(at, now) for at in note.begun if now - at < span]
    if len(note.begun) < calls:
        return 0.0
    return max(_ASK_AGAIN, (span - (now - note.begun[0])) / 1000)


def _now() -> int:
    return int(time.time() * 1000)

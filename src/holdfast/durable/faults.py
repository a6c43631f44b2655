"""Named fault points: places where a test can crash, pause or fail the program for real.

A point is a line such as ``fault_point("vault.pack.written")``. It does nothing unless a test arms
it, in the same process with `armed` or in a child through the environment::

    HOLDFAST_FAULTS="vault.pack.written=crash@3;queue.append=pause:0.2;registry.save=error:ENOSPC"

An action is ``crash`` (kill -9 of the own process), ``pause:SECONDS`` or ``error:ERRNO-NAME``
(an `OSError`); ``@N`` fires on the N-th visit only, otherwise every visit fires.
``HOLDFAST_FAULTS_TRACE=FILE`` appends each visited point's name to FILE, which is how a test learns
every point that a piece of work passes, to crash at each of them in turn.
"""

import errno
import os
import signal
import sys
import threading
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path


class _Plan:
    """What to do at which points, and how often each was visited."""

    def __init__(
        self, actions: dict[str, tuple[str, int | None]] | None = None, trace: Path | None = None
    ) -> None:
        self.actions = actions or {}
        self.trace = trace
        self.visits: Counter[str] = Counter()
        self._counting = threading.Lock()

    def visit(self, name: str) -> None:
        with self._counting:
            self.visits[name] += 1
            visit = self.visits[name]
        if self.trace is not None:
            with self.trace.open("a", encoding="utf-8", newline="\n") as file:
                file.write(name + "\n")
        action, only_on = self.actions.get(name, (None, None))
        if action is not None and only_on in (None, visit):
            _act(action, name)


_plan: _Plan | None = None


def fault_point(name: str) -> None:
    """Mark a place where tests can make the program crash, pause or fail."""
    if _plan is not None:
        _plan.visit(name)


@contextmanager
def armed(plan: str, *, trace: Path | None = None) -> Iterator[Counter[str]]:
    """Arm fault points in this process for the body; yields the count of visits per point.

    `plan` is written as in the environment variable; an empty plan only counts and traces.
    """
    global _plan
    before = _plan
    _plan = _Plan(_parse(plan), trace)
    try:
        yield _plan.visits
    finally:
        _plan = before


def _parse(plan: str) -> dict[str, tuple[str, int | None]]:
    actions: dict[str, tuple[str, int | None]] = {}
    for part in filter(None, plan.split(";")):
        name, _, action = part.partition("=")
        action, _, visit = action.partition("@")
        actions[name.strip()] = (action.strip(), int(visit) if visit else None)
    return actions


def _act(action: str, name: str) -> None:
    kind, _, value = action.partition(":")
    if kind == "crash":
        kill_self()
    elif kind == "pause":
        time.sleep(float(value))
    elif kind == "error":
        number = getattr(errno, value)
        raise OSError(number, f"{os.strerror(number)} (fault point {name})")
    else:
        raise ValueError(f"unknown fault action {action!r} at {name}")


def kill_self() -> None:
    """End this process the way kill -9 does: nothing is flushed, no handler runs."""
    if sys.platform == "win32":
        os.kill(os.getpid(), signal.SIGTERM)  # TerminateProcess
    else:
        os.kill(os.getpid(), signal.SIGKILL)
    time.sleep(60)  # the signal arrives during this sleep


def _from_environment() -> _Plan | None:
    plan = os.environ.get("HOLDFAST_FAULTS", "")
    trace = os.environ.get("HOLDFAST_FAULTS_TRACE")
    if not plan and not trace:
        return None
    return _Plan(_parse(plan), Path(trace) if trace else None)


_plan = _from_environment()

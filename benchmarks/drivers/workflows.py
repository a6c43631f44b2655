"""What is timed of a workflow library. An adapter has ``connect(folder, power, url) -> Engine``."""

import sys
import time
from importlib import import_module
from multiprocessing import get_context
from pathlib import Path
from types import ModuleType
from typing import Any, Protocol, cast

_DEATH = 9  # the exit status of a process that ends itself in the middle of a run


class Engine(Protocol):
    """Runs of one workflow: `steps` steps one after the other, each adding one to the last."""

    def run(self, steps: int) -> int:
        """Run to the end; the sum."""

    def run_all(self, runs: int, steps: int) -> list[int]:
        """Start `runs` at once and wait for all."""

    def run_and_die(self, run_id: str, steps: int, status: int) -> None:
        """Run all steps, then end the process with `status` before the run has ended."""

    def resume(self, run_id: str) -> int:
        """Go on with a run that was interrupted, to its end."""

    def close(self) -> None: ...


class Driver:
    """Steps, runs and replays."""

    def __init__(self, adapter: ModuleType) -> None:
        self._adapter = adapter
        self._engine: Engine | None = None

    def steps(
        self, folder: str, number: int, count: int, power: bool, url: str | None = None
    ) -> dict[str, Any]:
        """One run of `count` steps."""
        engine = self._connected(folder, power, url)
        started = time.perf_counter()
        total = engine.run(count)
        seconds = time.perf_counter() - started
        _check([total], count)
        return {"count": count, "seconds": seconds}

    def long(
        self, folder: str, number: int, count: int, power: bool, url: str | None = None
    ) -> dict[str, Any]:
        """One run of `count` steps, and how much memory the process had at most, in bytes."""
        answer = self.steps(folder, number, count, power, url)
        return {**answer, "memory": _most_memory()}

    def runs(
        self, folder: str, number: int, count: int, power: bool, url: str | None = None
    ) -> dict[str, Any]:
        """`count` runs of 3 steps, one after the other."""
        engine = self._connected(folder, power, url)
        started = time.perf_counter()
        totals = [engine.run(3) for _ in range(count)]
        seconds = time.perf_counter() - started
        _check(totals, 3)
        return {"count": count, "seconds": seconds}

    def at_once(
        self, folder: str, number: int, count: int, power: bool, url: str | None = None
    ) -> dict[str, Any]:
        """`count` runs of 3 steps, all started before the first is waited for."""
        engine = self._connected(folder, power, url)
        started = time.perf_counter()
        totals = engine.run_all(count, 3)
        seconds = time.perf_counter() - started
        _check(totals, 3)
        return {"count": count, "seconds": seconds}

    def replay(
        self, folder: str, number: int, count: int, power: bool, url: str | None = None
    ) -> dict[str, Any]:
        """Resume a run whose process died after `count` recorded steps."""
        engine = self._connected(folder, power, url)
        name, run_id = self._adapter.__name__, f"replay-{number}"
        child = get_context("spawn").Process(
            target=_run_and_die, args=(name, folder, power, url, run_id, count)
        )
        child.start()
        child.join()
        if child.exitcode != _DEATH:
            raise AssertionError(f"the process to interrupt ended with {child.exitcode}")
        started = time.perf_counter()
        total = engine.resume(run_id)
        seconds = time.perf_counter() - started
        _check([total], count)
        return {"count": count, "seconds": seconds}

    def close(self) -> None:
        """Close the engine."""
        if self._engine is not None:
            self._engine.close()

    def _connected(self, folder: str, power: bool, url: str | None) -> Engine:
        if self._engine is None:
            self._engine = cast("Engine", self._adapter.connect(Path(folder), power, url))
            self._engine.run(3)  # warm
        return self._engine


if sys.platform == "win32":

    def _most_memory() -> int:
        import psutil  # type: ignore[import-untyped,unused-ignore]

        return int(psutil.Process().memory_info().peak_wset)

else:

    def _most_memory() -> int:
        import resource

        most = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
        return most if sys.platform == "darwin" else most * 1024


def _check(totals: list[int], expected: int) -> None:
    if any(total != expected for total in totals):
        raise AssertionError(f"a run of {expected} steps came to {set(totals)}")


def _run_and_die(
    name: str, folder: str, power: bool, url: str | None, run_id: str, steps: int
) -> None:
    engine: Engine = import_module(name).connect(Path(folder), power, url)
    engine.run_and_die(run_id, steps, _DEATH)

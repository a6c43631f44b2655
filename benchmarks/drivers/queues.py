"""What is timed of a queue. An adapter module has ``connect(folder, power) -> Connection``."""

import time
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from importlib import import_module
from multiprocessing import get_context
from pathlib import Path
from types import ModuleType
from typing import Any, Protocol, cast

from benchmarks.drivers.messages import message, number_of

_BUDGET = 2.0  # seconds after which a sample has enough
_IDLE = 0.0005  # seconds to sleep when nothing was there


class Connection(Protocol):
    """A queue as this benchmark needs it; bodies are JSON objects."""

    def put(self, body: dict[str, Any]) -> None: ...

    def fill(self, bodies: list[dict[str, Any]]) -> None:
        """Put many as fast as it can; not timed."""

    def take(self) -> dict[str, Any] | None:
        """Take one and acknowledge it, each kept on its own; None when there is none."""

    def close(self) -> None: ...


class Driver:
    """Puts, takes, and crews of processes."""

    def __init__(self, adapter: ModuleType) -> None:
        self._adapter = adapter
        self._backlog: Connection | None = None
        self._filled = 0
        self._taken = 0

    def put(self, folder: str, number: int, count: int, power: bool) -> dict[str, Any]:
        """One by one into a queue of its own."""
        queue = self._open(Path(folder) / f"put-{number}", power)
        bodies = [message(one) for one in range(count)]
        done = 0
        started = time.perf_counter()
        for body in bodies:
            queue.put(body)
            done += 1
            if time.perf_counter() - started > _BUDGET:
                break
        seconds = time.perf_counter() - started
        queue.close()
        return {"count": done, "seconds": seconds}

    def put_threads(
        self, folder: str, number: int, count: int, threads: int, power: bool
    ) -> dict[str, Any]:
        """One by one from each of `threads` threads into one queue."""
        queue = self._open(Path(folder) / f"threads-{number}", power)
        bodies = [message(one) for one in range(count)]

        def work(start: int) -> None:
            for body in bodies[start::threads]:
                queue.put(body)

        with ThreadPoolExecutor(threads) as pool:
            started = time.perf_counter()
            list(pool.map(work, range(threads)))
            seconds = time.perf_counter() - started
        queue.close()
        return {"count": count, "seconds": seconds}

    def take(
        self, folder: str, number: int, count: int, backlog: int, power: bool
    ) -> dict[str, Any]:
        """Take and acknowledge one by one from a queue that holds `backlog` messages."""
        if self._backlog is None:
            self._backlog = self._open(Path(folder) / "backlog", power)
        queue = self._backlog
        needed = backlog + count - (self._filled - self._taken)
        queue.fill([message(self._filled + one) for one in range(needed)])
        self._filled += needed
        done = 0
        started = time.perf_counter()
        while done < count and time.perf_counter() - started < _BUDGET:
            if queue.take() is None:
                raise AssertionError("the queue was empty too early")
            done += 1
        seconds = time.perf_counter() - started
        self._taken += done
        return {"count": done, "seconds": seconds}

    def crew(
        self, folder: str, number: int, count: int, workers: int, power: bool
    ) -> dict[str, Any]:
        """`workers` producers and as many consumers, each a process, until all is consumed."""
        place = Path(folder) / f"crew-{number}"
        self._open(place, power).close()
        context = get_context("spawn")
        gate, answers = context.Barrier(2 * workers + 1), context.SimpleQueue()
        name = self._adapter.__name__
        shares = [range(start, count, workers) for start in range(workers)]
        stop = context.Event()
        left = context.Value("q", count)
        makers = [
            context.Process(target=_produce, args=(name, place, power, gate, share))
            for share in shares
        ]
        takers = [
            context.Process(target=_consume, args=(name, place, power, gate, left, stop, answers))
            for _ in range(workers)
        ]
        for process in (*makers, *takers):
            process.start()
        gate.wait()
        started = time.perf_counter()
        stop.wait()
        seconds = time.perf_counter() - started
        seen = Counter(one for _ in takers for one in cast("list[int]", answers.get()))
        for process in (*makers, *takers):
            process.join()
        return {
            "count": count,
            "seconds": seconds,
            "lost": sum(1 for one in range(count) if one not in seen),
            "doubled": sum(times - 1 for times in seen.values()),
        }

    def close(self) -> None:
        """Let go of the queue with the backlog."""
        if self._backlog is not None:
            self._backlog.close()

    def _open(self, folder: Path, power: bool) -> Connection:
        return cast("Connection", self._adapter.connect(folder, power))


def _produce(name: str, place: Path, power: bool, gate: Any, numbers: range) -> None:
    queue: Connection = import_module(name).connect(place, power)
    bodies = [message(number) for number in numbers]
    gate.wait()
    for body in bodies:
        queue.put(body)
    queue.close()


def _consume(
    name: str, place: Path, power: bool, gate: Any, left: Any, stop: Any, answers: Any
) -> None:
    queue: Connection = import_module(name).connect(place, power)
    seen: list[int] = []
    gate.wait()
    quiet = time.monotonic()
    while not stop.is_set():
        body = queue.take()
        if body is None:
            # Whoever loses a message must still come to an end, and be found out by the count.
            if time.monotonic() - quiet > 20:
                stop.set()
            time.sleep(_IDLE)
            continue
        quiet = time.monotonic()
        seen.append(number_of(body))
        with left.get_lock():
            left.value -= 1
            if left.value <= 0:
                stop.set()
    queue.close()
    answers.put(seen)

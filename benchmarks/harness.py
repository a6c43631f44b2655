"""Measuring: each repeat runs every side of a row once, in alternating order, in one run."""

import statistics
import tempfile
import time
from collections.abc import Callable, Iterable
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from benchmarks.cases import Case, Side
from benchmarks.environment import missing, our_version, version_of
from benchmarks.process import SideError, SideProcess

Say = Callable[[str], None]


@dataclass
class Measured:
    """The samples of one side, and why there are none."""

    side: Side
    label: str
    samples: list[float] = field(default_factory=list)
    aside: str = ""
    problem: str | None = None

    @property
    def median(self) -> float | None:
        return statistics.median(self.samples) if self.samples else None


@dataclass
class Result:
    """A measured case: `sides[0]` is ours."""

    case: Case
    sides: list[Measured]
    seconds: float = 0.0

    def ratio(self, peer: Measured) -> float | None:
        """Ours divided by the peer's."""
        ours, theirs = self.sides[0].median, peer.median
        return ours / theirs if ours is not None and theirs else None


def measure(case: Case, *, repeat: int, scratch: Path, say: Say) -> Result:
    """Measure all sides of `case` `repeat` times, the order turned round at every repeat."""
    started = time.perf_counter()
    sides = [_measured(side) for side in (case.ours, *case.peers)]
    with ExitStack() as stack:
        running: list[tuple[Measured, SideProcess, Path]] = []
        for one in (side for side in sides if side.problem is None):
            folder = Path(stack.enter_context(_folder(scratch)))
            running.append(
                (one, stack.enter_context(SideProcess(one.side.program, folder)), folder)
            )
        for number in range(repeat):
            for one, process, folder in running if number % 2 == 0 else reversed(running):
                if one.problem is None:
                    say(f"{case.name}: {one.label} ({number + 1}/{repeat})")
                    _sample(case, one, process, folder, number)
    return Result(case, sides, time.perf_counter() - started)


def as_document(results: Iterable[Result], facts: dict[str, Any]) -> dict[str, Any]:
    """Everything measured, for a program to read."""
    return {"machine": facts, "rows": [_row(result) for result in results]}


def _measured(side: Side) -> Measured:
    needed = side.program.requirement
    problem = missing(needed) if needed else None
    if problem is not None:
        return Measured(side, side.name, problem=problem)
    label = version_of(needed) if needed else f"holdfast {our_version()}"
    return Measured(side, side.name, aside=label)


def _sample(case: Case, one: Measured, process: SideProcess, folder: Path, number: int) -> None:
    parameters = {**one.side.parameters, "folder": str(folder), "number": number}
    try:
        answer = process.call(one.side.operation, parameters)
    except SideError as error:
        one.problem = str(error)
        one.samples.clear()
        return
    one.samples.append(case.figure(answer))
    one.aside = case.aside(answer)


def _folder(scratch: Path) -> "tempfile.TemporaryDirectory[str]":
    scratch.mkdir(parents=True, exist_ok=True)
    return tempfile.TemporaryDirectory(dir=scratch, ignore_cleanup_errors=True)


def _row(result: Result) -> dict[str, Any]:
    case = result.case
    return {
        "name": case.name,
        "what": case.what,
        "unit": case.unit,
        "moreIsBetter": case.more_is_better,
        "survives": case.survives,
        "seconds": round(result.seconds, 2),
        "sides": [
            {
                "name": one.side.name,
                "durability": one.side.durability,
                "median": one.median,
                "samples": one.samples,
                "remark": one.aside,
                "problem": one.problem,
                **(
                    {"ratio": result.ratio(one), "target": case.target.get(one.side.name)}
                    if one is not result.sides[0]
                    else {}
                ),
            }
            for one in result.sides
        ],
    }

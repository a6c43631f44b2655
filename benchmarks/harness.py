"""Measuring: each repeat runs every side of a row once, in alternating order, in one run."""

import statistics
import tempfile
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field
from itertools import groupby
from pathlib import Path
from typing import Any

from benchmarks.cases import Case, Side
from benchmarks.environment import missing, our_version, version_of
from benchmarks.process import SideError, SideProcess
from benchmarks.servers import Servers

Say = Callable[[str], None]


@dataclass
class Answers:
    """What one side's driver answered, or why it did not."""

    side: Side
    version: str = ""
    answers: list[Mapping[str, Any]] = field(default_factory=list)
    problem: str | None = None


@dataclass(frozen=True)
class Measured:
    """The samples of one side of a row, and why there are none."""

    side: Side
    version: str
    samples: list[float]
    aside: str
    problem: str | None

    @property
    def median(self) -> float | None:
        return statistics.median(self.samples) if self.samples else None


@dataclass(frozen=True)
class Result:
    """A measured case: `sides[0]` is ours."""

    case: Case
    sides: list[Measured]

    def ratio(self, peer: Measured) -> float | None:
        """Ours divided by the peer's."""
        ours, theirs = self.sides[0].median, peer.median
        return ours / theirs if ours is not None and theirs else None


def measure_all(cases: Iterable[Case], *, repeat: int, scratch: Path, say: Say) -> Iterator[Result]:
    """The rows in order. Neighbours with the same sides look at the same work: it runs once."""
    with Servers() as servers:
        for sides, rows in groupby(cases, key=lambda case: (case.ours, *case.peers)):
            group = list(rows)
            answers = _work(sides, group[0].name, servers, repeat=repeat, scratch=scratch, say=say)
            for case in group:
                yield Result(case, [_measured(case, one) for one in answers])


def _work(
    sides: Sequence[Side], name: str, servers: Servers, *, repeat: int, scratch: Path, say: Say
) -> list[Answers]:
    """Let every side work `repeat` times, the order turned round at every repeat."""
    all_answers = [_prepared(side) for side in sides]
    with ExitStack() as stack:
        running = []
        for one in (answers for answers in all_answers if answers.problem is None):
            folder = stack.enter_context(_folder(scratch))
            process = stack.enter_context(SideProcess(one.side.program, Path(folder)))
            where: dict[str, Any] = {"folder": folder}
            if one.side.server is not None:
                where["url"] = servers.new_database(one.side.server)
            running.append((one, process, where))
        for number in range(repeat):
            for one, process, where in running if number % 2 == 0 else reversed(running):
                if one.problem is None:
                    say(f"{name}: {one.side.name} ({number + 1}/{repeat})")
                    _ask(one, process, {**where, "number": number})
    return all_answers


def as_document(results: Iterable[Result], facts: dict[str, Any]) -> dict[str, Any]:
    """Everything measured, for a program to read."""
    return {"machine": facts, "rows": [_row(result) for result in results]}


def _prepared(side: Side) -> Answers:
    needed = side.program.requirement
    problem = missing(needed) if needed else None
    if problem is not None:
        return Answers(side, problem=problem)
    return Answers(side, version_of(needed) if needed else f"holdfast {our_version()}")


def _ask(one: Answers, process: SideProcess, where: dict[str, Any]) -> None:
    try:
        answer = process.call(one.side.operation, {**one.side.parameters, **where})
    except SideError as error:
        one.problem = str(error)
        one.answers.clear()
    else:
        one.answers.append(answer)


def _measured(case: Case, one: Answers) -> Measured:
    samples = [case.figure(answer) for answer in one.answers]
    asides = dict.fromkeys(case.aside(answer) for answer in one.answers)
    return Measured(one.side, one.version, samples, ", ".join(filter(None, asides)), one.problem)


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
        "sides": [
            {
                "name": one.side.name,
                "version": one.version,
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

"""What a row of the table is: the work, our side, the other sides, and what both survive."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

Survives = Literal["a crash", "a power cut", "nothing asked"]
"""What the data of both sides survives; rows never compare different ones."""

ServerKind = Literal["redis", "postgresql"]
"""A server that a side needs; see `benchmarks.servers`."""


@dataclass(frozen=True)
class Program:
    """A driver with the adapter it drives; `peer` ones run in the peers' environment.

    `requirement` is the peer's name in peers.txt, or a program on PATH such as ``restic``.
    """

    driver: str
    adapter: str
    peer: bool = False
    requirement: str | None = None


@dataclass(frozen=True)
class Side:
    """One side of a row: `operation` of `program`, called with `parameters`.

    `durability` says how it survives what the row says, e.g. ``WAL, synchronous=NORMAL``. With a
    `server` the operation is also given the ``url`` of a database of its own.
    """

    name: str
    program: Program
    operation: str
    durability: str
    parameters: Mapping[str, Any] = field(default_factory=dict)
    server: ServerKind | None = None


@dataclass(frozen=True)
class Case:
    """A row for each of `peers`; `figure` turns what a driver answered into the row's number.

    `target` is the ratio ours / peer, by peer, that the project asks of itself: at least that
    where `more_is_better`, else at most.
    """

    name: str
    what: str
    unit: str
    survives: Survives
    ours: Side
    peers: tuple[Side, ...]
    figure: Callable[[Mapping[str, Any]], float]
    more_is_better: bool = True
    target: Mapping[str, float] = field(default_factory=dict)
    aside: Callable[[Mapping[str, Any]], str] = lambda _: ""


Suite = Callable[[bool], list[Case]]
"""Makes the rows of a suite; the argument is whether they shall be quick."""


def per_second(answer: Mapping[str, Any]) -> float:
    """Units of work a second, of an answer with `count` and `seconds`."""
    return float(answer["count"]) / float(answer["seconds"])


def seconds(answer: Mapping[str, Any]) -> float:
    """The seconds it took."""
    return float(answer["seconds"])


def milliseconds_each(answer: Mapping[str, Any]) -> float:
    """Milliseconds for one unit of work."""
    return 1e3 * float(answer["seconds"]) / float(answer["count"])


def microseconds_each(answer: Mapping[str, Any]) -> float:
    """Microseconds for one unit of work."""
    return 1e6 * float(answer["seconds"]) / float(answer["count"])

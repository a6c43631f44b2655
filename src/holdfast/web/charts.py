"""The geometry of drawings; templates make SVG of it, the stylesheet gives the colours."""

from collections.abc import Sequence
from datetime import datetime
from typing import NamedTuple

WIDTH, HEIGHT = 1000, 100
"""The units of every drawing; it is stretched to the room it gets."""

_GAP = 0.25  # of a bar's room
_LARGEST_DOT, _SMALLEST_DOT = 22, 5  # units, half across
_THINNEST = 3  # units; what lasted no time is seen all the same


class Bar(NamedTuple):
    """One bar, and what it stands for."""

    x: float
    y: float
    width: float
    height: float
    value: float


class Span(NamedTuple):
    """A stretch of time on a line of `WIDTH` units."""

    x: float
    width: float


class Dot(NamedTuple):
    """A dot on a line of `WIDTH` units, and how large it is."""

    x: float
    radius: float


def bars(values: Sequence[float]) -> list[Bar]:
    """A bar for each value, side by side, the highest as high as the drawing."""
    highest = max(values, default=0) or 1
    room = WIDTH / max(1, len(values))
    made = []
    for number, value in enumerate(values):
        height = max(value / highest * HEIGHT, 2 if value else 0)
        x = number * room + room * _GAP / 2
        made.append(_rounded(x, HEIGHT - height, room * (1 - _GAP), height, value))
    return made


def line(values: Sequence[float]) -> str:
    """The points of a polyline through the values, the highest as high as the drawing."""
    highest = max(values, default=0) or 1
    step = WIDTH / max(1, len(values) - 1)
    pairs = (
        f"{number * step:.1f},{HEIGHT - value / highest * (HEIGHT - 4) - 2:.1f}"
        for number, value in enumerate(values)
    )
    return " ".join(pairs)


def span_of(began: datetime, seconds: float, start: datetime, whole: float) -> Span:
    """Where `seconds` from `began` on lie on a line that begins at `start` and lasts `whole`."""
    scale = WIDTH / max(whole, 1e-6)
    x = min(max(0.0, (began - start).total_seconds() * scale), WIDTH - _THINNEST)
    return Span(round(x, 1), round(min(max(seconds * scale, _THINNEST), WIDTH - x), 1))


def dots(moments: Sequence[datetime], sizes: Sequence[float]) -> list[Dot]:
    """A dot for each moment on a line from the first to the last, its area as its size."""
    if not moments:
        return []
    first, largest = min(moments), max(sizes) or 1
    whole = max((max(moments) - first).total_seconds(), 1)
    room = WIDTH - 2 * _LARGEST_DOT
    return [
        Dot(
            round(_LARGEST_DOT + (moment - first).total_seconds() / whole * room, 1),
            round(max(_LARGEST_DOT * (size / largest) ** 0.5, _SMALLEST_DOT), 1),
        )
        for moment, size in zip(moments, sizes, strict=True)
    ]


def _rounded(x: float, y: float, width: float, height: float, value: float) -> Bar:
    return Bar(round(x, 1), round(y, 1), round(width, 1), round(height, 1), value)

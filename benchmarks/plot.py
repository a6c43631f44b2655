"""Rows as drawings: how many times better than each peer, on a logarithmic scale, as plain SVG."""

import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from html import escape
from typing import Any

Row = Mapping[str, Any]
"""A row of the document that ``--json`` writes."""

_WIDTH, _LEFT, _RIGHT, _LINE, _HEAD = 860, 300, 750, 20, 64  # pixels

_STYLE = """
  text { font: 13px system-ui, "Segoe UI", "Helvetica Neue", sans-serif; fill: #1f2328 }
  .paper { fill: #ffffff } .title { font-size: 16px; font-weight: 600 }
  .work { font-weight: 600 } .aside { fill: #59636e } .grid { stroke: #d1d9e0 }
  .one { stroke: #59636e } .better { fill: #0969da } .worse { fill: #bc4c00 }
  @media (prefers-color-scheme: dark) {
    text { fill: #e6edf3 } .paper { fill: #0d1117 } .aside { fill: #9198a1 }
    .grid { stroke: #3d444d } .one { stroke: #9198a1 } .better { fill: #4493f8 }
    .worse { fill: #e3742f }
  }
"""


def better_by(row: Row, side: Mapping[str, Any]) -> float | None:
    """How many times better ours is than `side`; below 1 where the peer is."""
    ratio = side.get("ratio")
    if not ratio:
        return None
    return float(ratio) if row["moreIsBetter"] else 1 / float(ratio)


def figure(number: float | None) -> str:
    """A number in three digits that say something."""
    if number is None:
        return "not measured"
    return f"{number:,.0f}" if number >= 100 else f"{number:.3g}"


def draw(title: str, rows: Sequence[Row]) -> str:
    """The SVG of a suite: a bar for each peer of each row, to the right where ours is better.

    The same rows give the same bytes. Colours follow the reader's; the paper is drawn, so that it
    can be read on any page.
    """
    known = [by for row in rows for side in row["sides"][1:] if (by := better_by(row, side))]
    least = math.floor(min([-1.0, *map(math.log10, known)]))
    most = math.ceil(max([1.0, *map(math.log10, known)]))

    def across(power: float) -> float:
        return _LEFT + (power - least) / (most - least) * (_RIGHT - _LEFT)

    body, height = [], _HEAD
    for row in rows:
        height += _LINE + 6
        body.append(_work(row, height))
        for side in row["sides"][1:]:
            height += _LINE
            body += _bar(row, side, height, across)
    if any(_loses(side) for row in rows for side in row["sides"]):
        height += _LINE + 6
        note = "† gone when taken: what a consumer held when it died is lost"
        body.append(f'<text class="aside" x="16" y="{height}">{note}</text>')
    height += _LINE
    return "\n".join(
        [*_frame(title, height), *_scale(least, most, height, across), *body, "</svg>\n"]
    )


def _loses(side: Mapping[str, Any]) -> bool:
    return "gone when taken" in side["durability"]


def _frame(title: str, height: int) -> Iterator[str]:
    yield (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {_WIDTH} {height}"'
        f' width="{_WIDTH}" height="{height}" role="img">'
    )
    yield f"<title>{escape(title)}</title>\n<style>{_STYLE}</style>"
    yield f'<rect class="paper" width="{_WIDTH}" height="{height}" rx="8"/>'
    yield f'<text class="title" x="16" y="28">{escape(title)}</text>'


def _scale(least: int, most: int, height: int, across: Callable[[float], float]) -> Iterator[str]:
    for power in range(least, most + 1):
        x = across(power)
        kind = "one" if power == 0 else "grid"
        yield f'<line class="{kind}" x1="{x:.1f}" y1="{_HEAD}" x2="{x:.1f}" y2="{height - 12}"/>'
        told = "as good" if power == 0 else f"{10**power:,.10g}x"
        yield f'<text class="aside" text-anchor="middle" x="{x:.1f}" y="{_HEAD - 8}">{told}</text>'


def _work(row: Row, y: int) -> str:
    survives = "" if row["survives"] == "nothing asked" else f", survives {row['survives']}"
    ours = f"{figure(row['sides'][0]['median'])} {row['unit']}{survives}"
    work = escape(row["what"])
    return (
        f'<text x="16" y="{y}"><tspan class="work">{work}</tspan>'
        f'<tspan class="aside" dx="8">{escape(ours)}</tspan></text>'
    )


def _bar(
    row: Row, side: Mapping[str, Any], y: int, across: Callable[[float], float]
) -> Iterator[str]:
    told = f"{side['name']}{' †' if _loses(side) else ''}: {figure(side['median'])}"
    yield f'<text x="{_LEFT - 12}" y="{y}" text-anchor="end">{escape(told)}</text>'
    by = better_by(row, side)
    if by is None:
        return
    begin, end = sorted((across(0), across(math.log10(by))))
    kind = "better" if by >= 1 else "worse"
    yield (
        f'<rect class="{kind}" x="{begin:.1f}" y="{y - 12}" rx="2"'
        f' width="{max(end - begin, 2):.1f}" height="14"/>'
    )
    yield f'<text x="{max(end, across(0)) + 6:.1f}" y="{y}">{figure(by)}x</text>'

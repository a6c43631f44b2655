"""The table that people read."""

from collections.abc import Sequence
from typing import Any

from rich import box
from rich.console import Console
from rich.table import Table
from rich.text import Text

from benchmarks.harness import Measured, Result
from benchmarks.machine import as_line

_HEADINGS = ("What", "Survives", "Ours", "Peer", "", "Unit", "Ratio", "Target", "Durability")


def print_table(results: Sequence[Result], facts: dict[str, Any], repeat: int) -> None:
    """Print a row for each pair of ours and a peer; medians of `repeat`."""
    table = Table(box=box.SIMPLE_HEAD, pad_edge=False)
    for heading in _HEADINGS:
        table.add_column(heading, justify="right" if heading in ("Ours", "", "Ratio") else "left")
    for result in results:
        for cells in rows_of(result):
            table.add_row(*(Text(cell) for cell in cells))
    console = Console(highlight=False)
    if not console.is_terminal:
        console.width = 200
    console.print(table)
    console.print(f"Medians of {repeat}, sides in alternating order in one run.")
    console.print("Ratio is ours / peer; a target is the least (≥) or the most (≤) it shall be.")
    console.print(as_line(facts))


def rows_of(result: Result) -> list[tuple[str, ...]]:
    """The cells of a result, a row for each peer."""
    case, ours = result.case, result.sides[0]
    rows: list[tuple[str, ...]] = []
    for peer in result.sides[1:]:
        ratio, target = result.ratio(peer), case.target.get(peer.side.name)
        sign = "≥" if case.more_is_better else "≤"
        rows.append(
            (
                f"{case.name}: {case.what}",
                case.survives,
                _number(ours),
                peer.side.name,
                _number(peer),
                case.unit,
                "" if ratio is None else f"{_short(ratio)}x",
                "" if target is None else f"{sign} {target:g}x",
                _remarks(ours, peer),
            )
        )
    return rows


def _number(one: Measured) -> str:
    if one.median is None:
        return "-"
    return _short(one.median)


def _short(number: float) -> str:
    """Three digits that say something."""
    return f"{number:,.0f}" if number >= 100 else f"{number:.3g}"


def _remarks(ours: Measured, peer: Measured) -> str:
    remarks = [f"ours {ours.side.durability}", f"peer {peer.side.durability}"]
    for whose, one in (("ours", ours), ("peer", peer)):
        if one.problem is not None:
            remarks.append(f"NOT MEASURED, {whose}: {one.problem}")
        elif one.aside:
            remarks.append(f"{whose}: {one.aside}")
    return "; ".join(remarks)

"""How the reference is written: docstrings and tables as Markdown."""

import inspect
import re
from collections.abc import Iterable, Sequence

_LITERAL = re.compile(r"``([^`]+)``")
_BLOCK = re.compile(r"(^|[^:\n])::$", re.MULTILINE)


def markdown(docstring: str | None) -> str:
    """A docstring as Markdown; its literal blocks stay indented."""
    text = inspect.cleandoc(docstring or "")
    text = _BLOCK.sub(lambda mark: mark[1] and f"{mark[1]}:", _LITERAL.sub(r"`\1`", text))
    return re.sub(r"\n{3,}", "\n\n", text).strip()


def table(headings: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """A Markdown table; what would end a cell is escaped."""
    lines = [headings, ["---"] * len(headings), *([_cell(each) for each in row] for row in rows)]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines) + "\n"


def code(text: str) -> str:
    """Text in the fixed font; nothing for nothing."""
    return f"`{text}`" if text else ""


def _cell(text: str) -> str:
    return " ".join(text.split()).replace("|", "\\|")

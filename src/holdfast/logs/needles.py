"""What the bytes of a line must have to be worth parsing, looked for in whole blocks at once."""

import re
from collections.abc import Iterable, Iterator, Sequence
from typing import Protocol

Span = tuple[int, int]
"""Where a line begins in a block, and where its newline is."""


class Needle(Protocol):
    """One thing that a wanted line has."""

    def count(self, block: bytes) -> int:
        """How often `block` has it."""

    def lines(self, block: bytes) -> Iterable[Span]:
        """The lines of `block` that have it, in order."""

    def is_in(self, line: bytes) -> bool:
        """Whether `line` has it."""


class AnyText:
    """One of some texts."""

    def __init__(self, texts: Iterable[str]) -> None:
        self._texts = [text.encode() for text in texts]

    def count(self, block: bytes) -> int:
        """As `Needle`."""
        return sum(map(block.count, self._texts))

    def lines(self, block: bytes) -> Sequence[Span]:
        """As `Needle`."""
        spans: list[Span] = []
        for text in self._texts:
            at = block.find(text)
            while at >= 0:
                span = _line_at(block, at)
                spans.append(span)
                at = block.find(text, span[1])
        return spans if len(self._texts) == 1 else sorted(set(spans))

    def is_in(self, line: bytes) -> bool:
        """As `Needle`."""
        return any(text in line for text in self._texts)


class OtherLevel:
    """A level that is none of `unwanted`: so those of other programs count, however written.

    It stands behind another key, for the first is the time.
    """

    def __init__(self, unwanted: Iterable[str]) -> None:
        names = "|".join(sorted(unwanted))
        self._pattern = re.compile(rb',"level":"(?!(?:%b)")' % names.encode())

    def count(self, block: bytes) -> int:
        """As `Needle`."""
        return sum(1 for _ in self._pattern.finditer(block))

    def lines(self, block: bytes) -> Iterator[Span]:
        """As `Needle`."""
        end = -1
        for found in self._pattern.finditer(block):
            if found.start() > end:
                start, end = _line_at(block, found.start())
                yield start, end

    def is_in(self, line: bytes) -> bool:
        """As `Needle`."""
        return self._pattern.search(line) is not None


def _line_at(block: bytes, at: int) -> Span:
    end = block.find(b"\n", at)
    return block.rfind(b"\n", 0, at) + 1, end if end >= 0 else len(block)

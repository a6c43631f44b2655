"""Holdfast's search."""

from datetime import datetime
from pathlib import Path

from holdfast.logs import search


class Found:
    def __init__(self, path: Path) -> None:
        self._folder = path.parent

    def count(self, level: str, text: str, since: str, until: str) -> int:
        begin, end = map(datetime.fromisoformat, (since, until))
        return sum(1 for _ in search(self._folder, level=level, grep=text, since=begin, until=end))


def connect(path: Path) -> Found:
    """The lines of `path`."""
    return Found(path)

"""The ledger of a process that will be killed: what it was about to do, and what was acknowledged.

Each note is one small O_APPEND write, so it survives kill -9 of its writer; a note written after a
call returned proves that the call was acknowledged.
"""

import os
from collections.abc import Iterator
from pathlib import Path


class Ledger:
    """An append-only file of notes, each ``<kind> <subject>``."""

    def __init__(self, path: Path) -> None:
        self.path = path
        flags = os.O_WRONLY | os.O_CREAT | os.O_APPEND | getattr(os, "O_BINARY", 0)
        self._descriptor = os.open(path, flags, 0o644)

    def note(self, kind: str, subject: str) -> None:
        """Write one note; it is on its way to the disk when this returns."""
        os.write(self._descriptor, f"{kind} {subject}\n".encode())

    def close(self) -> None:
        """Close the file; the notes stay."""
        os.close(self._descriptor)


def read_notes(path: Path) -> Iterator[tuple[str, str]]:
    """All notes in order, as (kind, subject)."""
    if not path.exists():
        return
    for line in path.read_text(encoding="utf-8").splitlines():
        kind, _, subject = line.partition(" ")
        yield kind, subject

"""The first moment of a program that uses DBOS."""

from pathlib import Path

COMMANDS = {"import": ["-c", "import dbos"]}


def prepare(folder: Path) -> None:
    """Nothing is needed."""

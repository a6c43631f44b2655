"""``du -s``, which names one sum."""

from pathlib import Path


def command(tree: Path) -> list[str]:
    """Measure `tree`."""
    return ["du", "-s", str(tree)]

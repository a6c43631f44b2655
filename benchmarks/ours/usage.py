"""``holdfast usage``."""

import sys
from pathlib import Path


def command(tree: Path) -> list[str]:
    """Measure `tree`."""
    return [sys.executable, "-m", "holdfast", "usage", str(tree)]

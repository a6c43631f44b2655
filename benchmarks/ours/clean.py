"""``holdfast clean``, without --apply: the plan."""

import sys
from pathlib import Path

from holdfast.workspace.creation import adopt
from holdfast.workspace.layout import marker_of


def command(tree: Path) -> list[str]:
    """Plan the cleaning of `tree`, which becomes a workspace."""
    home = tree.parent / "home"
    home.mkdir(exist_ok=True)
    marker_of(tree).unlink(missing_ok=True)  # it may be the workspace of a home that has gone
    (tree / "configs" / "holdfast.json").unlink(missing_ok=True)
    adopt(tree, home=home)
    return [sys.executable, "-m", "holdfast", "clean", "-w", str(tree)]

"""``holdfast demo``: the whole story on a throw-away workspace, narrated and checked."""

from pathlib import Path

import click

from holdfast.cli.places import Place
from holdfast.cli.terminal import Terminal, command


@command(
    None,
    "demo",
    examples=["holdfast demo", "holdfast demo my-first-workspace", "holdfast demo --json"],
)
@click.argument("folder", metavar="[DIR]", required=False, type=Place(file_okay=False))
def demo(terminal: Terminal, folder: Path | None) -> int:
    """Watch a workspace survive: a run is killed and resumed, files are destroyed and restored.

    Everything happens in a new temporary folder, or in DIR. Exits 1 if any claim does not hold.
    """
    from holdfast.cli.demo.narrator import Narrator
    from holdfast.cli.demo.story import tell

    narrator = Narrator(silent=terminal.json)
    home = tell(narrator, folder)
    terminal.emit(narrator.facts(home), "")
    return 0 if narrator.all_held else 1

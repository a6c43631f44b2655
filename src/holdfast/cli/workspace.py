"""``holdfast init`` and ``holdfast adopt``."""

from pathlib import Path

import click

from holdfast.cli.terminal import Terminal, command
from holdfast.workspace import creation

_FOLDER = click.Path(path_type=Path, file_okay=False)
_HOME = click.option("--home", type=_FOLDER, help="The person's home around it.")


@command(
    None,
    "init",
    examples=[
        "holdfast init development",
        "holdfast init development --examples",
        "holdfast init D:\\work\\development --home C:\\Users\\Ann",
    ],
)
@click.argument("folder", metavar="DIR", type=_FOLDER)
@_HOME
@click.option("--examples", is_flag=True, help="Add the example agents and servers.")
def init(terminal: Terminal, folder: Path, home: Path | None, examples: bool) -> None:
    """Make a workspace, or complete one. Nothing that is there is overwritten."""
    _tell(terminal, creation.create(folder, home=home, examples=examples), "is ready")


@command(
    None, "adopt", examples=["holdfast adopt ~/development", "holdfast adopt ~/development --json"]
)
@click.argument("folder", metavar="DIR", type=_FOLDER)
@_HOME
def adopt(terminal: Terminal, folder: Path, home: Path | None) -> None:
    """Take an existing folder as a workspace. Only .holdfast/ is added to it."""
    _tell(terminal, creation.adopt(folder, home=home), "is now a workspace")


def _tell(terminal: Terminal, done: creation.Creation, outcome: str) -> None:
    layout = done.layout
    facts = {
        "root": str(layout.root),
        "home": str(layout.home),
        "made": done.made,
        "kept": done.kept,
    }
    lines = [
        f"{layout.root} {outcome}: {len(done.made)} made, {len(done.kept)} kept as they were.",
        "Next:",
        f"  holdfast agents discover -w {layout.root}",
        f"  holdfast backup create -w {layout.root}",
        f"  holdfast status -w {layout.root}",
    ]
    terminal.emit(facts, "\n".join(lines))

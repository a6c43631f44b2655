"""``holdfast init`` and ``holdfast adopt``."""

from collections.abc import Sequence
from pathlib import Path

import click

from holdfast.cli.places import Place
from holdfast.cli.terminal import Terminal, command
from holdfast.workspace import creation

_FOLDER = Place(file_okay=False)
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
@click.option(
    "--examples", is_flag=True, help="Add example agents, servers, scripts, docker/ and k8s/."
)
def init(terminal: Terminal, folder: Path, home: Path | None, examples: bool) -> None:
    """Make a workspace, or complete one. Nothing that is there is overwritten."""
    done = creation.create(folder, home=home, examples=examples)
    _tell(terminal, done, "is ready", after=_example_commands(done) if examples else [])


@command(
    None, "adopt", examples=["holdfast adopt ~/development", "holdfast adopt ~/development --json"]
)
@click.argument("folder", metavar="DIR", type=_FOLDER)
@_HOME
def adopt(terminal: Terminal, folder: Path, home: Path | None) -> None:
    """Take an existing folder as a workspace. Only .holdfast/ is added to it."""
    _tell(terminal, creation.adopt(folder, home=home), "is now a workspace")


def _example_commands(done: creation.Creation) -> list[str]:
    """What the examples need before they run: packages, and the wish that they are kept running."""
    server, root = creation.INACTIVE_EXAMPLE, done.layout.root
    return [
        f"The server {server} is inactive until its packages are installed:",
        f"  npm install --prefix {done.layout.servers / server}",
        f"  holdfast servers set {server} status=active -w {root}",
        "Agents run once they are services:",
        f"  holdfast agents set director-agent service={{}} -w {root}",
        f"  holdfast start -w {root}",
    ]


def _tell(
    terminal: Terminal, done: creation.Creation, outcome: str, after: Sequence[str] = ()
) -> None:
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
        *after,
    ]
    terminal.emit(facts, "\n".join(lines))

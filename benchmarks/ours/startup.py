"""The first moments of a program that uses Holdfast."""

from pathlib import Path

from holdfast.workspace.creation import create

COMMANDS = {
    "help": ["-m", "holdfast", "--help"],
    "import": ["-c", "import holdfast"],
    "open": ["-c", "import holdfast; holdfast.open_workspace('workspace')"],
    "status": ["-m", "holdfast", "status", "-w", "workspace"],
}


def prepare(folder: Path) -> None:
    """Make the workspace that is opened."""
    create(folder / "workspace", home=folder / "home")

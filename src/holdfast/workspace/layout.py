"""Where everything of a workspace lives, and how a workspace is found.

::

    <root>/                        the development directory
        agents/ mcp-servers/ shared/ configs/ logs/ scripts/ docker/ k8s/
        .holdfast/                 Holdfast's own state; `workspace.json` marks the workspace
    <home>/                        the person's home around it (`.claude.json`, `.claude/`, …)
        backups/<name>/            the vault
"""

import os
from pathlib import Path

import msgspec

from holdfast.durable.documents import convert, read_document
from holdfast.errors import NotFoundError

STATE_FOLDER = ".holdfast"
FOLDERS = ("agents", "mcp-servers", "shared", "configs", "logs", "scripts", "docker", "k8s")
ENVIRONMENT_VARIABLE = "HOLDFAST_WORKSPACE"


class Marker(msgspec.Struct, frozen=True, rename="camel"):
    """The content of ``.holdfast/workspace.json``; `home` is relative to the root if below it."""

    id: str
    name: str
    home: str
    format_version: int = 1


class Layout(msgspec.Struct, frozen=True):
    """The places of one workspace. Nothing here touches the disk."""

    root: Path
    home: Path
    name: str
    id: str

    @property
    def agents(self) -> Path:
        return self.root / "agents"

    @property
    def servers(self) -> Path:
        return self.root / "mcp-servers"

    @property
    def configs(self) -> Path:
        return self.root / "configs"

    @property
    def workflows(self) -> Path:
        return self.configs / "workflows"

    @property
    def logs(self) -> Path:
        return self.root / "logs"

    @property
    def agent_registry(self) -> Path:
        return self.configs / "agents" / "agent-registry.json"

    @property
    def server_registry(self) -> Path:
        return self.configs / "mcp" / "mcp-registry.json"

    @property
    def environment(self) -> Path:
        return self.configs / "environment.json"

    @property
    def settings(self) -> Path:
        return self.configs / "holdfast.json"

    @property
    def state(self) -> Path:
        return self.root / STATE_FOLDER

    @property
    def database(self) -> Path:
        return self.state / "state.db"

    @property
    def queues(self) -> Path:
        return self.state / "queues"

    @property
    def generations(self) -> Path:
        return self.state / "generations"

    @property
    def quarantine(self) -> Path:
        return self.state / "quarantine"

    @property
    def points(self) -> Path:
        return self.state / "points"

    @property
    def schedule(self) -> Path:
        return self.state / "schedule"

    @property
    def secrets(self) -> Path:
        return self.state / "secrets"

    @property
    def locks(self) -> Path:
        return self.state / "locks"

    @property
    def backups(self) -> Path:
        return self.home / "backups" / self.name


def marker_of(root: Path) -> Path:
    """The file that makes `root` a workspace."""
    return root / STATE_FOLDER / "workspace.json"


def read_layout(root: Path) -> Layout:
    """The layout of the workspace at `root`. Raises `NotFoundError`, `UnreadableError`."""
    root = root.absolute()
    if not marker_of(root).is_file():
        raise _no_workspace(root)
    marker = convert(read_document(marker_of(root)), Marker)
    home = Path(os.path.normpath(root / marker.home))
    return Layout(root, home, marker.name, marker.id)


def find_layout(start: Path | None = None) -> Layout:
    """The workspace at `start`, else ``$HOLDFAST_WORKSPACE``, else the nearest folder upwards.

    `start` and the variable name a workspace's root exactly. Raises `NotFoundError`.
    """
    named = start or os.environ.get(ENVIRONMENT_VARIABLE)
    if named:
        return read_layout(Path(named))
    try:
        here = Path.cwd()
    except FileNotFoundError as error:
        hint = "change to a folder that is there, or name the workspace: -w DIR"
        raise NotFoundError("the folder you are in was removed", hint=hint) from error
    for folder in (here, *here.parents):
        if marker_of(folder).is_file():
            return read_layout(folder)
    raise _no_workspace(here)


def _no_workspace(place: Path) -> NotFoundError:
    return NotFoundError(
        "this is not a Holdfast workspace",
        path=place,
        hint="make one with 'holdfast init DIR', or take an existing folder with 'holdfast adopt'",
    )

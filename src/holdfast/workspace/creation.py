"""Making a workspace, and taking an existing folder as one; nothing there is overwritten."""

import os
import sys
import uuid
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

from holdfast.durable import reserve
from holdfast.durable.documents import encode
from holdfast.durable.files import make_folder, write_atomic
from holdfast.durable.locks import Lock
from holdfast.durable.names import is_within, same_path
from holdfast.errors import ConflictError, NotFoundError, UsageError
from holdfast.workspace.layout import (
    FOLDERS,
    STATE_FOLDER,
    Layout,
    Marker,
    marker_of,
    read_layout,
)

_TEMPLATES = Path(__file__).parent / "templates"
GITIGNORE = _TEMPLATES / "doors" / "dot-gitignore"  # what a new workspace keeps out of git
_GROUPS: dict[str, object] = {"production": {}, "staging": {}, "development": {}}
_DOCUMENTS: dict[str, object] = {
    "configs/agents/agent-registry.json": {"agentRegistry": _GROUPS},
    "configs/mcp/mcp-registry.json": {"mcpRegistry": _GROUPS},
    "configs/environment.json": {"PYTHONUTF8": "1"},
}


@dataclass
class Creation:
    """What `create` or `adopt` did: paths relative to the root, made now or there before."""

    layout: Layout
    made: list[str] = field(default_factory=list)
    kept: list[str] = field(default_factory=list)


def create(root: Path, *, home: Path | None = None, examples: bool = False) -> Creation:
    """Make a workspace at `root`, or complete one: all folders, registries and scripts.

    `home` is the person's home around it; by default the real one if `root` lies in it, else the
    parent of `root`. With `examples` the example agents and servers are added.

    Raises `UsageError` when `root` cannot be a workspace, `StorageError` when the disk refuses.
    """
    creation = adopt(root, home=home, make_root=True)
    for folder in FOLDERS:
        _ensure_folder(creation, folder)
    documents = _DOCUMENTS | (_example_documents() if examples else {})
    for name, data in documents.items():
        _ensure_file(creation, name, encode(data))
    for template in ["doors", *(["examples"] if examples else [])]:
        for name, content in _template_files(_TEMPLATES / template):
            _ensure_file(creation, name, content)
    return creation


def adopt(root: Path, *, home: Path | None = None, make_root: bool = False) -> Creation:
    """Take the folder `root` as a workspace. Only ``.holdfast/`` is added; nothing else changes.

    Adopting a workspace again changes nothing. Raises as `create`, and `NotFoundError` when there
    is no such folder.
    """
    root = Path(os.path.normpath(root.absolute()))
    if marker_of(root).is_file():
        return Creation(read_layout(root), kept=[STATE_FOLDER])
    if not root.is_dir() and not make_root:
        hint = f"make a new workspace: holdfast init {root}"
        raise NotFoundError("there is no such folder", path=root, hint=hint)
    home = _home_for(root, home)
    _refuse_unfit(root, home)
    make_folder(root / STATE_FOLDER, private=True)
    with Lock(root / STATE_FOLDER / "locks" / "workspace.lock", purpose="make the workspace"):
        if not marker_of(root).is_file():
            _ensure_state(root, home)
    return Creation(read_layout(root), made=[STATE_FOLDER])


def missing_parts(layout: Layout) -> list[str]:
    """What `create` would add to this workspace, relative to its root."""
    doors = [name for name, _ in _template_files(_TEMPLATES / "doors")]
    expected = [*FOLDERS, *_DOCUMENTS, *doors]
    return [name for name in expected if not (layout.root / name).exists()]


def _example_documents() -> dict[str, object]:
    """The registries with the example servers in them.

    The Node one is inactive: its packages must be installed first (npm install in its folder).
    """
    beside = Path(sys.executable).with_name("node.exe" if sys.platform == "win32" else "node")
    servers: dict[str, object] = {
        "utilities": {
            "type": "stdio",
            "command": sys.executable,
            "args": ["mcp-servers/utilities/server.py"],
            "description": "Time, hashing, JSON, text, and search in the workspace's files.",
        },
        "financial": {
            "type": "stdio",
            "command": str(beside) if beside.is_file() else "node",
            "args": ["mcp-servers/financial/server.mjs"],
            "status": "inactive",
            "description": "A local ledger, statement import, loans and cash flows; needs Node 22.",
        },
    }
    groups = {**_GROUPS, "production": servers}
    return {"configs/mcp/mcp-registry.json": {"mcpRegistry": groups}}


def _ensure_state(root: Path, home: Path) -> None:
    make_folder(root / STATE_FOLDER, private=True)
    write_atomic(root / STATE_FOLDER / ".gitignore", b"*\n")
    reserve.lay_by(root)
    marker = Marker(id=str(uuid.uuid4()), name=root.name, home=_relative_home(root, home))
    write_atomic(marker_of(root), encode(marker))


def _home_for(root: Path, home: Path | None) -> Path:
    if home is not None:
        return Path(os.path.normpath(home.absolute()))
    return Path.home() if is_within(root, Path.home()) else root.parent


def _relative_home(root: Path, home: Path) -> str:
    """Relative where the workspace lies in its home, so that both can move together."""
    if root.is_relative_to(home):
        return "/".join([".."] * len(root.relative_to(home).parts)) or "."
    return str(home)


def _refuse_unfit(root: Path, home: Path) -> None:
    for above in root.parents:
        if marker_of(above).is_file():
            raise UsageError(
                f"the folder lies in the workspace {above}",
                path=root,
                hint="a workspace cannot hold another; choose a folder outside of it",
            )
    if same_path(root, home) or same_path(root, Path(root.anchor)) or is_within(home, root):
        raise UsageError(
            "a workspace is a folder inside the home, not the home itself",
            path=root,
            hint=f"for example: holdfast init {root / 'development'}",
        )
    inner = next(_workspaces_below(root), None)
    if inner is not None:
        raise UsageError(f"the folder holds the workspace {inner}", path=root)


def _workspaces_below(root: Path) -> Iterator[Path]:
    """Workspaces one or two levels below; deeper ones are noticed when they are used."""
    for pattern in ("*", "*/*"):
        for folder in root.glob(pattern):
            if folder.is_dir() and marker_of(folder).is_file():
                yield folder


def _ensure_folder(creation: Creation, name: str) -> None:
    path = creation.layout.root / name
    if path.exists() and not path.is_dir():
        raise UsageError(f"a file is where the folder {name}/ belongs", path=path)
    (creation.kept if path.is_dir() else creation.made).append(name)
    make_folder(path)


def _ensure_file(creation: Creation, name: str, content: bytes) -> None:
    path = creation.layout.root / name
    if os.path.lexists(path):
        creation.kept.append(name)
        return
    make_folder(path.parent)
    try:
        write_atomic(path, content, exclusive=True)
        creation.made.append(name)
    except ConflictError:  # somebody else made it a moment ago
        creation.kept.append(name)


def _template_files(folder: Path) -> Iterator[tuple[str, bytes]]:
    """Each template file: its path in the workspace and its content."""
    for path in sorted(folder.rglob("*")):
        if path.is_file() and path.suffix != ".pyc":
            name = path.relative_to(folder).as_posix().replace("dot-", ".")
            yield name, path.read_bytes()

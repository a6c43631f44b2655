"""Holdfast's own MCP server in the clients' files: put in, taken out, looked at."""

import sys
from collections.abc import Iterator, Sequence
from typing import Any, Literal

import msgspec

from holdfast.claude.guest_file import Edit, Put, Remove
from holdfast.claude.places import claude_places
from holdfast.errors import ConflictError, HoldfastError, NotFoundError
from holdfast.facade import Workspace
from holdfast.registry.clients.blocks import ServerBlock, block_for_scope, blocks_of

Client = Literal["code", "desktop"]
CodeScope = Literal["user", "local", "project"]

NAME = "holdfast"
_COMMAND = ["-m", "holdfast", "mcp"]


class Offered(msgspec.Struct, frozen=True, rename="camel"):
    """One block of servers of a client's file: whether the server is in it, and what is wrong."""

    client: str
    scope: str
    path: str
    installed: bool
    problem: str | None = None


def install(
    workspace: Workspace,
    clients: Sequence[Client] = (),
    *,
    scope: CodeScope = "user",
    name: str = NAME,
    dry_run: bool = False,
) -> list[Edit]:
    """Put the server into the files of `clients`, by default of those that are installed.

    Everything else in them stays. Raises `ConflictError` when another server has that name,
    before any file is changed, and as `GuestFile.edit`.
    """
    blocks = list(_blocks(workspace, clients, scope))
    wanted = entry_of(workspace)
    for block in blocks:
        _refuse_another(block, name, wanted)
    return [_edited(block, [Put((*block.keys, name), wanted)], dry_run) for block in blocks]


def uninstall(
    workspace: Workspace,
    clients: Sequence[Client] = (),
    *,
    name: str = NAME,
    dry_run: bool = False,
) -> list[Edit]:
    """Take the server of this workspace out of every block that has it. Raises as `install`."""
    wanted = entry_of(workspace)
    edits = []
    for block in _every_block(workspace, clients):
        present = block.read().get(name)
        if present is not None and _is_ours(present, wanted):
            edits.append(_edited(block, [Remove((*block.keys, name))], dry_run))
    return edits


def offered(workspace: Workspace, name: str = NAME) -> list[Offered]:
    """Every block in which the server could stand. A file that cannot be read is a problem."""
    return [_look(workspace, block, name) for block in _every_block(workspace, ())]


def entry_of(workspace: Workspace) -> dict[str, Any]:
    """How a client starts the server: -P keeps what lies in its folder from being imported."""
    arguments = ["-P", *_COMMAND, "--workspace", str(workspace.layout.root)]
    return {"type": "stdio", "command": sys.executable, "args": arguments, "env": {}}


def _edited(block: ServerBlock, changes: list[Put | Remove], dry_run: bool) -> Edit:
    keys, present = changes[0].keys, block.read()
    if isinstance(changes[0], Put) and present.get(keys[-1]) == changes[0].value:
        changes = []
    return block.file.plan(changes) if dry_run or not changes else block.file.edit(changes)


def _blocks(
    workspace: Workspace, clients: Sequence[Client], scope: CodeScope
) -> Iterator[ServerBlock]:
    layout = workspace.layout
    if not clients or "code" in clients:
        yield block_for_scope(scope, layout)
    if not clients or "desktop" in clients:
        installed = {each for each in _desktop_configs(workspace) if each.parent.is_dir()}
        for block in blocks_of("desktop", layout):
            if clients or block.path in installed:
                yield block


def _every_block(workspace: Workspace, clients: Sequence[Client]) -> list[ServerBlock]:
    layout = workspace.layout
    return [
        block for client in (clients or ("code", "desktop")) for block in blocks_of(client, layout)
    ]


def _desktop_configs(workspace: Workspace) -> Any:
    return claude_places(workspace.layout.home).desktop_configs()


def _refuse_another(block: ServerBlock, name: str, wanted: dict[str, Any]) -> None:
    present = block.read().get(name)
    if present is not None and not _is_ours(present, wanted):
        raise ConflictError(
            f"another server is called {name!r} there",
            path=block.path,
            hint="choose a name of its own, for example: holdfast mcp install --name holdfast-2",
        )


def _is_ours(present: Any, wanted: dict[str, Any]) -> bool:
    """Whether an entry starts the server of the same workspace, by whatever Python."""
    arguments = present.get("args") if isinstance(present, dict) else None
    return isinstance(arguments, list) and arguments[-5:] == wanted["args"][-5:]


def _look(workspace: Workspace, block: ServerBlock, name: str) -> Offered:
    about = (block.client, block.scope, str(block.path))
    wanted = entry_of(workspace)
    try:
        present = block.read().get(name)
    except NotFoundError:
        return Offered(*about, installed=False)
    except HoldfastError as error:
        return Offered(*about, installed=False, problem=str(error))
    if present is None or not _is_ours(present, wanted):
        return Offered(*about, installed=False)
    if present.get("command") != wanted["command"]:
        problem = f"set for another Python, {present.get('command')}: holdfast mcp install"
        return Offered(*about, installed=True, problem=problem)
    return Offered(*about, installed=True)

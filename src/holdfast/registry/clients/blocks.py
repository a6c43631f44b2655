"""The blocks of servers in the clients' files: which there are, and what stands in them."""

import os
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from holdfast.claude.guest_file import GuestFile, LockKind, value_at
from holdfast.claude.json_members import NotPlainError, members_of
from holdfast.claude.places import claude_places, project_servers
from holdfast.claude.splicing import Keys
from holdfast.durable.documents import parse_object
from holdfast.durable.names import same_path
from holdfast.durable.positions import position_of_path
from holdfast.errors import NotFoundError, UnreadableError
from holdfast.workspace.layout import Layout

Scope = Literal["user", "local", "project", "desktop", "file"]

SERVERS_KEY = "mcpServers"

_BOM = b"\xef\xbb\xbf"


@dataclass(frozen=True)
class ServerBlock:
    """One ``mcpServers`` of a client's file: the file, and the keys that lead to it."""

    client: str
    scope: Scope
    path: Path
    lock: LockKind
    keys: Keys = (SERVERS_KEY,)

    @property
    def file(self) -> GuestFile:
        """The file it stands in."""
        return GuestFile(self.path, lock=self.lock)

    def at(self, keys: Keys) -> "ServerBlock":
        """The block of a project in the same file."""
        return ServerBlock(self.client, "local", self.path, self.lock, keys)

    def read(self) -> dict[str, Any]:
        """Its servers by name; none when the file, or the block, is not there.

        Raises `UnreadableError`, `StorageError`.
        """
        try:
            return self.in_content(self.file.read_bytes())
        except NotFoundError:
            return {}

    def in_content(self, content: bytes) -> dict[str, Any]:
        """Its servers in `content`, the bytes of the file. Raises `UnreadableError`."""
        try:
            servers = value_at(content, self.keys, missing={})
        except (NotPlainError, UnicodeDecodeError) as error:
            parse_object(content, self.path)  # says where
            raise UnreadableError(f"not valid JSON: {error}", path=self.path) from error
        if not isinstance(servers, dict):
            at = position_of_path(content.removeprefix(_BOM).decode(), self.keys)
            raise UnreadableError(
                f"an object is expected at {'.'.join(self.keys)}",
                path=self.path,
                hint="mend the file by hand or restore an earlier version; nothing was changed",
                line=at.line if at else None,
                column=at.column if at else None,
            )
        return servers


def blocks_of(client: str, layout: Layout) -> list[ServerBlock]:
    """The blocks of ``code`` or ``desktop`` that concern a workspace, strongest first.

    Of the client's many projects those count that are the workspace, its home, or lie in the
    workspace. Raises `UnreadableError`.
    """
    places = claude_places(layout.home)
    if client == "desktop":
        return [
            ServerBlock("desktop", "desktop", path, "none") for path in places.desktop_configs()
        ]
    *projects, user = fixed_blocks(layout)
    local = [user.at(("projects", key, SERVERS_KEY)) for key in project_keys(user, layout)]
    return [*local, *projects, user]


def fixed_blocks(layout: Layout) -> list[ServerBlock]:
    """Claude Code's blocks that no file must be read to know: of the projects, then the user's."""
    projects = [
        ServerBlock("code", "project", project_servers(folder), "none")
        for folder in (layout.root, layout.home)
    ]
    user = claude_places(layout.home).user_config
    return [*projects, ServerBlock("code", "user", user, "folder")]


def block_for_scope(scope: Scope, layout: Layout) -> ServerBlock:
    """Claude Code's block of `scope` for this workspace, also when it is not there yet."""
    for block in blocks_of("code", layout):
        if block.scope == scope and (scope != "local" or _is_project(block.keys[1], layout.root)):
            return block
    path = claude_places(layout.home).user_config
    keys = ("projects", project_key(layout.root), SERVERS_KEY)
    return ServerBlock("code", "local", path, "folder", keys)


def project_keys(user: ServerBlock, layout: Layout) -> list[str]:
    """The keys below ``projects`` that concern the workspace, in their existing spelling."""
    try:
        content = user.file.read_bytes()
    except NotFoundError:
        return []
    try:
        return [
            key
            for key in keys_at(content, "projects")
            if _is_project(key, layout.root, below=True) or _is_project(key, layout.home)
        ]
    except NotPlainError as error:
        parse_object(content, user.path)
        raise UnreadableError(f"not valid JSON: {error}", path=user.path) from error


def project_key(folder: Path) -> str:
    """How the client spells a project that it does not know yet."""
    return folder.as_posix() if sys.platform == "win32" else str(folder)


def keys_at(content: bytes, name: str) -> Iterator[str]:
    """The keys of the object `name` in a file; none where it is no object.

    Raises `NotPlainError`.
    """
    text = content.removeprefix(_BOM)
    for member in members_of(text):
        if member.key == name and text[member.value_start : member.value_start + 1] == b"{":
            inner = members_of(text, member.value_start, member.value_end)
            yield from (each.key for each in inner)


def _is_project(key: str, folder: Path, *, below: bool = False) -> bool:
    """Whether a project's key is `folder`, by whatever spelling, or (`below`) lies in it."""
    spelt = os.path.normcase(os.path.normpath(key))
    wanted = os.path.normcase(os.path.normpath(folder))
    if spelt == wanted or same_path(Path(key), folder):
        return True
    return below and spelt.startswith(wanted.rstrip(os.sep) + os.sep)

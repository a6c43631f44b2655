"""Noticing that a client's file was torn, emptied or lost servers, while it can still be mended."""

import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Literal

import msgspec

from holdfast.claude.guest_file import parse_value
from holdfast.claude.json_members import Member, NotPlainError, members_of
from holdfast.claude.places import claude_places
from holdfast.claude.splicing import Keys
from holdfast.durable.documents import parse_object
from holdfast.durable.locks import Lock
from holdfast.errors import HoldfastError, NotFoundError, UnreadableError
from holdfast.registry.clients.blocks import (
    SERVERS_KEY,
    ServerBlock,
    blocks_of,
    fixed_blocks,
)
from holdfast.registry.clients.memory import Memory, digests_of, read_memory, write_memory
from holdfast.registry.clients.syncing import former_versions, guests_folder
from holdfast.workspace.layout import Layout

AlarmKind = Literal["torn", "gone", "lost", "shrunk"]

_SEEN = "seen"
_SETTLING = 0.25  # seconds in which a writer that does not replace at once may be at work
_LARGE = 4096  # bytes; a smaller file may lose half of itself any day


class Alarm(msgspec.Struct, frozen=True, rename="camel"):
    """Something happened to a client's file.

    `torn`: it cannot be read; `gone`: it is there no more; `lost`: the `servers` are missing from
    it; `shrunk`: it lost more than half of what it held. `kept` is the copy of a torn one.
    """

    path: str
    kind: AlarmKind
    message: str
    servers: list[str] = []
    kept: str | None = None


def watched_blocks(layout: Layout) -> list[ServerBlock]:
    """One block of each file that is watched."""
    desktop = blocks_of("desktop", layout)
    return list({block.path: block for block in [*fixed_blocks(layout), *desktop]}.values())


def look(layout: Layout, *, accept: bool = False) -> list[Alarm]:
    """Look at every client's file once; returns what is wrong with them since the last look.

    An alarm stands until the file is mended, or until its state is accepted with `accept`. Each
    readable version with other servers than the one before is kept, for `put_back`; so is each
    torn one. Raises `UnreadableError` when Holdfast's own memory cannot be read.
    """
    with Lock(layout.locks / "guests-watch.lock", purpose="watch the clients' files"):
        memory = read_memory(guests_folder(layout), _SEEN)
        before = msgspec.json.encode(memory)
        alarms = [
            alarm
            for block in watched_blocks(layout)
            for alarm in _look_at(block, layout, memory, accept=accept)
        ]
        if msgspec.json.encode(memory) != before:
            write_memory(guests_folder(layout), _SEEN, memory)
    return alarms


def last_seen(layout: Layout, path: Path) -> dict[str, list[str]]:
    """The servers that were last seen in a file, by the keys of their block as a JSON array."""
    memory = read_memory(guests_folder(layout), _SEEN)
    return {keys: list(servers) for keys, servers in memory.files.get(str(path), {}).items()}


def servers_by_block(block: ServerBlock, content: bytes) -> dict[Keys, dict[str, Any]]:
    """All servers of a file by block, those of all projects included; empty blocks are left out.

    Raises `UnreadableError` for what is torn.
    """
    found = {block.keys: block.in_content(content)}
    if block.scope == "user":
        found |= _servers_of_projects(content.removeprefix(b"\xef\xbb\xbf"), block.path)
    return {keys: servers for keys, servers in found.items() if servers}


def _servers_of_projects(text: bytes, path: Path) -> Iterator[tuple[Keys, dict[str, Any]]]:
    """In one pass: such a file may hold thousands of projects."""
    try:
        for projects in members_of(text):
            if projects.key != "projects" or not _is_object(text, projects):
                continue
            for project in members_of(text, projects.value_start, projects.value_end):
                if not _is_object(text, project):
                    continue
                for member in members_of(text, project.value_start, project.value_end):
                    if member.key == SERVERS_KEY and _is_object(text, member):
                        servers = parse_value(text[member.value_start : member.value_end])
                        yield ("projects", project.key, SERVERS_KEY), servers
    except NotPlainError as error:
        parse_object(text, path)
        raise UnreadableError(f"not valid JSON: {error}", path=path) from error


def _is_object(text: bytes, member: Member) -> bool:
    return text[member.value_start : member.value_start + 1] == b"{"


def _look_at(
    block: ServerBlock, layout: Layout, memory: Memory, *, accept: bool
) -> Iterator[Alarm]:
    name = str(block.path)
    known = memory.files.get(name, {})
    try:
        content, servers = _settled(block)
    except NotFoundError:
        if any(known.values()) and not accept:
            names = sorted(name for each in known.values() for name in each)
            yield Alarm(name, "gone", "the file is there no more", names)
        elif accept:
            memory.files.pop(name, None)
            memory.sizes.pop(name, None)
        return
    except UnreadableError as error:
        kept = former_versions(layout, block.path).add(block.file.read_bytes())
        text = str(error).removeprefix(f"{error.path}: ").partition(" (")[0]
        yield Alarm(name, "torn", f"the file cannot be read: {text}", kept=str(kept.path))
        return
    except HoldfastError as error:
        yield Alarm(name, "torn", f"the file cannot be read: {error.message}")
        return
    present = {memory.name_of(keys): digests_of(found) for keys, found in servers.items()}
    lost = {
        keys: [each for each in digests if each not in present.get(keys, {})]
        for keys, digests in known.items()
    }
    names = sorted(each for found in lost.values() for each in found)
    shrunk = len(content) * 2 < memory.sizes.get(name, 0) and memory.sizes[name] > _LARGE
    if names and not accept:
        yield Alarm(name, "lost", f"servers are missing: {', '.join(names)}", names)
    elif shrunk and not accept:
        sizes = f"{memory.sizes[name]} to {len(content)} bytes"
        yield Alarm(name, "shrunk", f"the file lost more than half of itself: {sizes}")
    # Not what is only poorer: looked at often, it would crowd out the version to go back to.
    if any(found.items() - known.get(keys, {}).items() for keys, found in present.items()):
        former_versions(layout, block.path).add(content)
    if accept or not (names or shrunk):
        memory.sizes[name] = len(content)
        if present or known:
            memory.files[name] = present
    else:  # what is lost stays known until it is back or accepted
        for keys, digests in present.items():
            memory.files.setdefault(name, {}).setdefault(keys, {}).update(digests)


def _settled(block: ServerBlock) -> tuple[bytes, dict[Keys, dict[str, Any]]]:
    """The file, read again a moment later when it was torn: somebody may just be writing it."""
    try:
        content = block.file.read_bytes()
        return content, servers_by_block(block, content)
    except UnreadableError:
        time.sleep(_SETTLING)
        content = block.file.read_bytes()
        return content, servers_by_block(block, content)


def watched_folders(layout: Layout) -> list[Path]:
    """The folders whose changes are worth a look; those that are there."""
    places = claude_places(layout.home)
    folders = {block.path.parent for block in watched_blocks(layout)} | {places.user_config.parent}
    return sorted(folder for folder in folders if folder.is_dir())

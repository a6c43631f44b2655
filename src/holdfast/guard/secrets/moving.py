"""Moving secrets out of files: the value into the store, a reference into the file.

The value is in the store, read back and synced, before the file is touched: killed at any instant,
it is in the file, in the store, or in both.
"""

import json
import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import msgspec

from holdfast.claude.guest_file import GuestFile, Put
from holdfast.claude.places import claude_places
from holdfast.durable.faults import fault_point
from holdfast.durable.files import read_bytes, write_atomic
from holdfast.durable.points import note_document
from holdfast.errors import ConflictError, MissingError, RefusedError, UsageError
from holdfast.facade import Workspace
from holdfast.guard.secrets.spots import Spot, replaced, spots_in
from holdfast.secrets.scanning import is_env_file
from holdfast.secrets.store import Kept, check_name
from holdfast.workspace.layout import Layout


class Moved(msgspec.Struct, frozen=True, rename="camel"):
    """One secret that was moved, or would be: its line, its name, where it is kept."""

    line: int
    name: str
    reference: str
    kept_in: Kept | None


def move(
    workspace: Workspace,
    path: Path,
    *,
    line: int | None = None,
    name: str | None = None,
    reference: str | None = None,
    everything: bool = False,
    dry_run: bool = False,
) -> list[Moved]:
    """Move the secret of the file `path`: the only one, that of `line`, or with `everything` all.

    `reference` is what the file gets, with ``{name}`` for the name; else what its program expands.
    Raises `UsageError` when it is not clear which, `RefusedError` for a file whose program expands
    no references, `ConflictError` when the name is taken by another value, `StorageError`.
    """
    path = Path(os.path.normpath(path.absolute()))
    form = reference or _form(workspace.layout, path)
    spots = spots_in(read_bytes(path), path, line)
    if len({spot.value for spot in spots}) > 1 and not everything:
        lines = ", ".join(str(spot.line) for spot in spots)
        raise UsageError(
            f"it holds several secrets, in the lines {lines}",
            path=path,
            hint="choose one with --line N, or take them all with --all",
        )
    names = _names(spots, name, path)
    references = [form.replace("{name}", each) for each in names]
    kept: list[Kept | None] = [None] * len(spots)
    for spot, each in zip(spots, names, strict=True):
        _refuse_taken(workspace, each, spot.value)
    if not dry_run:
        for number, (spot, each) in enumerate(zip(spots, names, strict=True)):
            kept[number] = workspace.secrets.put(each, spot.value)
            fault_point("secrets.move.kept")
        if path != workspace.layout.environment:
            give_to_services(workspace.layout, names)
        _write(workspace.layout, path, spots, references)
        fault_point("secrets.move.written")
    return [
        Moved(spot.line, each, text, where)
        for spot, each, text, where in zip(spots, names, references, kept, strict=True)
    ]


def give_to_services(layout: Layout, names: Sequence[str]) -> None:
    """Let services get these secrets as variables of the same names; what is set already stays."""
    file = GuestFile(layout.environment, lock="none")

    def changes(before: bytes | None) -> list[Put]:
        present: dict[str, Any] = {} if before is None else file.read()
        # Where the file itself holds the value, it is about to be replaced there.
        missing = [name for name in dict.fromkeys(names) if name not in present]
        return [Put((name,), f"${{secret:{name}}}") for name in missing]

    file.edit(changes)


def _form(layout: Layout, path: Path) -> str:
    """What the program that reads `path` expands."""
    claude = claude_places(layout.home)
    if path == layout.environment:
        return "${secret:{name}}"
    generated = layout.server_registry.with_name("claude-code-updated.json")
    expanding = (claude.user_config, generated, layout.server_registry, layout.agent_registry)
    if path in expanding or path.name == ".mcp.json" or is_env_file(path.name):
        return "${{name}}"
    if path in claude.desktop_configs():
        message = "Claude Desktop expands no variables: the server would get the bare reference"
        raise RefusedError(message, path=path, hint="let the server read the secret itself")
    raise RefusedError(
        "it is not known what the program that reads this file expands",
        path=path,
        hint="say what to write in its place, for example: --reference '${{name}}'",
    )


def _names(spots: Sequence[Spot], name: str | None, path: Path) -> list[str]:
    """A name for each: one value has one, and two values never share one."""
    if name is not None and len({spot.value for spot in spots}) > 1:
        raise UsageError("one name cannot stand for several secrets", path=path)
    by_value: dict[str, str] = {}
    for spot in spots:
        if spot.value in by_value:
            continue
        chosen = proposed = check_name(name or spot.name)
        number = 2
        while chosen in by_value.values():
            chosen, number = f"{proposed}_{number}", number + 1
        by_value[spot.value] = chosen
    return [by_value[spot.value] for spot in spots]


def _refuse_taken(workspace: Workspace, name: str, value: str) -> None:
    try:
        taken = workspace.secrets.get(name) != value
    except MissingError:
        return
    if taken:
        raise ConflictError(
            f"another value is kept as {name} already", hint="choose another one: --name NAME"
        )


def _write(layout: Layout, path: Path, spots: Sequence[Spot], references: Sequence[str]) -> None:
    if path.suffix == ".json":
        is_locked = path == claude_places(layout.home).user_config
        file = GuestFile(path, lock="folder" if is_locked else "none")
        file.rewrite(lambda before: _after(before, path, spots, references))
        return
    before = read_bytes(path)
    after = _after(before, path, spots, references)

    def unchanged() -> None:
        if read_bytes(path) != before:
            raise _changed(path)

    note_document(path)
    write_atomic(path, after, check=unchanged)


def _after(before: bytes, path: Path, spots: Sequence[Spot], references: Sequence[str]) -> bytes:
    """The new bytes, if the secrets still stand where they stood; else `ConflictError`."""
    known = {(spot.start, spot.end, spot.value) for spot in spots}
    now = {(spot.start, spot.end, spot.value) for spot in spots_in(before, path, None)}
    if not known <= now:
        raise _changed(path)
    after = replaced(before, spots, references)
    if path.suffix == ".json":
        _check_json(before, after, path, spots, references)
    return after


def _check_json(
    before: bytes, after: bytes, path: Path, spots: Sequence[Spot], references: Sequence[str]
) -> None:
    """Only the values may have changed: with the references put back, all is as it was."""

    def put_back(value: Any) -> Any:
        if isinstance(value, dict):
            return {key: put_back(inner) for key, inner in value.items()}
        if isinstance(value, list):
            return [put_back(inner) for inner in value]
        if isinstance(value, str):
            for spot, reference in zip(spots, references, strict=True):
                value = value.replace(reference, spot.value)
        return value

    bom = b"\xef\xbb\xbf"
    old, new = json.loads(before.removeprefix(bom)), json.loads(after.removeprefix(bom))
    if put_back(new) != put_back(old):
        raise RefusedError("more than the secret would change", path=path)


def _changed(path: Path) -> ConflictError:
    return ConflictError("the file changed in between", path=path, hint="run it again")

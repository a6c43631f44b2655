"""The secrets that are kept, and which files refer to them."""

import re
from pathlib import Path

import msgspec

from holdfast.durable.files import read_bytes
from holdfast.errors import HoldfastError
from holdfast.facade import Workspace
from holdfast.guard.secrets.places import candidates, shown
from holdfast.secrets.store import Kept

_LARGEST = 8 << 20  # bytes of a settings file that is looked through for references


class KeptSecret(msgspec.Struct, frozen=True, rename="camel"):
    """A secret's name, where it is kept, whether it can be read, and the files that refer to it."""

    name: str
    kept_in: Kept | None
    problem: str | None
    used_in: list[str]


def kept_secrets(workspace: Workspace) -> list[KeptSecret]:
    """Every secret that is kept, and every one that a file refers to. Raises `StorageError`."""
    kept = {each.name: each.kept_in for each in workspace.secrets.list()}
    uses = _uses(workspace, kept)
    found = []
    for name in sorted({*kept, *uses}):
        problem = None
        try:
            workspace.secrets.get(name)
        except HoldfastError as error:
            problem = error.message
        found.append(KeptSecret(name, kept.get(name), problem, uses.get(name, [])))
    return found


def _uses(workspace: Workspace, kept: "dict[str, Kept]") -> dict[str, list[str]]:
    layout = workspace.layout
    plain = "|".join(map(re.escape, kept)) or "(?!)"
    reference = re.compile(
        rf"\$\{{(?:secret:([A-Z_][A-Z0-9_]*)|({plain})(?::-[^}}]*)?)\}}".encode()
    )
    uses: dict[str, list[str]] = {}
    for each in candidates(layout):
        if each.place not in ("settings", "environment") or each.size > _LARGEST:
            continue
        for match in reference.finditer(_content(each.path)):
            name = (match[1] or match[2]).decode()
            places = uses.setdefault(name, [])
            if (where := shown(each.path, layout)) not in places:
                places.append(where)
    return uses


def _content(path: Path) -> bytes:
    try:
        return read_bytes(path)
    except HoldfastError:
        return b""

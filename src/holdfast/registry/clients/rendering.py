"""A registered server as a client is to have it."""

import os
from pathlib import Path
from typing import Any

from holdfast.registry.places import is_absolute
from holdfast.registry.server_entries import Server


def rendered(server: Server, client: str, root: Path) -> dict[str, Any]:
    """The settings of `server` for `client`.

    What is the relative path of something in the workspace becomes absolute: a client starts its
    servers in whatever folder it happens to be. References (``${VAR}``) stay references.
    """
    settings = {"type": server.type, **server.settings}
    if server.type == "stdio" and settings.get("command"):
        settings["command"] = _absolute(settings["command"], root, bare_names=False)
        settings["args"] = [_absolute(each, root) for each in settings.get("args") or []]
        settings.setdefault("env", {})
    if client == "desktop":
        del settings["type"]  # it knows one kind only
    return settings


def why_not(server: Server, client: str) -> str | None:
    """Why `client` cannot have a server that it is meant to have, or None."""
    needed = "command" if server.type == "stdio" else "url"
    if not server.settings.get(needed):
        return f"it has no {needed}"
    if client == "desktop" and server.type != "stdio":
        return f"Claude Desktop starts stdio servers only, not {server.type}"
    return None


def _absolute(text: str, root: Path, *, bare_names: bool = True) -> str:
    looks_like_path = "/" in text or os.sep in text
    if not text or text.startswith("-") or is_absolute(text) or "\0" in text:
        return text
    if not (looks_like_path or (bare_names and Path(text).suffix)):
        return text
    place = root / text
    return str(Path(os.path.normpath(place))) if os.path.lexists(place) else text

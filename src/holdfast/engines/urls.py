"""Engine URLs: ``memory://``, ``file:///dir``, ``json:///dir``, ``sqlite:///path``,
``redis://…`` and ``postgresql://…``.

A path is absolute: ``sqlite:////srv/data/state.db`` and ``sqlite:///C:/data/state.db`` as in
SQLAlchemy; ``file:///srv/data/queues`` and ``file:///C:/data/queues`` as in RFC 8089. On Windows,
``file:////server/share/queues`` and ``file://server/share/queues`` are the share's.
"""

import os
import re
import sys
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import SplitResult, parse_qsl, unquote_to_bytes, urlsplit

from holdfast.durable.names import plain_path
from holdfast.errors import UsageError

SCHEMES = ("memory", "file", "json", "sqlite", "redis", "rediss", "postgresql")
_ON_DISK = ("file", "json", "sqlite")
_PASSWORD_OPTION = re.compile(r"([?&](?:ssl)?password=)[^&#]*")


@dataclass(frozen=True)
class EngineUrl:
    """A parsed engine URL; `path` is None for engines that are not on this disk.

    `text` may hold a password; ``str()`` and `repr` do not show it.
    """

    text: str = field(repr=False)
    scheme: str
    path: Path | None
    options: dict[str, str]

    def __str__(self) -> str:
        return without_password(self.text)

    def require_path(self) -> Path:
        """The path, or `UsageError` when the URL has none."""
        if self.path is None:
            raise UsageError(f"the engine URL {str(self)!r} needs a path")
        return self.path


def parse_url(text: str) -> EngineUrl:
    """Parse an engine URL. Raises `UsageError` for an unknown engine or a missing path."""
    shown = without_password(text)
    try:
        parts = urlsplit(text)
    except ValueError as error:
        raise UsageError(f"{shown!r} is not a URL: {error}") from error
    if parts.scheme not in SCHEMES:
        known = ", ".join(f"{scheme}://" for scheme in SCHEMES)
        raise UsageError(f"no engine for the URL {shown!r}", hint=f"use one of {known}")
    path = _path_of(parts, shown) if parts.scheme in _ON_DISK else None
    return EngineUrl(text, parts.scheme, path, dict(parse_qsl(parts.query, keep_blank_values=True)))


def url_for(scheme: str, path: Path) -> str:
    """The URL of an engine on this disk, e.g. ``url_for("sqlite", Path("/srv/state.db"))``."""
    rest = plain_path(path.absolute()).as_uri().removeprefix("file:")
    return f"{scheme}:{rest if rest.startswith('///') else '//' + rest}"


def without_password(text: str) -> str:
    """The URL with ``***`` for its password, as it may be shown and logged."""
    text = _PASSWORD_OPTION.sub(r"\1***", text)
    scheme, mark, rest = text.partition("://")
    authority, slash, path = rest.partition("/")
    user, at, host = authority.rpartition("@")
    if not at or ":" not in user:
        return text
    return f"{scheme}{mark}{user.partition(':')[0]}:***@{host}{slash}{path}"


def _path_of(parts: SplitResult, shown: str) -> Path:
    if parts.fragment:
        raise UsageError(f"the engine URL {shown!r} has a '#'", hint="write it as %23")
    text = os.fsdecode(unquote_to_bytes(parts.path))
    host = "" if parts.netloc == "localhost" else parts.netloc
    foreign = bool(host) and sys.platform != "win32"
    if foreign or "\0" in text or not text.strip("/"):
        raise UsageError(
            f"the engine URL {shown!r} needs an absolute path",
            hint=f"for example {parts.scheme}:///srv/data/state",
        )
    if sys.platform == "win32":
        return _windows_path(host, text)
    return Path("/" + text.lstrip("/"))


def _windows_path(host: str, text: str) -> Path:
    below = text.lstrip("/")
    if host:
        return Path(f"//{host}/{below}")
    if below[1:2] == ":":
        return Path(below)
    return Path("//" + below) if text.startswith("//") else Path("/" + below).absolute()

"""Engine URLs: ``memory://``, ``file:///dir``, ``json:///dir``, ``sqlite:///path``,
``redis://…`` and ``postgresql://…``.

A path is absolute: ``sqlite:////srv/work/state.db`` and ``sqlite:///C:/work/state.db`` as in
SQLAlchemy; ``file:///srv/work/queues`` and ``file:///C:/work/queues`` as in RFC 8089.
"""

from dataclasses import dataclass
from pathlib import Path
from urllib.parse import parse_qsl, unquote, urlsplit

from holdfast.errors import UsageError

SCHEMES = ("memory", "file", "json", "sqlite", "redis", "rediss", "postgresql")


@dataclass(frozen=True)
class EngineUrl:
    """A parsed engine URL; `path` is None for engines that are not on this disk."""

    text: str
    scheme: str
    path: Path | None
    options: dict[str, str]

    def require_path(self) -> Path:
        """The path, or `UsageError` when the URL has none."""
        if self.path is None:
            raise UsageError(f"the engine URL {self.text!r} needs a path")
        return self.path


def parse_url(text: str) -> EngineUrl:
    """Parse an engine URL. Raises `UsageError` for an unknown engine or a missing path."""
    parts = urlsplit(text)
    if parts.scheme not in SCHEMES:
        known = ", ".join(f"{scheme}://" for scheme in SCHEMES)
        raise UsageError(f"no engine for the URL {text!r}", hint=f"use one of {known}")
    on_disk = parts.scheme in ("file", "json", "sqlite")
    if on_disk and (parts.netloc or not parts.path.strip("/")):
        raise UsageError(
            f"the engine URL {text!r} needs an absolute path",
            hint=f"for example {parts.scheme}:///srv/work/state",
        )
    path = _as_path(unquote(parts.path)) if on_disk else None
    return EngineUrl(text, parts.scheme, path, dict(parse_qsl(parts.query)))


def url_for(scheme: str, path: Path) -> str:
    """The URL of an engine on this disk, e.g. ``url_for("sqlite", Path("/srv/state.db"))``."""
    return f"{scheme}://{path.absolute().as_uri().removeprefix('file://')}"


def _as_path(text: str) -> Path:
    drive = text.lstrip("/")
    if len(drive) > 1 and drive[1] == ":":
        return Path(drive)
    return Path("/" + drive)

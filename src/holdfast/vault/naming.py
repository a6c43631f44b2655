"""The names of archives and copies: ``<workspace>-YYYYMMDD[-HHMMSS]`` in local time."""

import re
from datetime import datetime
from pathlib import Path

from holdfast.durable.names import long_path
from holdfast.errors import storage_errors

ARCHIVE, SEALED_ARCHIVE = ".tar.zst", ".tar.zst.age"
_STAMP = re.compile(r"-(\d{8})(?:-(\d{6}))?(?:-\d+)?$")


def kept_backups(folder: Path, kind: str) -> list[tuple[Path, datetime]]:
    """The archives or copies in `folder` and when they were taken, oldest first."""
    if not long_path(folder).is_dir():
        return []
    found = []
    with storage_errors(folder, "list the folder"):
        for path in sorted(long_path(folder).iterdir()):
            moment = _moment(path.name, kind)
            if moment is not None and path.is_dir() == (kind == "copy"):
                found.append((folder / path.name, moment))
    return sorted(found, key=lambda each: (each[1], each[0].name))


def free_name(folder: Path, workspace: str, suffix: str, moment: datetime) -> Path:
    """A name for a backup of `moment` that nothing in `folder` has."""
    local = moment.astimezone()
    stem = f"{workspace}-{local:%Y%m%d-%H%M%S}"
    names = [stem, *(f"{stem}-{number}" for number in range(2, 1000))]
    taken = {path.name for path in long_path(folder).iterdir()}
    return next(folder / (name + suffix) for name in names if not taken & _both(name))


def _both(name: str) -> set[str]:
    return {name, name + ARCHIVE, name + SEALED_ARCHIVE}


def _moment(name: str, kind: str) -> datetime | None:
    if name.startswith("."):
        return None
    if kind == "archive":
        if not name.endswith((ARCHIVE, SEALED_ARCHIVE)):
            return None
        name = name.removesuffix(".age").removesuffix(ARCHIVE)
    match = _STAMP.search(name)
    if match is None:
        return None
    try:
        return datetime.strptime(match[1] + (match[2] or "000000"), "%Y%m%d%H%M%S").astimezone()
    except ValueError:
        return None

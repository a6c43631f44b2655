"""What only the owner may read: state, backups, secrets, and the clients' files with keys in them.

On POSIX that is the mode: 0700 for a folder, 0600 for a file. On Windows it is a list of access
that names nobody but the owner, the system and the administrators.
"""

import os
import stat
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import msgspec

from holdfast.claude.places import claude_places
from holdfast.durable.names import long_path
from holdfast.errors import StorageError, storage_errors
from holdfast.facade import Workspace
from holdfast.secrets.store import default_identity
from holdfast.vault.sites import default_identity as backup_identity

_LIMIT = 10.0  # seconds for one call of a system's program


class TooOpen(msgspec.Struct, frozen=True, rename="camel"):
    """A path that others may read: how it is, and how it should be."""

    path: str
    now: str
    wanted: str


def private_places(workspace: Workspace) -> Iterator[Path]:
    """What is there and is for the owner only. What lies in such a folder is safe with it."""
    layout = workspace.layout
    claude = claude_places(layout.home)
    places = [layout.state, layout.secrets, default_identity(), backup_identity()]
    places += [each.folder for each in workspace.settings.destinations]
    places += [claude.user_config, claude.credentials, claude.transcripts, claude.shell_snapshots]
    places += [claude.prompts, claude.user_settings, *claude.desktop_configs()]
    places += [layout.root / ".env", layout.home / ".env"]
    for place in dict.fromkeys(places):
        if os.path.lexists(long_path(place)) and not long_path(place).is_symlink():
            yield place


def too_open(workspace: Workspace) -> list[TooOpen]:
    """The private places that others may read. Raises `StorageError`."""
    found = []
    for place in private_places(workspace):
        if (now := _open_to(place)) is not None:
            wanted = "0700" if long_path(place).is_dir() else "0600"
            found.append(TooOpen(str(place), now, wanted if os.name == "posix" else "owner only"))
    return found


def close(places: list[TooOpen]) -> None:
    """Make each of `places` readable for its owner only. Raises `StorageError`."""
    for place in places:
        _close(Path(place.path))


if sys.platform != "win32":

    def _open_to(path: Path) -> str | None:
        with storage_errors(path, "look at its mode"):
            mode = stat.S_IMODE(path.stat().st_mode)
        return f"{mode:04o}" if mode & 0o077 else None

    def _close(path: Path) -> None:
        with storage_errors(path, "change its mode"):
            path.chmod(stat.S_IMODE(path.stat().st_mode) & 0o700)

else:
    _TRUSTED = ("NT AUTHORITY\\SYSTEM", "BUILTIN\\ADMINISTRATORS")

    def _open_to(path: Path) -> str | None:
        others = [each for each in trusted_with(_icacls(path), path) if not _is_trusted(each)]
        return f"open to {', '.join(others)}" if others else None

    def _is_trusted(principal: str) -> bool:
        upper = principal.upper()
        return upper in _TRUSTED or upper.rpartition("\\")[2] == _owner().upper()

    def _owner() -> str:
        return os.environ.get("USERNAME", "")

    def _close(path: Path) -> None:
        _icacls(path, *owner_only(_owner(), is_folder=long_path(path).is_dir()))

    def _icacls(path: Path, *arguments: str) -> str:
        try:
            done = subprocess.run(
                ["icacls", str(path), *arguments],
                capture_output=True,
                text=True,
                encoding="oem",
                errors="replace",
                timeout=_LIMIT,
                check=False,
                creationflags=subprocess.CREATE_NO_WINDOW,
            )
        except (OSError, subprocess.TimeoutExpired) as error:
            raise StorageError(f"icacls cannot be run: {error}", path=path) from error
        if done.returncode != 0:
            raise StorageError("icacls refused", path=path, hint=f"look: icacls {path}")
        return done.stdout


def owner_only(owner: str, *, is_folder: bool) -> list[str]:
    """The arguments of icacls that leave access to the owner, the system and administrators.

    S-1-5-18 and S-1-5-32-544 are these in every language of Windows.
    """
    rights = "(OI)(CI)F" if is_folder else "F"
    people = (owner, "*S-1-5-18", "*S-1-5-32-544")
    grants = [part for one in people for part in ("/grant:r", f"{one}:{rights}")]
    return ["/inheritance:r", *grants]


def trusted_with(answer: str, path: Path) -> list[str]:
    """The accounts that icacls names for `path`: each before its rights, ``NAME:(I)(F)``."""
    names = []
    for number, line in enumerate(answer.splitlines()):
        text = line[len(str(path)) :] if number == 0 and line.startswith(str(path)) else line
        name, colon, _ = text.strip().partition(":(")
        if colon:
            names.append(name)
    return names

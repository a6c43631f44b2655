"""What only the owner may read: state, backups, secrets, and the clients' files with keys in them.

On POSIX that is the mode: 0700 for a folder, 0600 for a file. On Windows it is a list of access
that names nobody but the owner, the system and the administrators.
"""

import os
import stat
import sys
from collections.abc import Iterator
from pathlib import Path

import msgspec

from holdfast.claude.places import claude_places
from holdfast.durable.names import long_path
from holdfast.errors import storage_errors
from holdfast.facade import Workspace
from holdfast.secrets.store import default_identity
from holdfast.vault.sites import default_identity as backup_identity

if sys.platform == "win32":
    from holdfast.durable.accounts import (
        account_id,
        list_of_access,
        others_in,
        private_list,
        set_list_of_access,
    )


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

    def _open_to(path: Path) -> str | None:
        with storage_errors(path, "look who may use it"):
            others = others_in(list_of_access(path), account_id())
        return f"open to {', '.join(others)}" if others else None

    def _close(path: Path) -> None:
        wanted = private_list(account_id(), is_folder=long_path(path).is_dir())
        with storage_errors(path, "close it to others"):
            set_list_of_access(path, wanted)

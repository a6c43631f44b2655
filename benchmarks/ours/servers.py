"""Servers checked by a real handshake, and written into a client's file key by key."""

import subprocess
import sys
from pathlib import Path
from typing import Any

from holdfast.claude.former_versions import FormerVersions
from holdfast.claude.guest_file import GuestFile, Put
from holdfast.workspace.creation import create


def verify(home: Path) -> int:
    """How many servers of `home` answer, asked by the command."""
    root = create(home / "development", home=home).layout.root
    done = subprocess.run(
        [sys.executable, "-m", "holdfast", "servers", "verify", "-w", str(root)],
        capture_output=True,
        text=True,
        encoding="utf-8",
        check=False,
    )
    return done.stdout.count("ok     handshake with ")


def sync(path: Path, servers: dict[str, Any]) -> None:
    """Write `servers` as a sync does: under the lock, the bytes before kept."""
    former = FormerVersions(path.parent / "former", path)
    changes = [Put(("mcpServers", name), settings) for name, settings in servers.items()]
    GuestFile(path, lock="folder").edit(changes, keep=lambda edit: former.add(edit.before or b""))

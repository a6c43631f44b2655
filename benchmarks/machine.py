"""Where it was measured."""

import os
import platform
import sqlite3
from pathlib import Path
from typing import Any

import psutil  # type: ignore[import-untyped]


def describe(folder: Path) -> dict[str, Any]:
    """Cores, memory, versions, and the file system that `folder` is on."""
    return {
        "cores": os.cpu_count(),
        "memoryGiB": round(psutil.virtual_memory().total / 2**30, 1),
        "system": f"{platform.system()} {platform.release()}",
        "machine": platform.machine(),
        "python": platform.python_version(),
        "sqlite": sqlite3.sqlite_version,
        "fileSystem": _file_system(folder),
    }


def as_line(facts: dict[str, Any]) -> str:
    """The facts on one line."""
    return (
        f"{facts['cores']} cores, {facts['memoryGiB']} GiB, {facts['system']} {facts['machine']}, "
        f"Python {facts['python']}, SQLite {facts['sqlite']}, {facts['fileSystem']}"
    )


def _file_system(folder: Path) -> str:
    place = folder.resolve()
    inside = [
        part
        for part in psutil.disk_partitions(all=True)
        if place.is_relative_to(part.mountpoint) and part.fstype
    ]
    return max(inside, key=lambda part: len(part.mountpoint)).fstype if inside else "unknown"

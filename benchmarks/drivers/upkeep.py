"""A look at every file of a tree, as a process of its own.

An adapter has ``command(tree: Path) -> list[str]``, which may prepare what it needs.
"""

import subprocess
import time
from pathlib import Path
from types import ModuleType
from typing import Any

from benchmarks.tree import Shape, ensure_tree

_PROJECTS = ("mcp-servers/financial", "mcp-servers/utilities")


class Driver:
    """Runs the adapter's command on the same tree again and again."""

    def __init__(self, adapter: ModuleType) -> None:
        self._adapter = adapter

    def look(self, folder: str, number: int, tree: str, divided_by: int) -> dict[str, Any]:
        """Run it once, with all of the tree in the system's cache."""
        root = Path(tree)
        ensure_tree(root, Shape().divided(divided_by))
        for project in _PROJECTS:  # their node_modules can be brought back, so they are weighed
            for name in ("package.json", "package-lock.json"):
                if not (root / project / name).exists():
                    (root / project / name).write_text("{}", "utf-8")
        command = self._adapter.command(root)
        started = time.perf_counter()
        done = subprocess.run(command, stdout=subprocess.PIPE, check=True)
        seconds = time.perf_counter() - started
        return {"seconds": seconds, "count": len(done.stdout.splitlines())}

    def close(self) -> None:
        """Nothing runs on."""

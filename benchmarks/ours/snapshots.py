"""``holdfast backup``, as a person runs it; every snapshot ends with a sampled restore."""

import sys
from pathlib import Path

HOLDFAST = [sys.executable, "-m", "holdfast"]


class Backups:
    def __init__(self, tree: Path, store: Path) -> None:
        self._tree = tree
        self._store = store
        self.environment = {"HOLDFAST_WORKSPACE": str(tree)}
        self.settings = tree / "configs" / "holdfast.json"

    def prepare(self) -> list[list[str]]:
        marker = self._tree / ".holdfast" / "workspace.json"
        marker.unlink(missing_ok=True)  # the tree was the workspace of an earlier store
        self.settings.unlink(missing_ok=True)
        return [[*HOLDFAST, "adopt", str(self._tree), "--home", str(self._store)]]

    def create(self) -> list[list[str]]:
        return [[*HOLDFAST, "backup", "create", "--everything", "--json"]]

    def restore(self, target: Path) -> list[list[str]]:
        return [[*HOLDFAST, "restore", "latest", "--to", str(target), "--json"]]

    def restore_one(self, path: Path, target: Path) -> list[list[str]]:
        return [[*HOLDFAST, "restore", "latest", path.as_posix(), "--to", str(target), "--json"]]

    def restored_tree(self, target: Path) -> Path:
        return target


def connect(tree: Path, store: Path) -> Backups:
    """Backups of `tree` in `store`."""
    return Backups(tree, store)

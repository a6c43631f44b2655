"""tar with zstd: every backup is a whole one."""

from pathlib import Path


class Backups:
    def __init__(self, tree: Path, store: Path) -> None:
        self._tree = tree
        self._archive = store / "tree.tar.zst"
        self.environment: dict[str, str] = {}

    def prepare(self) -> list[list[str]]:
        self._archive.parent.mkdir()
        return []

    def create(self) -> list[list[str]]:
        archive = str(self._archive)
        return [
            ["tar", "-C", str(self._tree), "-I", "zstd -3 -T0", "-cf", archive, "."],
            ["sync", archive],
        ]

    def restore(self, target: Path) -> list[list[str]]:
        return [["tar", "-C", str(target), "-I", "zstd", "-xf", str(self._archive)]]

    def restore_one(self, path: Path, target: Path) -> list[list[str]]:
        (whole,) = self.restore(target)
        return [[*whole, f"./{path.as_posix()}"]]

    def restored_tree(self, target: Path) -> Path:
        return target


def connect(tree: Path, store: Path) -> Backups:
    """Backups of `tree` in `store`."""
    return Backups(tree, store)

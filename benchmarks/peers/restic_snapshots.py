"""restic. It always encrypts; its cache lies beside the repository and goes with it."""

from pathlib import Path


class Backups:
    def __init__(self, tree: Path, store: Path) -> None:
        self._tree = tree
        self.environment = {
            "RESTIC_REPOSITORY": str(store),
            "RESTIC_PASSWORD": "benchmark",
            "RESTIC_CACHE_DIR": str(store.with_name("cache")),
        }

    def prepare(self) -> list[list[str]]:
        return [["restic", "init", "--quiet", "--repository-version", "2"]]

    def create(self) -> list[list[str]]:
        return [["restic", "backup", "--quiet", str(self._tree)]]

    def restore(self, target: Path) -> list[list[str]]:
        return [["restic", "restore", "--quiet", "latest", "--target", str(target)]]

    def restore_one(self, path: Path, target: Path) -> list[list[str]]:
        one = str(self._tree / path)
        return [
            ["restic", "restore", "--quiet", "latest", "--include", one, "--target", str(target)]
        ]

    def restored_tree(self, target: Path) -> Path:
        return target / self._tree.relative_to(self._tree.anchor)


def connect(tree: Path, store: Path) -> Backups:
    """Backups of `tree` in `store`."""
    return Backups(tree, store)

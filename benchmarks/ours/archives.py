"""``holdfast backup create --kind archive``, as a person runs it."""

from pathlib import Path

from benchmarks.ours.snapshots import HOLDFAST, Backups


class Archives(Backups):
    """One ``.tar.zst`` a day, read again whole each time."""

    def create(self) -> list[list[str]]:
        return [[*HOLDFAST, "backup", "create", "--kind", "archive", "--everything", "--json"]]

    def restore(self, target: Path) -> list[list[str]]:
        return [[*HOLDFAST, "restore", self._newest(), "--to", str(target), "--json"]]

    def restore_one(self, path: Path, target: Path) -> list[list[str]]:
        (whole,) = self.restore(target)
        return [[*whole, path.as_posix()]]

    def _newest(self) -> str:
        archives = (self._store / "backups").glob("*.tar.zst")
        return str(max(archives, key=lambda path: path.stat().st_mtime_ns))


def connect(tree: Path, store: Path) -> Backups:
    """Archives of `tree` in `store`."""
    return Archives(tree, store)

"""``holdfast backup`` into an encrypted vault, the private key at hand to prove and restore."""

import json
from pathlib import Path

from benchmarks.ours.snapshots import Backups


class EncryptedBackups(Backups):
    def prepare(self) -> list[list[str]]:
        from holdfast.vault.identities import generate_identity

        adopt = super().prepare()
        self._store.mkdir(parents=True)
        key = self._store.with_name("identity.txt")
        backups = {
            "folder": str(self._store / "backups"),
            "recipients": [generate_identity(key)],
            "identity": str(key),
        }
        self.settings.write_text(json.dumps({"backups": backups}), encoding="utf-8")
        return adopt


def connect(tree: Path, store: Path) -> Backups:
    """Backups of `tree` in `store`."""
    return EncryptedBackups(tree, store)

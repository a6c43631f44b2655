"""The drill of a workspace's backups: a whole recovery, whose stores are opened and counted."""

from pathlib import Path

from holdfast.durable.names import plain_path
from holdfast.errors import HoldfastError, NotFoundError
from holdfast.facade import Workspace
from holdfast.upkeep.status import store_statuses
from holdfast.vault.reports import DrilledStore, DrillReport, Progress
from holdfast.workspace.layout import read_layout
from holdfast.workspace.settings import read_settings


def drill(
    workspace: Workspace,
    ref: str = "latest",
    *,
    at: str | None = None,
    scratch: Path | None = None,
    progress: Progress | None = None,
) -> DrillReport:
    """Recover a snapshot of `workspace` into a scratch folder; see `Vault.drill`.

    It is one of the destination `at`, else of the first.
    """
    vault = workspace.vault_at(at)
    return vault.drill(ref, scratch=scratch, look=_look, progress=progress)


def _look(root: Path) -> list[DrilledStore]:
    """Open every store of the restored workspace at `root`; a tree that is none has no stores."""
    try:
        layout = read_layout(plain_path(root))  # as the stores' URLs have it
    except NotFoundError:
        return []
    try:
        with Workspace(layout, read_settings(layout)) as restored:
            inside = restored.store_paths()
            return [
                DrilledStore(store.name, store.holds, store.problem)
                for store in store_statuses(restored)
                if store.name in inside and store.health != "absent"
            ]
    except HoldfastError as error:
        return [DrilledStore("settings", problem=str(error))]

"""Paths of a snapshot back: into the workspace itself, or into another folder."""

from collections.abc import Sequence
from pathlib import Path

from holdfast.facade import Workspace
from holdfast.recovery.journals import make_way
from holdfast.vault import RestoreReport, Vault
from holdfast.vault.reports import Consent, Progress
from holdfast.workspace.layout import Layout


def restore_paths(
    workspace: Workspace,
    vault: Vault,
    snapshot: str,
    paths: Sequence[str] = (),
    *,
    to: Path | None = None,
    home: Path | None = None,
    dry_run: bool = False,
    consent: Consent | None = None,
    progress: Progress | None = None,
) -> RestoreReport:
    """Bring `paths`, or all files, back below the workspace or the folder `to`.

    Files of the home go to the workspace's home or the folder `home`. Paths may be whole ones too,
    of the workspace or the home. What is replaced goes to the quarantine. Raises as
    `Vault.restore`, and `RefusedError` while a process has a store open that would be changed as a
    folder.
    """
    layout = workspace.layout
    target = (to if to is not None else layout.root).absolute()

    def agree(plan: RestoreReport) -> None:
        if consent is not None:
            consent(plan)
        if target == layout.root:
            make_way(vault, target, plan, workspace.quarantine)

    return vault.restore(
        snapshot,
        [_named(path, layout) for path in paths],
        to=target,
        home=home or layout.home,
        quarantine=workspace.quarantine,
        dry_run=dry_run,
        consent=agree,
        progress=progress,
    )


def _named(path: str, layout: Layout) -> str:
    """A whole path, given so or spelled out by the shell, in the way that snapshots name it."""
    whole = Path(path)
    if whole.is_absolute() and whole.is_relative_to(layout.root):
        return whole.relative_to(layout.root).as_posix()
    if whole.is_absolute() and whole.is_relative_to(layout.home):
        return f"~/{whole.relative_to(layout.home).as_posix()}".removesuffix("/.")
    return path

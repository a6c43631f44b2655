"""Paths of a snapshot back: into the workspace itself, or into another folder."""

from collections.abc import Sequence
from pathlib import Path

from holdfast.facade import Workspace
from holdfast.recovery.journals import make_way
from holdfast.vault import RestoreReport, Vault
from holdfast.vault.reports import Consent, Progress


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

    Files of the home go to the workspace's home or the folder `home`; they may be named by their
    whole path too. What is replaced goes to the quarantine. Raises as `Vault.restore`, and
    `RefusedError` while a process has a store open that would be changed as a folder.
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
        [_named(path, layout.home) for path in paths],
        to=target,
        home=home or layout.home,
        quarantine=workspace.quarantine,
        dry_run=dry_run,
        consent=agree,
        progress=progress,
    )


def _named(path: str, home: Path) -> str:
    """A file of the home that the shell spelled out, in the way that snapshots name it."""
    if not Path(path).is_absolute() or not Path(path).is_relative_to(home):
        return path
    return f"~/{Path(path).relative_to(home).as_posix()}".removesuffix("/.")

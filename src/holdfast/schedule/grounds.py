"""What a job's line works on: where that is not there yet, there is nothing to do for it."""

from collections.abc import Sequence
from typing import TYPE_CHECKING

from holdfast.errors import HoldfastError, NotFoundError
from holdfast.facade import Workspace

if TYPE_CHECKING:
    from holdfast.vault.sites import Site

_OF_BACKUPS = ("drill", "forget", "prune", "verify")


def nothing_to_do(workspace: Workspace, line: Sequence[str]) -> str | None:
    """Why there is nothing to do for this line of ``holdfast`` arguments; None when there is.

    Raises `MissingError` without the git program, as the line itself would.
    """
    if tuple(line[:2]) == ("history", "save"):
        try:
            workspace.history.root  # noqa: B018  whether there is one
        except NotFoundError as error:
            return f"{error.message}: {error.hint}"
    elif line[:1] == ("backup",) and line[1:2] and line[1] in _OF_BACKUPS and "--at" not in line:
        sites = workspace.sites if "--everywhere" in line else [workspace.site(None)]
        if all(_is_empty(site) for site in sites):
            return "no backup has been made yet; make one with: holdfast backup create"
    return None


def _is_empty(site: "Site") -> bool:
    """Whether it has no vault and never had one; what cannot be read is for the line to tell."""
    try:
        return site.destination.kind != "snapshot" or (site.is_new() and not site.is_absent())
    except HoldfastError:
        return False

"""What a job's line works on: where that is not there yet, there is nothing to do for it."""

from collections.abc import Sequence

from holdfast.errors import NotFoundError
from holdfast.facade import Workspace

_OF_BACKUPS = ("drill", "forget", "prune", "verify")


def nothing_to_do(workspace: Workspace, line: Sequence[str]) -> str | None:
    """Why there is nothing to do for this line of ``holdfast`` arguments; None when there is.

    Raises `MissingError` without the git program, `UnreadableError`, as the line itself would.
    """
    if tuple(line[:2]) == ("history", "save"):
        try:
            workspace.history.root  # noqa: B018  whether there is one
        except NotFoundError as error:
            return f"{error.message}: {error.hint}"
    elif line[:1] == ("backup",) and line[1:2] and line[1] in _OF_BACKUPS and "--at" not in line:
        site = workspace.site(None)
        if site.is_new() and not site.is_absent():
            return "no backup has been made yet; make one with: holdfast backup create"
    return None

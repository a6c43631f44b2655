"""Which folder the logs of this process go to when the caller names none."""

from pathlib import Path

from holdfast.errors import NotFoundError

_chosen: Path | None = None


def choose(directory: Path | None) -> None:
    """Make `directory` the default of this process; None goes back to looking for it."""
    global _chosen
    _chosen = directory


def default_directory() -> Path:
    """The chosen folder, else the workspace's ``logs/``, else the user's log folder.

    The workspace is that of ``$HOLDFAST_WORKSPACE`` or the nearest folder upwards. A variable that
    names no workspace is an error (`NotFoundError`), not a reason to log somewhere else.
    """
    if _chosen is not None:
        return _chosen
    import os

    from holdfast.workspace.layout import ENVIRONMENT_VARIABLE, find_layout

    try:
        return find_layout().logs
    except NotFoundError:
        if os.environ.get(ENVIRONMENT_VARIABLE):
            raise
    import platformdirs

    return Path(platformdirs.user_log_dir("holdfast", appauthor=False))

"""The process: standard output belongs to the protocol, all that is told goes to logs/mcp.log."""

import logging
from collections.abc import Sequence
from pathlib import Path


def serve(folder: Path | None, settings: Sequence[str] = ()) -> None:
    """Serve the workspace at `folder` (as `open_workspace` finds it) until the client is gone.

    Raises `NotFoundError`, `UnreadableError` before anything is served.
    """
    from holdfast.facade import open_workspace
    from holdfast.logs import HoldfastHandler

    with open_workspace(folder, settings) as workspace:
        root, logs = workspace.layout.root, workspace.layout.logs
    handler = HoldfastHandler("mcp", directory=logs, level=logging.WARNING)
    # Before the SDK is there: it would write to standard error, where no client shows it.
    logging.basicConfig(level=logging.WARNING, handlers=[handler], force=True)
    from holdfast.mcp_server.server import build_server
    from holdfast.mcp_server.tool import Desk

    build_server(Desk(root, tuple(settings))).run("stdio")

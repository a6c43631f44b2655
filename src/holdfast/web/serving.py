"""The process: one socket on loopback, the link to it, and an end by Ctrl+C."""

import socket
from collections.abc import Callable, Sequence
from contextlib import suppress
from pathlib import Path

from holdfast.errors import BusyError

Told = Callable[[str, str], None]


def serve(
    folder: Path | None,
    settings: Sequence[str] = (),
    *,
    port: int = 0,
    told: Told,
    note: Callable[[str], None],
) -> None:
    """Serve the workspace at `folder` (as `open_workspace` finds it) until Ctrl+C or SIGTERM.

    `told` gets two links once the port is open (0: any that is free), to print and for the browser
    (opens once); `note` what people should know. Raises `NotFoundError`, `UnreadableError`, and
    `BusyError` when the port is taken.
    """
    from holdfast.facade import workspace_at

    with workspace_at(folder, settings) as workspace:
        root = workspace.layout.root
    listener = _listen(port)
    try:
        _serve(listener, root, tuple(settings), told, note)
    finally:
        listener.close()


def _listen(port: int) -> socket.socket:
    try:
        return socket.create_server(("127.0.0.1", port))
    except (OSError, OverflowError) as error:
        raise BusyError(
            f"port {port} cannot be opened: {error}", hint="without --port a free one is found"
        ) from error


def _serve(
    listener: socket.socket,
    root: Path,
    settings: tuple[str, ...],
    told: Told,
    note: Callable[[str], None],
) -> None:
    import uvicorn

    from holdfast.facade import Workspace
    from holdfast.web.app import build_app
    from holdfast.web.desk import Desk
    from holdfast.web.errands import Errands
    from holdfast.web.gate import Keys
    from holdfast.web.sampling import Samples

    keys = Keys(listener.getsockname()[1])
    errands = Errands(root, settings)
    desk = Desk(root, settings)
    samples = Samples(lambda: desk.look_here(Workspace.queue_rows))
    app = build_app(desk, keys, errands, samples, stopping=lambda: server.should_exit)
    config = uvicorn.Config(
        app,
        log_config=None,
        access_log=False,
        server_header=False,
        proxy_headers=False,
        ws="none",
        lifespan="off",
        timeout_graceful_shutdown=2,
    )
    server = uvicorn.Server(config)
    told(keys.link, keys.link_for_browser())
    samples.begin()
    try:
        with suppress(KeyboardInterrupt):
            server.run(sockets=[listener])
        with suppress(KeyboardInterrupt):
            for errand in errands.working():
                note(f"waiting for '{errand.command}'; Ctrl+C ends it")
                while not errands.wait(errand, 1.0):
                    pass
    finally:
        samples.end()
        errands.end()

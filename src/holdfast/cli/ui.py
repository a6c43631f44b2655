"""``holdfast ui``: the workspace in the browser."""

from importlib import import_module

import click

from holdfast.cli.terminal import Terminal, command


@command(
    None,
    "ui",
    examples=[
        "holdfast ui",
        "holdfast ui --port 8765 --no-browser",
        "holdfast ui -w ~/development",
    ],
)
@click.option(
    "--port",
    type=click.IntRange(0, 65535),
    default=0,
    show_default="a free one",
    help="The port on 127.0.0.1.",
)
@click.option("--no-browser", is_flag=True, help="Only print the link.")
def ui(terminal: Terminal, port: int, no_browser: bool) -> None:
    """Show the workspace in the browser, on this machine alone; Ctrl+C ends it.

    The link that is printed lets in whoever has it, as long as the command runs.
    """

    def told(link: str, link_for_browser: str) -> None:
        terminal.emit({"url": link}, link)
        terminal.note("Ctrl+C ends it")
        if not no_browser:
            _open(link_for_browser)

    # A face of its own: it is started here, nothing of it is used.
    serve = import_module("holdfast.web.serving").serve
    serve(terminal.folder, terminal.settings, port=port, told=told, note=terminal.note)


def _open(link: str) -> None:
    """Open the browser, in a thread: some wait until it is closed."""
    import threading
    import webbrowser

    threading.Thread(target=webbrowser.open, args=(link,), daemon=True).start()

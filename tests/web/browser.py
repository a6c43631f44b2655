"""The page served by the real command, a real Chromium before it, and checks made in that."""

import json
import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any

from holdfast.facade import Workspace, open_workspace
from tests.conftest import child_environment, require
from tests.windows import WINE

if TYPE_CHECKING:
    from playwright.sync_api import Browser, ConsoleMessage, Locator, Page

LONG = 120_000  # milliseconds that a command may take on a busy machine
_NAMES = ("chromium", "chromium-browser", "google-chrome", "chrome", "msedge")


@dataclass(frozen=True)
class Served:
    """A workspace whose page is served: the link that was printed, the address behind it."""

    root: Path
    link: str

    @property
    def address(self) -> str:
        return self.link.partition("/?")[0]

    @property
    def port(self) -> int:
        return int(self.address.rpartition(":")[2])

    def open(self) -> Workspace:
        """The workspace itself, to fill it and to see what became of it."""
        return open_workspace(self.root)


@contextmanager
def serving(root: Path, home: Path) -> Iterator[Served]:
    """Serve the workspace at `root` by ``holdfast ui``, ended by Ctrl+C."""
    own = {"HOME": str(home), "USERPROFILE": str(home), "HOLDFAST_WORKSPACE": ""}
    new_group = getattr(subprocess, "CREATE_NEW_PROCESS_GROUP", 0)
    with subprocess.Popen(
        [sys.executable, "-P", "-m", "holdfast", "ui", "--no-browser", "--json", "-w", str(root)],
        env=child_environment(own),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        creationflags=new_group,
    ) as process:
        try:
            assert process.stdout is not None
            lines = [process.stdout.readline() for _ in range(3)]
            yield Served(root, json.loads(b"".join(lines))["url"])
        finally:
            _interrupt(process)
            _, said = process.communicate(timeout=60)
    assert process.returncode == 0 or sys.platform == "win32"
    assert b"Traceback" not in said, said.decode()


def _interrupt(process: "subprocess.Popen[bytes]") -> None:
    if WINE:  # there is no console that Ctrl+C could come from
        process.terminate()
    else:
        process.send_signal(getattr(signal, "CTRL_BREAK_EVENT", signal.SIGINT))


@contextmanager
def open_browser() -> Iterator["Browser"]:
    """The Chromium on the PATH, else Playwright's own; without any the test is skipped."""
    require(find_spec("playwright") is not None, "the package playwright")
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        own = playwright.chromium.executable_path
        path = next(filter(None, map(shutil.which, _NAMES)), own)
        require(Path(path).exists(), "a Chromium (apt install chromium; playwright install)")
        browser = playwright.chromium.launch(executable_path=path, args=_arguments())
        try:
            yield browser
        finally:
            browser.close()


def _arguments() -> list[str]:
    if sys.platform == "win32":
        return []
    # Where it runs as root it is in a container, whose shared memory is small.
    return ["--no-sandbox", "--disable-dev-shm-usage"] if os.getuid() == 0 else []


def expect(locator: "Locator") -> Any:
    """What has to become true of a part of the page within some seconds."""
    from playwright.sync_api import expect as waiting

    return waiting(locator)


def carried_out(page: "Page") -> None:
    """Wait for what a button began: it is told on the next page, or, if it takes long, by its own.

    Whether it succeeded is for the test to see.
    """
    page.locator(".toast, #errand .badge:not(.busy)").first.wait_for(timeout=LONG)


def violations(page: "Page") -> list[str]:
    """What axe finds wrong in a page, one line each."""
    from axe_playwright_python.sync_playwright import Axe

    found: list[dict[str, Any]] = Axe().run(page).response["violations"]
    return [
        f"{each['id']}: {each['help']}: {node['target']}"
        for each in found
        for node in each["nodes"]
    ]


def _is_wrong(said: "ConsoleMessage") -> bool:
    """Whether the browser complains of more than a page that says what the person did wrong."""
    return said.type == "error" and "the server responded with a status of 4" not in said.text


@contextmanager
def window(browser: "Browser", served: Served, theme: str = "light") -> Iterator["Page"]:
    """A window in which the link was opened; see `page`."""
    wrong: list[str] = []
    context = browser.new_context(
        color_scheme="dark" if theme == "dark" else "light", base_url=served.address
    )
    context.set_default_timeout(120_000)
    page = context.new_page()
    page.on("pageerror", lambda error: wrong.append(str(error)))
    page.on("console", lambda said: wrong.append(said.text) if _is_wrong(said) else None)
    try:
        page.goto(served.link)
        yield page
    finally:
        context.close()
    assert wrong == []

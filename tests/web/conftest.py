"""The page of a workspace, served by the real command, and a real browser before it."""

import json
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from holdfast.facade import Workspace, open_workspace
from holdfast.workspace.creation import create
from tests.conftest import child_environment
from tests.web.browser import open_browser

if TYPE_CHECKING:
    from playwright.sync_api import Browser, ConsoleMessage, Page


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
            process.send_signal(getattr(signal, "CTRL_BREAK_EVENT", signal.SIGINT))
            _, said = process.communicate(timeout=60)
    assert b"Traceback" not in said, said.decode()


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    """A workspace with examples, served; each module has one."""
    home = tmp_path_factory.mktemp("home")
    root = create(home / "development", home=home, examples=True).layout.root
    with serving(root, home) as found:
        yield found


@pytest.fixture(scope="module")
def browser() -> Iterator["Browser"]:
    """One browser for the tests of a module; it keeps the thread's event loop meanwhile."""
    with open_browser() as found:
        yield found


@pytest.fixture
def page(browser: "Browser", served: Served) -> Iterator["Page"]:
    """A window of its own that has opened the link. Errors in its console fail the test."""
    with window(browser, served) as found:
        yield found


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
    context.set_default_timeout(20_000)
    page = context.new_page()
    page.on("pageerror", lambda error: wrong.append(str(error)))
    page.on("console", lambda said: wrong.append(said.text) if _is_wrong(said) else None)
    try:
        page.goto(served.link)
        yield page
    finally:
        context.close()
    assert wrong == []

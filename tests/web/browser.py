"""A real Chromium, and the accessibility checks that are made in it."""

import shutil
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tests.conftest import require

if TYPE_CHECKING:
    from playwright.sync_api import Browser, Page

_NAMES = ("chromium", "chromium-browser", "google-chrome", "chrome", "msedge")


@contextmanager
def open_browser() -> Iterator["Browser"]:
    """The Chromium on the PATH, else Playwright's own; without any the test is skipped."""
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
    import os

    return ["--no-sandbox"] if os.getuid() == 0 else []


def carried_out(page: "Page", outcome: str = "good") -> None:
    """Wait for what a button began: it is told on the next page, or, if it takes long, by its own.

    `outcome` is ``bad`` for a command that is meant to fail.
    """
    page.locator(f".toast, #errand .badge.{outcome}").first.wait_for()


def violations(page: "Page") -> list[str]:
    """What axe finds wrong in a page, one line each."""
    from axe_playwright_python.sync_playwright import Axe

    found: list[dict[str, Any]] = Axe().run(page).response["violations"]
    return [
        f"{each['id']}: {each['help']}: {node['target']}"
        for each in found
        for node in each["nodes"]
    ]

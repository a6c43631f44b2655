"""A served workspace and a browser for each module of tests, a window for each test."""

from collections.abc import Iterator
from typing import TYPE_CHECKING

import pytest

from holdfast.workspace.creation import create
from tests.web.browser import Served, open_browser, serving, window

if TYPE_CHECKING:
    from playwright.sync_api import Browser, Page


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

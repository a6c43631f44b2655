"""All pages: that each is there, can be used by everybody, and runs no text as a script."""

from typing import TYPE_CHECKING

import pytest

from holdfast.web.pages import PAGES
from tests.web.browser import violations
from tests.web.conftest import Served, window

if TYPE_CHECKING:
    from playwright.sync_api import Browser, Page


@pytest.mark.parametrize("theme", ["light", "dark"])
def test_every_page_is_accessible(browser: "Browser", served: Served, theme: str) -> None:
    with window(browser, served, theme) as page:
        for each in PAGES:
            page.goto(each.path)
            current = page.locator("nav [aria-current=page]")
            assert current.inner_text() == each.title
            assert page.locator("h1").count() == 1
            assert violations(page) == [], each.path


def test_the_keyboard_reaches_the_content_first(page: "Page") -> None:
    page.keyboard.press("Tab")
    page.keyboard.press("Enter")
    assert page.evaluate("document.activeElement.id") == "content"


def test_the_theme_is_chosen_and_kept(page: "Page") -> None:
    def ground() -> object:
        return page.evaluate("getComputedStyle(document.body).backgroundColor")

    light = ground()
    switch = page.get_by_role("button", name="Theme")
    switch.click()
    assert ground() == light
    switch.click()
    assert ground() != light
    page.reload()
    assert ground() != light
    assert "dark" in page.get_by_role("button", name="Theme").inner_text()


def test_a_narrow_window_has_a_menu(page: "Page") -> None:
    page.set_viewport_size({"width": 400, "height": 800})
    link = page.get_by_role("link", name="Workflows")
    assert not link.is_visible()
    page.get_by_role("button", name="Menu").click()
    link.click()
    page.wait_for_url("**/workflows")
    width = page.evaluate("document.documentElement.scrollWidth")
    assert width <= 400

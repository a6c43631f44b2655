"""All pages: that each is there, can be used by everybody, and runs no text as a script."""

from typing import TYPE_CHECKING
from urllib.parse import quote

import pytest

from holdfast.context import task
from holdfast.web.pages import PAGES
from tests.web.browser import Served, violations, window
from tests.web.filled import EVIL, put_dead_letters, run_survey

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
        page.goto("/nothing")
        assert violations(page) == []


def test_the_refusal_is_accessible_and_tells_nothing(browser: "Browser", served: Served) -> None:
    with window(browser, served) as page:
        page.context.clear_cookies()
        page.goto("/workflows")
        assert page.locator("h1").inner_text() == "No entry"
        assert served.root.name not in page.content()
        assert violations(page) == []


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


def test_no_text_is_run_as_a_script(page: "Page", served: Served) -> None:
    """What stands in every store, in logs, errors and addresses is shown and nothing else."""
    with served.open() as workspace:
        run_survey(workspace, EVIL, "evil-1")
        (served.root / "offline").touch()
        run_survey(workspace, EVIL, "evil-2")
        (served.root / "offline").unlink()
        put_dead_letters(workspace, "evil", {EVIL: EVIL}, reason=EVIL)
        workspace.queue("evil").put(EVIL)
        workspace.events.append(EVIL, EVIL, {EVIL: EVIL}, metadata={EVIL: EVIL})
        with task("evil-1:main"):
            workspace.logger("evil").error(EVIL, detail=EVIL)
    evil = quote(EVIL)
    seen = 0
    for path in (
        *(each.path for each in PAGES),
        *("/workflows/evil-1", "/workflows/evil-2", "/queues/evil"),
        *("/workflows/evil-1?step=list_sources-1", f"/workflows/evil-1?step={evil}"),
        *(f"/events/stream?name={evil}", f"/events?type={evil}&prefix={evil}"),
        *(f"/workflows?name={evil}&text={evil}", f"/workflows?status={evil}"),
        *(f"/workflows/{evil}", f"/queues/{evil}", f"/errands/{evil}", f"/{evil}"),
    ):
        page.goto(path)
        seen += EVIL in page.locator("main").inner_text()
        assert page.locator("img, main script, iframe").count() == 0, path
    assert seen >= 8
    assert page.evaluate("window.hacked") is None


def test_the_browser_itself_refuses_scripts_of_others(page: "Page") -> None:
    """Were a text ever printed as it is, its script would not be run."""
    other = page.context.new_page()  # whose console may complain
    other.goto("/")
    refused = other.evaluate(
        """async () => {
            const seen = new Promise((done) =>
                document.addEventListener("securitypolicyviolation", (event) =>
                    done(event.violatedDirective)));
            const script = document.createElement("script");
            script.textContent = "window.hacked = 1";
            document.body.append(script);
            return await seen;
        }"""
    )
    assert refused.startswith("script-src")
    assert other.evaluate("window.hacked") is None

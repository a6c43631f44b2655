"""The overview: what it says of a workspace, and the commands it runs."""

from typing import TYPE_CHECKING

from tests.web.browser import Served, expect

if TYPE_CHECKING:
    from playwright.sync_api import Page


def test_a_backup_is_made_by_the_button_beside_its_command(page: "Page", served: Served) -> None:
    assert "has never been backed up" in page.locator("#todo").inner_text()
    todo = page.locator(".todo", has_text="holdfast backup create")
    todo.get_by_role("button", name="Run").click()
    page.wait_for_url("**/errands/*")
    page.locator("#errand .badge.good").wait_for()

    page.locator(".crumb").get_by_role("link", name="Overview").click()
    expect(page.locator("#health")).to_contain_text("1 snapshot")
    assert "holdfast backup create" in page.locator("#todo").inner_text()
    with served.open() as workspace:
        assert len(workspace.vault.snapshots()) == 1


def test_the_overview_tells_of_what_happens_meanwhile(page: "Page", served: Served) -> None:
    stores = page.locator("#stores")
    assert "1 event" not in stores.inner_text()
    page.get_by_text("Live", exact=True).wait_for()
    with served.open() as workspace:
        workspace.events.append("account-7", "deposited", {"amount": 5})
    stores.get_by_text("1 event", exact=True).wait_for()

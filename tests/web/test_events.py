"""Events in the browser: the newest of all, as they come, and the streams they stand in."""

from typing import TYPE_CHECKING

from tests.web.browser import Served, expect, violations

if TYPE_CHECKING:
    from playwright.sync_api import Page


def test_events_come_in_as_they_are_appended(page: "Page", served: Served) -> None:
    page.goto("/events")
    page.get_by_text("Live", exact=True).wait_for()
    with served.open() as workspace:
        workspace.events.append("orders/7 é", "placed", {"bees": 3})
        tail = page.locator("#tail tbody tr")
        tail.filter(has_text="placed").wait_for()
        workspace.events.append("orders/7 é", "paid", {"amount": 9})
        tail.filter(has_text="paid").wait_for()
    assert "paid" in tail.first.inner_text()

    page.locator("#streams").get_by_role("link", name="orders/7 é").click()
    expect(page.locator("h1")).to_have_text("orders/7 é")
    expect(page.locator("#events tbody tr")).to_have_count(2)
    page.locator("details").first.click()
    assert '"amount": 9' in page.locator("details[open]").inner_text()
    assert violations(page) == []


def test_a_rare_event_is_found_among_many(page: "Page", served: Served) -> None:
    with served.open() as workspace:
        log = workspace.events
        log.append("meter", "replaced", {"by": "Ada"})
        log.append_many("meter", [("read", {"value": n}) for n in range(500)])
        for n in range(60):
            log.append(f"stream-{n:02}", "made")
    page.goto("/events")
    page.get_by_label("Type").fill("replaced")
    page.get_by_role("button", name="Find").click()
    rows = page.locator("#tail tbody tr")
    expect(rows).to_have_count(1)
    expect(rows).to_contain_text("Ada")

    page.goto("/events/stream?name=meter")
    versions = page.locator("#events tbody tr td:nth-child(3)")
    expect(versions.first).to_have_text("501")
    page.get_by_role("link", name="Older").click()
    expect(versions.first).to_have_text("401")

    page.goto("/events?prefix=stream-")
    streams = page.locator("#streams tbody th")
    expect(streams).to_have_count(50)
    page.locator("#streams").get_by_role("link", name="Older").click()
    expect(streams).to_have_text([f"stream-{n}" for n in range(50, 60)])

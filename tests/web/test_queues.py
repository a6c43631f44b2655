"""Queues in the browser: dead letters given out again, a pause, a purge that was meant."""

from collections.abc import Iterator
from typing import TYPE_CHECKING

import pytest

from tests.web.browser import Served, expect, violations
from tests.web.filled import put_dead_letters

if TYPE_CHECKING:
    from playwright.sync_api import Page


@pytest.fixture(autouse=True)
def letters(served: Served) -> Iterator[None]:
    """A queue with three dead letters and two messages that wait."""
    with served.open() as workspace:
        bodies = [{"to": f"reader-{n}"} for n in range(3)]
        put_dead_letters(workspace, "letters", *bodies, reason="mailbox full")
        workspace.queue("letters").put_many([{"to": "ready-1"}, {"to": "ready-2"}])
    yield
    with served.open() as workspace:
        workspace.queue("letters").resume()
        workspace.queue("letters").purge()


def test_dead_letters_are_given_out_again_one_and_then_all(page: "Page", served: Served) -> None:
    page.goto("/queues")
    page.get_by_role("link", name="letters").click()
    dead = page.locator("#dead tbody tr")
    expect(dead).to_have_count(3)
    assert "mailbox full" in dead.first.inner_text()
    assert violations(page) == []

    dead.filter(has_text="reader-1").get_by_role("button", name="Requeue").click()
    page.get_by_text("1 message is ready again").wait_for()
    expect(dead).to_have_count(2)
    page.get_by_role("button", name="Requeue all dead").click()
    page.get_by_role("dialog").get_by_role("button", name="Requeue 2").click()
    page.get_by_text("2 messages are ready again").wait_for()
    with served.open() as workspace:
        stats = workspace.queue("letters").stats()
        assert (stats.ready, stats.dead) == (5, 0)


def test_a_purge_names_what_goes_and_needs_the_name_typed(page: "Page", served: Served) -> None:
    page.goto("/queues/letters")
    page.get_by_role("button", name="Purge").click()
    dialog = page.get_by_role("dialog")
    assert "5 messages" in dialog.inner_text()
    dialog.get_by_role("button", name="Empty letters").click()
    page.get_by_text("nothing was changed").wait_for()
    with served.open() as workspace:
        assert workspace.queue("letters").stats().ready == 2

    page.goto("/queues/letters")
    page.get_by_role("button", name="Purge").click()
    dialog.get_by_label("Type the queue's name").fill("letters")
    dialog.get_by_role("button", name="Empty letters").click()
    page.get_by_text("5 messages went to quarantine").wait_for()
    with served.open() as workspace:
        assert workspace.queue("letters").stats().ready == 0
        assert workspace.points.list()[0].header.command.startswith("ui /queues/letters/purge")


def test_a_queue_is_paused_and_goes_on(page: "Page", served: Served) -> None:
    page.goto("/queues/letters")
    page.get_by_role("button", name="Pause").click()
    page.get_by_text("letters is paused").wait_for()
    with served.open() as workspace:
        assert workspace.queue("letters").take() == []
    page.get_by_role("button", name="Go on").click()
    page.get_by_text("gives messages out again").wait_for()


def test_what_waits_is_seen_at_once_and_stays_in_line(page: "Page", served: Served) -> None:
    page.goto("/queues/letters")
    page.get_by_text("Live", exact=True).wait_for()
    with served.open() as workspace:
        workspace.queue("letters").put({"to": "late"})
    page.locator("#messages", has_text='"late"').wait_for()
    page.locator("#charts polyline").wait_for(state="attached")
    with served.open() as workspace:
        assert workspace.queue("letters").stats().ready == 3

"""Logs in the browser: found by their filters, opened, followed while they are written."""

import json
from collections.abc import Iterator
from datetime import UTC, datetime
from typing import TYPE_CHECKING

import pytest

from holdfast.logs import Logger, Rotation, close_loggers, get_logger
from tests.web.browser import Served, violations
from tests.web.caller import Caller

if TYPE_CHECKING:
    from playwright.sync_api import Locator, Page

TOKEN = "ghp_" + "a1B2c3D4" * 4 + "e5F6"
HOSTILE = "<script>document.title = 'stolen'</script><img src=x onerror=alert(1)> \x1b[31mred"


@pytest.fixture(scope="module")
def written(served: Served) -> Iterator[Logger]:
    """The log of a component, with lines of all kinds."""
    archivist = get_logger("Archivist", directory=served.root / "logs", level="DEBUG")
    for number in range(150):
        archivist.info(f"page {number} copied", task_id=f"copying-1:page-{number}")
    archivist.debug("looked at the shelf")
    archivist.warning("the shelf is full", shelf=7)
    archivist.error(HOSTILE)
    archivist.info(f"the token is {TOKEN}", api_key="hunter2hunter2")
    yield archivist
    close_loggers()


def rows(page: "Page") -> "Locator":
    return page.locator("tr.log")


def test_lines_are_found_by_every_filter(page: "Page", written: Logger) -> None:
    page.goto("/logs")
    assert rows(page).count() == 100
    assert "the token is" in rows(page).first.inner_text()
    page.get_by_role("link", name="Older").click()
    page.get_by_role("link", name="Newest").wait_for()
    assert "page 0 copied" in rows(page).last.inner_text()

    page.goto("/logs")
    page.get_by_label("Component").fill("Arch*")
    page.get_by_label("Level and above").select_option("WARNING")
    page.get_by_label("Since").fill("2h")
    page.get_by_role("button", name="Find").click()
    page.wait_for_url("**level=WARNING**")
    assert [row.split()[2] for row in rows(page).all_inner_texts()] == ["ERROR", "WARNING"]
    assert page.get_by_label("Since").input_value() == "2h"

    page.get_by_role("link", name="Clear").click()
    page.get_by_label("Task or run").fill("copying-1")
    page.get_by_label("Text").fill("page (7|8) ")
    page.get_by_role("button", name="Find").click()
    page.wait_for_url("**task=copying-1**")
    assert rows(page).count() == 2
    assert page.get_by_role("link", name="copying-1:page-7").get_attribute("href") == (
        "/workflows/copying-1"
    )


def test_a_line_opens_to_the_whole_of_it(page: "Page", written: Logger) -> None:
    page.goto("/logs?grep=shelf+is")
    whole = page.get_by_role("region", name="The whole line")
    assert not whole.is_visible()
    page.locator("summary").focus()
    page.keyboard.press("Enter")
    data = json.loads(whole.inner_text())
    assert (data["message"], data["shelf"]) == ("the shelf is full", 7)
    assert violations(page) == []


def test_what_lines_say_stays_text_and_secrets_stay_inside(
    page: "Page", guest: Caller, written: Logger
) -> None:
    page.goto("/logs?level=ERROR")
    assert page.title() == "Logs · Holdfast"
    assert "onerror=alert(1)> \\x1b[31mred" in rows(page).first.inner_text()
    body = guest.get("/logs").body
    assert "\x1b" not in body
    assert TOKEN not in body
    assert "hunter2hunter2" not in body
    assert "•••• (40 characters)" in body


@pytest.mark.parametrize(
    "query", ["since=soon", "level=LOUD", "grep=(", "limit=many", "before=here"]
)
def test_a_filter_that_means_nothing_is_told_beside_it(guest: Caller, query: str) -> None:
    answer = guest.get(f"/logs?{query}")
    assert answer.status == 200
    assert 'role="alert"' in answer.body
    if "=" in query and query.partition("=")[0] in ("since", "level", "grep"):
        assert 'role="alert"' in guest.get(f"/logs/tail?{query}").body
        assert guest.get(f"/logs/tail/lines?{query}").status == 400


def test_lines_that_are_torn_are_counted(guest: Caller, served: Served) -> None:
    stamp = datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ")
    whole = f'{{"timestamp":"{stamp}","component":"torn","level":"INFO","message":"whole"}}\n'
    (served.root / "logs" / "torn.log").write_text(f"plain\n{whole}" + whole[:40] + "\n", "utf-8")
    body = guest.get("/logs?component=torn").body
    assert "whole" in body
    assert "2 lines met on the way cannot be read" in body


def test_new_lines_appear_while_they_are_written(page: "Page", served: Served) -> None:
    page.goto("/logs/tail?component=Night*")
    page.get_by_text("Live", exact=True).wait_for()
    # Small files, so that the tail has to follow rotations.
    watch = get_logger(
        "Nightwatch", directory=served.root / "logs", rotation=Rotation(max_bytes=400)
    )
    try:
        for number in range(8):
            watch.info(f"round {number} {HOSTILE}", sound="x" * 30_000)
        rows(page).filter(has_text="round 7").wait_for()
        assert rows(page).count() == 8
        assert "round 7" in rows(page).first.inner_text()
        assert len(list((served.root / "logs").glob("Nightwatch.*.log*"))) > 1
        assert page.title() == "Logs · Holdfast"

        page.get_by_role("button", name="Pause").click()
        watch.warning("a noise")
        page.get_by_text("Paused, 1 new").wait_for()
        assert rows(page).count() == 8
        page.get_by_role("button", name="Pause").click()
        assert "a noise" in rows(page).first.inner_text()
        assert violations(page) == []
    finally:
        close_loggers()


def test_the_live_tail_keeps_no_more_than_it_can_carry(page: "Page", served: Served) -> None:
    page.goto("/logs/tail?component=Flood")
    page.get_by_text("Live", exact=True).wait_for()
    flood = get_logger("Flood", directory=served.root / "logs")
    try:
        for number in range(700):
            flood.info(f"drop {number}")
        rows(page).filter(has_text="drop 699").wait_for()
        assert rows(page).count() <= 500
        page.get_by_text("older ones gone from here").wait_for()
    finally:
        close_loggers()

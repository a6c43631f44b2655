"""Servers in the browser: why one fails, what the clients lack, and the sync of them."""

import json
import sys
from typing import TYPE_CHECKING

import pytest

from tests.web.browser import Served, carried_out, violations, window

if TYPE_CHECKING:
    from playwright.sync_api import Browser, Page

HOSTILE = "<img src=x onerror=alert(1)>"
FAILING = f"""
import sys
print("{HOSTILE}", file=sys.stderr)
print("cannot go on: the variable LEDGER_KEY is not set", file=sys.stderr)
sys.exit(3)
"""


@pytest.fixture(scope="module", autouse=True)
def failing(served: Served) -> None:
    """A server that says why it ends, and ends."""
    program = served.root / "mcp-servers" / "failing.py"
    program.write_text(FAILING, encoding="utf-8")
    with served.open() as workspace:
        workspace.servers.add(
            "failing", command=sys.executable, args=[str(program)], description=HOSTILE
        )


def test_why_a_server_fails_is_found(page: "Page") -> None:
    page.goto("/servers")
    row = page.locator("#servers tr", has_text="failing")
    assert "not verified" in row.inner_text()
    row.get_by_role("button", name="Verify").click()
    carried_out(page)
    page.goto("/servers/of/failing")
    words = page.locator("#verified")
    assert "it exited with status 3" in words.inner_text()
    assert "Likely fix: the server needs the variable LEDGER_KEY" in words.inner_text()
    said = page.get_by_label("What the server wrote to standard error").inner_text()
    assert "cannot go on: the variable LEDGER_KEY is not set" in said
    assert HOSTILE in said
    assert page.locator("img").count() == 0


def test_all_servers_are_verified_live(page: "Page", served: Served) -> None:
    with served.open() as workspace:
        workspace.servers.update("utilities", status="inactive")
    page.goto("/servers")
    page.get_by_role("button", name="Verify all").click()
    page.wait_for_url("**/errands/*")
    carried_out(page)
    assert "LEDGER_KEY" in page.get_by_label("What it says").inner_text()
    page.locator(".crumb").get_by_role("link", name="Servers").click()
    row = page.locator("#servers tr", has_text="failing")
    assert row.locator(".badge.bad").inner_text() == "fails"
    utilities = page.locator("#servers tr", has_text="utilities")
    assert utilities.get_by_role("button", name="Verify").count() == 0


def test_drift_is_shown_by_key_and_synced(page: "Page", served: Served) -> None:
    with served.open() as workspace:
        home = workspace.layout.home
    config = home / ".claude.json"
    config.write_text(
        json.dumps({"numStartups": 7, "mcpServers": {"failing": {"command": "other", "x": 1}}}),
        encoding="utf-8",
    )
    page.goto("/servers")
    assert page.locator("#drift .badge").first.inner_text() == "differs"
    page.get_by_role("link", name="See what a sync would change").click()
    shown = page.locator("#drift").inner_text()
    assert "mcpServers.failing.command" in shown
    assert "- before other" in " ".join(shown.split())
    page.get_by_role("button", name="Sync…").click()
    assert str(config) in page.locator("dialog[open]").inner_text()
    page.get_by_role("button", name="Write them").click()
    page.locator(".toast").wait_for()
    written = json.loads(config.read_text(encoding="utf-8"))
    assert written["numStartups"] == 7
    assert written["mcpServers"]["failing"]["command"] == sys.executable
    assert written["mcpServers"]["failing"]["x"] == 1
    assert page.locator("#drift .badge").first.inner_text() == "in step"

    page.goto("/backups/points")
    page.locator("tbody tr", has_text="/servers/sync").get_by_role("link").click()
    page.get_by_role("button", name="Undo…").click()
    page.get_by_role("button", name="Undo it").click()
    carried_out(page)
    again = json.loads(config.read_text(encoding="utf-8"))
    assert again["mcpServers"]["failing"]["command"] == "other"


def test_a_torn_file_of_a_client_is_told(page: "Page", served: Served) -> None:
    with served.open() as workspace:
        config = workspace.layout.home / ".claude.json"
    config.write_text('{"numStartups": 7, "mcpServ', encoding="utf-8")
    try:
        page.goto("/servers")
        assert ".claude.json" in page.locator("#drift .line.bad").inner_text()
        page.goto("/servers/drift")
        assert ".claude.json" in page.get_by_role("alert").inner_text()
    finally:
        config.unlink()


@pytest.mark.parametrize("theme", ["light", "dark"])
def test_the_pages_of_servers_are_accessible(
    browser: "Browser", served: Served, theme: str
) -> None:
    with window(browser, served, theme) as page:
        for path in ("/servers", "/servers/of/failing", "/servers/drift"):
            page.goto(path)
            assert page.locator("h1").count() == 1
            assert violations(page) == [], path

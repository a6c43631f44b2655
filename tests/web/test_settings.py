"""Settings in the browser: every value and its origin, changed with care, mended when broken."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import quote

import pytest

from tests.web.browser import Served, violations
from tests.web.caller import Caller

if TYPE_CHECKING:
    from playwright.sync_api import Locator, Page

HOSTILE = "<script>document.title='stolen'</script>"


@pytest.fixture(autouse=True)
def file(served: Served) -> Iterator[Path]:
    """The workspace's file of settings, with a comment and an order of its own."""
    path = served.root / "configs" / "holdfast.json"
    path.write_text('{\n  "$comment": "ours",\n  "undo": {"keepDays": 40}\n}\n', "utf-8")
    yield path
    path.write_text("{}", "utf-8")


def opened(page: "Page", name: str) -> "Locator":
    """The row of a setting, its form open."""
    page.goto("/settings")
    row = page.locator("tr", has=page.get_by_text(name, exact=True))
    row.locator("summary").click()
    return row


def test_every_value_tells_its_origin_and_meaning(page: "Page", file: Path) -> None:
    page.goto("/settings")
    row = page.locator("tr", has=page.get_by_text("undo.keepDays", exact=True))
    text = row.inner_text()
    assert "How many days undo points are kept." in text
    assert "40" in text
    assert "default: 30" in text
    assert str(file) in text
    queues = page.locator("tr", has=page.get_by_text("queues.durability", exact=True))
    assert "default" in queues.inner_text()
    assert "All settings are in order." in page.locator("#problems").inner_text()


def test_a_value_is_set_and_all_else_stays(page: "Page", file: Path) -> None:
    row = opened(page, "undo.keepDays")
    row.get_by_label("New value").fill("soon")
    row.get_by_role("button", name="Save").click()
    page.get_by_text("cannot be 'soon'").wait_for()
    assert row.get_by_label("New value").input_value() == "soon"
    assert row.get_by_label("New value").get_attribute("aria-invalid") == "true"
    assert violations(page) == []
    assert "40" in file.read_text("utf-8")

    row.get_by_label("New value").fill("50")
    row.get_by_role("button", name="Save").click()
    page.get_by_text(f"undo.keepDays is set in {file}").wait_for()
    expected = '{\n  "$comment": "ours",\n  "undo": {"keepDays": 50}\n}\n'
    assert file.read_text("utf-8") == expected

    row = opened(page, "queues.durability")
    row.get_by_label("New value").select_option("power")
    row.get_by_label("Written to").select_option("home")
    row.get_by_role("button", name="Save").click()
    page.get_by_text("queues.durability is set in").wait_for()
    home = json.loads((file.parents[2] / ".holdfast.json").read_text("utf-8"))
    assert home["queues"]["durability"] == "power"


def test_what_would_close_the_workspace_is_not_set(guest: Caller, file: Path) -> None:
    before = file.read_bytes()
    token = f"csrf={guest.csrf()}"
    twins = json.dumps([{"name": "twin", "folder": each} for each in ("a", "b")])
    for name, value in (("queues.url", "nothing://here"), ("backups", twins)):
        answer = guest.post(f"/settings/{name}", f"{token}&value={quote(value)}")
        assert answer.status == 303
        page = guest.get((answer.headers.get("Location") or "").partition("#")[0]).body
        assert 'aria-invalid="true"' in page
        assert file.read_bytes() == before
    assert guest.post("/settings/undo.days", f"{token}&value=1").status == 404
    assert guest.post("/settings/undo.keepDays", f"{token}&value=1&file=claude").status == 400
    assert file.read_bytes() == before


def test_what_is_broken_is_told_and_can_be_mended(page: "Page", file: Path) -> None:
    file.write_text('{"undo": {"keepDays": "long"}, "quues": {}, "queues": {"x": 1}}', "utf-8")
    page.goto("/settings")
    problems = page.locator("#problems")
    assert "keepDays" in problems.inner_text()
    assert f"{file}, line 1" in problems.inner_text()
    assert violations(page) == []
    row = opened(page, "undo.keepDays")
    row.get_by_label("New value").fill("60")
    row.get_by_role("button", name="Save").click()
    page.get_by_text("undo.keepDays is set in").wait_for()
    assert "there is no setting 'queues.x'" in problems.inner_text()
    assert json.loads(file.read_text("utf-8"))["undo"] == {"keepDays": 60}


def test_values_stay_text_and_passwords_inside(page: "Page", guest: Caller, file: Path) -> None:
    url = "postgresql://anna:correct-horse-7@127.0.0.1:1/none"
    # A destination's folder may be called anything.
    file.write_text(json.dumps({"backups": f"../{HOSTILE}", "events": {"url": url}}), "utf-8")
    row = opened(page, "backups")
    assert HOSTILE in row.inner_text()
    assert row.get_by_label("New value").input_value() == f"../{HOSTILE}"
    assert page.title() == "Settings · Holdfast"
    body = guest.get("/settings").body
    assert "correct-horse" not in body
    assert "hidden: type all of the new one" in body

    other = quote(url.replace("postgresql", "nothing"), safe="")
    answer = guest.post("/settings/events.url", f"csrf={guest.csrf()}&value={other}")
    assert (answer.status, "correct-horse" in answer.body) == (400, False)

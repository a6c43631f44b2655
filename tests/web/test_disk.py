"""Disk in the browser: what takes the space, cleaning, the quarantine."""

import math
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from holdfast.web.treemap import HEIGHT, WIDTH, squarify
from tests.web.browser import Served, violations
from tests.web.caller import Caller

if TYPE_CHECKING:
    from playwright.sync_api import Page

HOSTILE = "<script>document.title='stolen'<" if sys.platform != "win32" else "&lt;script"


@pytest.fixture(scope="module", autouse=True)
def filled(served: Served) -> Path:
    """A project with packages and caches that can go, and a folder of a hostile name."""
    project = served.root / "agents" / "shop"
    for folder, size in (("node_modules/left-pad", 900_000), ("src/__pycache__", 400_000)):
        (project / folder).mkdir(parents=True)
        (project / folder / "data").write_bytes(b"x" * size)
    for name in ("package.json", "package-lock.json"):
        (project / name).write_text("{}", "utf-8")
    hostile = project / HOSTILE
    hostile.mkdir()
    (hostile / "large").write_bytes(b"y" * 1_500_000)
    return project


def measured(page: "Page", path: str = "/disk") -> None:
    page.goto(path)
    page.locator(".treemap").wait_for()
    page.get_by_text("As it was").nth(1).wait_for()


def test_the_treemap_leads_into_folders_by_the_keyboard(page: "Page") -> None:
    measured(page)
    block = page.locator(".treemap").get_by_role("link", name="agents,")
    block.focus()
    page.keyboard.press("Enter")
    page.wait_for_url("**folder=agents")
    assert page.get_by_role("navigation", name="Folder").inner_text().split()[:3] == [
        "development",
        "/",
        "agents",
    ]
    table = page.locator("#usage table")
    table.get_by_role("link", name="shop").click()
    page.wait_for_url("**folder=agents%2Fshop")
    assert "node_modules" in table.inner_text()
    assert HOSTILE in table.inner_text()
    assert page.title() == "Disk · Holdfast"
    assert f"agents/shop/{HOSTILE}/large" in page.locator("#large").inner_text()
    assert violations(page) == []


def test_what_can_go_is_moved_and_put_back(page: "Page", filled: Path) -> None:
    measured(page)
    plan = page.locator("#clean")
    assert "packages that package.json and a lock file bring back" not in plan.inner_text()
    assert f"npm ci, in {filled}" in plan.inner_text()
    page.get_by_role("button", name="Clean up").click()
    dialog = page.get_by_role("dialog")
    assert "node-modules: 1 item" in dialog.inner_text()
    assert violations(page) == []
    dialog.get_by_label("python-cache").uncheck()
    dialog.get_by_role("button", name="Move to quarantine").click()
    page.wait_for_url("**/errands/*")
    page.locator("#errand .badge.good").wait_for()
    assert not (filled / "node_modules").exists()
    assert (filled / "src" / "__pycache__").exists()

    page.locator(".crumb").get_by_role("link", name="Disk").click()
    # What was planned before is not what can go now.
    plan.get_by_text("node_modules").wait_for(state="detached")
    assert "__pycache__" in plan.inner_text()
    page.locator("#quarantine").get_by_role("button", name="Put back").click()
    page.get_by_text("Put back to").wait_for()
    assert (filled / "node_modules" / "left-pad" / "data").stat().st_size == 900_000


def test_emptying_names_what_goes_and_spares_what_came_since(page: "Page", served: Served) -> None:
    with served.open() as workspace:
        doomed = served.root / "doomed.txt"
        doomed.write_text("x", "utf-8")
        workspace.quarantine.take(doomed, reason="<b>test</b>")
        page.goto("/disk")
        page.get_by_role("button", name="Empty").click()
        dialog = page.get_by_role("dialog")
        assert str(doomed) in dialog.inner_text()
        assert "do not come back" in dialog.inner_text()
        assert "<b>test</b>" in page.locator("#quarantine").inner_text()

        page.keyboard.press("Escape")
        assert len(workspace.quarantine.list_entries()) == 1
        page.get_by_role("button", name="Empty").click()
        later = served.root / "later.txt"
        later.write_text("y", "utf-8")
        workspace.quarantine.take(later, reason="since")
        dialog.get_by_role("button", name="Delete for good").click()
        page.get_by_text("Deleted 1 of the quarantine").wait_for()
        assert [each.origin for each in workspace.quarantine.list_entries()] == [str(later)]


def test_what_was_not_asked_rightly_does_nothing(guest: Caller) -> None:
    token = f"csrf={guest.csrf()}"
    assert guest.post("/disk/clean", token).status == 400
    assert guest.post("/disk/clean", f"{token}&kind=everything").status == 400
    assert guest.post("/disk/quarantine/empty", token).status == 400
    assert guest.post("/disk/quarantine/none/restore", token).status == 404
    assert guest.post("/disk/quarantine/..%2f..%2fconfigs/restore", token).status in (400, 404)


SIZES = st.lists(st.integers(1, 10**12), min_size=1, max_size=40)


@settings(max_examples=200, deadline=None)
@given(SIZES)
def test_areas_are_as_sizes_are(sizes: list[int]) -> None:
    sizes.sort(reverse=True)
    places = squarify([float(size) for size in sizes], 0.0, 0.0, WIDTH, HEIGHT)
    assert len(places) == len(sizes)
    for size, (x, y, width, height) in zip(sizes, places, strict=True):
        assert -0.1 <= x <= x + width <= WIDTH + 0.2
        assert -0.1 <= y <= y + height <= HEIGHT + 0.2
        area = size / sum(sizes) * WIDTH * HEIGHT
        assert math.isclose(width * height, area, rel_tol=0.05, abs_tol=0.1 * (width + height + 1))

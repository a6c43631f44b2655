"""Runs in the browser: watched while they work, found, resumed, forked, cancelled."""

from typing import TYPE_CHECKING

import pytest

from holdfast.workflows.loading import load_file
from tests.web.browser import Served, expect, violations
from tests.web.filled import TOKEN, put_survey, run_survey

if TYPE_CHECKING:
    from playwright.sync_api import Page


@pytest.fixture(scope="module", autouse=True)
def runs(served: Served) -> None:
    """One run that succeeded after a retry, one that failed while the site was offline."""
    root = served.root
    with served.open() as workspace:
        (root / "bees-1.flaky").touch()
        run_survey(workspace, "bees", "bees-1")
        (root / "offline").touch()
        run_survey(workspace, "wasps", "wasps-1")
        (root / "offline").unlink()
        run_survey(workspace, TOKEN, "secret-1")


def test_a_run_is_watched_until_it_is_done(page: "Page", served: Served) -> None:
    root = served.root
    with served.open() as workspace:
        (survey,) = load_file(put_survey(root))
        started = workspace.workflows.start(survey, ("ants", "gate"), run_id="ants-1")
        page.goto("/workflows/ants-1")
        page.locator("#summary .badge", has_text="running").wait_for()
        page.locator("#timeline .running").wait_for(state="attached")
        assert "publish-1" not in page.locator("#timeline").inner_text()
        assert violations(page) == []

        (root / "gate").touch()
        page.locator("#summary .badge", has_text="succeeded").wait_for()
        page.locator("#timeline", has_text="publish-1").wait_for()
        page.locator("#result", has_text='"published": 18').wait_for()
        started.result()


def test_a_timeline_shows_parallel_steps_retries_and_log_lines(page: "Page") -> None:
    page.goto("/workflows/bees-1")
    rows = page.locator("#timeline tbody tr")
    names = rows.locator("th").all_inner_texts()
    assert names == [
        *("list_sources-1", "read_source-1", "read_source-2", "read_source-3"),
        "publish-1",
    ]
    assert "2 attempts" in rows.nth(2).inner_text()
    bars = [rows.nth(row).locator("rect") for row in (1, 3)]
    begun = [float(bar.get_attribute("x") or 0) for bar in bars]
    ended = [
        at + float(bar.get_attribute("width") or 0) for at, bar in zip(begun, bars, strict=True)
    ]
    assert max(begun) < min(ended)  # side by side
    assert "Looking for sources" in page.locator("#lines").inner_text()
    assert violations(page) == []

    page.get_by_role("link", name="read_source-2").click()
    expect(page.locator("#step h2")).to_have_text("Step read_source-2")
    assert page.locator("#timeline tr.chosen th").inner_text() == "read_source-2"
    assert "Looking for sources" not in page.locator("#lines").inner_text()


def test_runs_are_filtered_by_what_is_known_of_them(page: "Page") -> None:
    page.goto("/workflows")
    found = page.locator("#runs tbody th")
    everything = found.all_inner_texts()
    assert {"bees-1", "wasps-1"} <= set(everything)

    page.get_by_role("link", name="Failed").click()
    expect(found).to_have_text(["wasps-1"])
    page.get_by_role("link", name="All").click()
    expect(found).to_have_text(everything)
    page.get_by_label("In its input").fill("bees")
    page.get_by_role("button", name="Find").click()
    expect(found).to_have_text(["bees-1"])
    page.get_by_label("Begun before").fill("2020-01-01T00:00")
    page.get_by_role("button", name="Find").click()
    page.get_by_text("No run is like that").wait_for()
    page.get_by_role("link", name="Clear").click()
    expect(found).to_have_text(everything)


def test_a_failed_run_tells_why_and_is_resumed(page: "Page", served: Served) -> None:
    page.goto("/workflows/wasps-1")
    error = page.locator("#error").inner_text()
    assert "ConnectionError: the site is <b>offline</b>" in error
    assert "publish" in error

    page.get_by_role("button", name="Resume").click()
    dialog = page.get_by_role("dialog")
    assert "survey.py" in dialog.inner_text()
    assert violations(page) == []
    page.keyboard.press("Escape")
    assert not dialog.is_visible()

    page.get_by_role("button", name="Resume").click()
    dialog.get_by_role("button", name="Resume").click()
    page.get_by_text("Resumed wasps-1").wait_for()
    page.locator("#summary .badge", has_text="succeeded").first.wait_for()
    with served.open() as workspace:
        assert workspace.workflows.get("wasps-1").status == "succeeded"


def test_a_run_is_forked_from_a_step(page: "Page", served: Served) -> None:
    page.goto("/workflows/bees-1?step=publish-1")
    page.get_by_role("button", name="Fork").click()
    dialog = page.get_by_role("dialog")
    assert dialog.get_by_label("Begin with the step").input_value() == "publish-1"
    dialog.get_by_role("button", name="Fork").click()
    page.get_by_text("Forked as survey-").wait_for()
    page.locator("#summary .badge", has_text="succeeded").first.wait_for()
    with served.open() as workspace:
        assert page.locator("#timeline", has_text="taken over").count() == 1
        forked = workspace.workflows.get(page.locator("h1").inner_text())
        assert forked.status == "succeeded"
        assert forked.result == {"published": 18}


def test_a_run_is_cancelled_only_after_it_was_asked(page: "Page", served: Served) -> None:
    with served.open() as workspace:
        (survey,) = load_file(put_survey(served.root))
        workspace.workflows.enqueue(survey, ("moths",), run_id="moths-1")
        page.goto("/workflows/moths-1")
        page.get_by_role("button", name="Cancel").click()
        dialog = page.get_by_role("dialog")
        assert "moths-1" in dialog.inner_text()
        dialog.get_by_role("button", name="Keep it as it is").click()
        assert workspace.workflows.get("moths-1").status == "queued"

        page.get_by_role("button", name="Cancel").click()
        dialog.get_by_role("button", name="Cancel the run").click()
        page.get_by_text("Cancelled moths-1").wait_for()
        assert workspace.workflows.get("moths-1").status == "cancelled"


def test_a_run_that_cannot_be_taken_up_says_why(page: "Page", served: Served) -> None:
    with served.open() as workspace:
        (served.root / "offline").touch()
        run_survey(workspace, "hornets", "hornets-1")
    (served.root / "survey.py").rename(served.root / "moved.py")
    try:
        page.goto("/workflows/hornets-1")
        page.get_by_role("button", name="Resume").click()
        page.get_by_role("dialog").get_by_role("button", name="Resume").click()
        page.wait_for_url("**/errands/*")
        said = page.locator("#errand", has_text="survey.py")
        said.wait_for()
        assert "failed" in said.inner_text()
    finally:
        (served.root / "moved.py").rename(served.root / "survey.py")


def test_a_secret_is_masked_wherever_it_stands(page: "Page") -> None:
    for path in ("/workflows", "/workflows/secret-1", "/workflows/secret-1?step=list_sources-1"):
        page.goto(path)
        assert TOKEN not in page.content()
        assert "••••" in page.content()


def test_many_runs_are_turned_over_page_by_page(page: "Page", served: Served) -> None:
    with served.open() as workspace:
        (survey,) = load_file(put_survey(served.root))
        for number in range(60):
            workspace.workflows.enqueue(survey, ("flies",), run_id=f"flies-{number}")
    page.goto("/workflows?text=flies")
    found = page.locator("#runs tbody th")
    names = [f"flies-{number}" for number in reversed(range(60))]
    expect(found).to_have_text(names[:50])
    page.get_by_role("link", name="Older").click()
    expect(found).to_have_text(names[50:])
    page.get_by_role("link", name="Newest").click()
    expect(found).to_have_text(names[:50])

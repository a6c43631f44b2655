"""Agents in the browser: started and stopped, deleted and brought back."""

import json
import shutil
import textwrap
from collections.abc import Iterator
from typing import TYPE_CHECKING

import pytest

from holdfast.services import control
from tests.services.conftest import LASTING, end_everything
from tests.web.browser import LONG, Served, carried_out, violations, window

if TYPE_CHECKING:
    from playwright.sync_api import Browser, Page

HOSTILE = "<img src=x onerror=alert(1)>"


@pytest.fixture(scope="module", autouse=True)
def filled(served: Served) -> Iterator[None]:
    """Registered agents, one of them a service, and a snapshot of it all."""
    with served.open() as workspace:
        workspace.registry.discover_agents(workspace.layout.agents)
        lasting = workspace.layout.agents / "lasting.py"
        lasting.write_text(textwrap.dedent(LASTING), encoding="utf-8")
        workspace.registry.add("lasting", path=lasting, service={})
        workspace.snapshot()
        yield
        end_everything(workspace)


def test_a_deleted_agent_is_brought_back_by_clicks(page: "Page", served: Served) -> None:
    with served.open() as workspace:
        folder = workspace.layout.agents / "observatory-agent"
        before = {path.name: path.read_bytes() for path in folder.iterdir()}
        shutil.rmtree(folder)
        workspace.registry.remove("observatory-agent")
    page.goto("/agents")
    lost = page.locator("#lost")
    assert "its files and its entry" in lost.inner_text()
    lost.get_by_role("link", name="Bring back").click()
    assert "Its registry entry comes back" in page.locator("main").inner_text()
    assert not folder.exists()
    page.get_by_role("button", name="Restore in place").click()
    page.get_by_role("button", name="Restore", exact=True).click()
    carried_out(page)
    page.goto("/agents")
    assert page.locator("#lost table").count() == 0
    assert {path.name: path.read_bytes() for path in folder.iterdir()} == before
    with served.open() as workspace:
        assert workspace.registry.get("observatory-agent").path == str(folder)
        assert workspace.registry.validate() == []


def test_an_agent_removed_by_a_click_is_undone_by_clicks(page: "Page", served: Served) -> None:
    page.goto("/agents/of/surveyor-agent")
    page.get_by_role("button", name="Remove…").click()
    assert "surveyor-agent" in page.locator("dialog[open]").inner_text()
    page.get_by_role("button", name="Remove it").click()
    page.locator(".toast").wait_for()
    page.get_by_role("link", name="undo points").click()
    page.locator("tbody tr", has_text="/agents/remove").get_by_role("link").click()
    page.get_by_role("button", name="Undo…").click()
    page.get_by_role("button", name="Undo it").click()
    carried_out(page)
    with served.open() as workspace:
        assert workspace.registry.get("surveyor-agent").group == "production"


def test_an_agent_is_started_and_stopped(page: "Page", served: Served) -> None:
    page.goto("/agents")
    row = page.locator("#agents tr", has_text="lasting")
    row.get_by_role("button", name="Start").click()
    carried_out(page)
    page.goto("/agents/of/lasting")
    page.locator("#agent .badge", has_text="ready").wait_for(timeout=LONG)
    page.locator("#said", has_text="listening").wait_for(timeout=LONG)
    with served.open() as workspace:
        pid = control.statuses(workspace, ["lasting"])[0].pid
    page.get_by_role("button", name="Stop").click()
    dialog = page.locator("dialog[open]")
    assert f"lasting (process {pid})" in dialog.inner_text()
    dialog.get_by_role("button", name="Stop it").click()
    carried_out(page)
    page.goto("/agents/of/lasting")
    page.locator("#agent .badge", has_text="stopped").wait_for(timeout=LONG)
    with served.open() as workspace:
        assert control.statuses(workspace, ["lasting"])[0].pid is None


def test_a_torn_registry_is_brought_back(page: "Page", served: Served) -> None:
    with served.open() as workspace:
        workspace.registry.update("lasting", owner="Ann")
        path, count = workspace.registry.path, len(workspace.registry.list())
    path.write_bytes(path.read_bytes()[:-40])
    page.goto("/agents")
    assert str(path) in page.get_by_role("alert").inner_text()
    page.get_by_role("button", name="Bring the registry back").click()
    page.get_by_role("button", name="Bring it back").click()
    page.locator(".toast").wait_for()
    with served.open() as workspace:
        assert len(workspace.registry.list()) == count


@pytest.mark.parametrize("theme", ["light", "dark"])
def test_hostile_agents_stay_text_and_the_pages_accessible(
    browser: "Browser", served: Served, theme: str
) -> None:
    path = served.root / "configs" / "agents" / "agent-registry.json"
    content = path.read_bytes()
    document = json.loads(content)
    entry = {"name": HOSTILE, "path": HOSTILE, "status": HOSTILE, "description": HOSTILE}
    document["agentRegistry"]["staging"][f"{HOSTILE}/a?b"] = {**entry, "other": HOSTILE}
    path.write_text(json.dumps(document), encoding="utf-8")
    lasting = served.root / "agents" / "surveyor-agent.py"
    kept = lasting.read_bytes()
    lasting.unlink()
    try:
        with window(browser, served, theme) as page:
            page.goto("/agents")
            assert "surveyor-agent" in page.locator("#lost").inner_text()
            assert violations(page) == []
            page.locator("#agents").get_by_role("link", name=HOSTILE).click()
            assert page.locator("h1").inner_text() == f"{HOSTILE}/a?b"
            assert page.locator("img").count() == 0
            assert violations(page) == []
    finally:
        path.write_bytes(content)
        lasting.write_bytes(kept)

"""Security in the browser: secrets found and never shown, what is open closed, the guards."""

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from tests.conftest import child_environment, require
from tests.web.browser import Served, violations
from tests.web.caller import Caller

if TYPE_CHECKING:
    from playwright.sync_api import Page

TOKEN = "ghp_" + "z9Y8x7W6" * 4 + "v5U4"
PASSWORD = "correct-horse-battery-7"
HOSTILE = "<script>document.title='stolen'<" if sys.platform != "win32" else "&lt;script"


@pytest.fixture(scope="module", autouse=True)
def exposed(served: Served) -> Path:
    """A repository in which secrets lie about; returns the file of one."""
    require(shutil.which("git") is not None, "git")
    environment = child_environment({})
    subprocess.run(["git", "init", "-q", served.root], check=True, env=environment)
    path = served.root / ".env"
    path.write_text(f"GITHUB_TOKEN={TOKEN}\nDB_PASSWORD={PASSWORD}\n", "utf-8")
    if os.name == "posix":
        path.chmod(0o644)
    hostile = served.root / "scripts" / HOSTILE
    hostile.mkdir(parents=True)
    (hostile / "run.sh").write_text(f"curl -H 'Authorization: token {TOKEN}'\n", "utf-8")
    return path


def scanned(page: "Page") -> None:
    page.goto("/security")
    page.get_by_role("table", name="Likely secrets").wait_for()


def test_secrets_are_found_and_never_shown(page: "Page", guest: Caller) -> None:
    scanned(page)
    secrets = page.locator("#secrets")
    assert ".env, line 1" in secrets.inner_text()
    assert "holdfast secrets move .env --line 1" in secrets.inner_text()
    assert f"scripts/{HOSTILE}/run.sh, line 1" in secrets.inner_text()
    assert page.title() == "Security · Holdfast"
    assert violations(page) == []
    for path in ("/security", "/", "/errands/1"):
        body = guest.get(path).body
        assert TOKEN not in body
        assert PASSWORD not in body


def test_a_scan_is_made_again_when_asked(page: "Page", served: Served) -> None:
    scanned(page)
    late = served.root / "configs" / "late.json"
    late.write_text(json.dumps({"token": TOKEN}), "utf-8")
    page.get_by_role("button", name="Scan again").click()
    page.get_by_text("configs/late.json, line 1").wait_for()
    late.unlink()


def test_what_is_open_to_others_is_closed(page: "Page", served: Served, exposed: Path) -> None:
    page.goto("/security")
    closed = page.locator("#closed")
    (served.root / ".gitignore").write_text("# mine\n.env\n", "utf-8")
    page.reload()
    assert ".gitignore does not name" in closed.inner_text()
    if os.name == "posix":
        assert f"{exposed} is 0644, should be 0600" in closed.inner_text()
    closed.get_by_role("button", name="Fix").click()
    page.get_by_text(".gitignore has now").wait_for()
    assert "Private files are the owner's alone" in closed.inner_text()
    ignored = (served.root / ".gitignore").read_text("utf-8")
    assert ignored.startswith("# mine\n.env\n")
    assert "*.pem\n" in ignored
    if os.name == "posix":
        assert exposed.stat().st_mode & 0o777 == 0o600


def test_the_guard_is_installed_and_taken_out(page: "Page", served: Served) -> None:
    file = served.root / ".claude" / "settings.json"
    file.parent.mkdir(exist_ok=True)
    file.write_text('{"model": "opus"}', "utf-8")
    page.goto("/security")
    row = page.locator("#guard .todo", has_text="settings of the workspace")
    row.get_by_role("button", name="Install").click()
    dialog = page.get_by_role("dialog")
    assert str(file) in dialog.inner_text()
    assert "hooks.PreToolUse" in dialog.inner_text()
    assert violations(page) == []
    dialog.get_by_role("button", name="Install").click()
    page.wait_for_url("**/errands/*")
    page.locator("#errand .badge.good").wait_for()
    assert "PreToolUse" in json.loads(file.read_text("utf-8"))["hooks"]

    page.goto("/security")
    row.get_by_role("button", name="Uninstall").click()
    page.get_by_role("dialog").get_by_role("button", name="Uninstall").click()
    page.get_by_text("The hooks are taken out of").wait_for()
    assert json.loads(file.read_text("utf-8")) == {"model": "opus"}


def test_gits_hook_is_installed_and_taken_out(page: "Page", served: Served) -> None:
    hook = served.root / ".git" / "hooks" / "pre-commit"
    page.goto("/security")
    row = page.locator("#guard .todo", has_text="pre-commit")
    row.get_by_role("button", name="Install").click()
    page.get_by_role("dialog").get_by_role("button", name="Install").click()
    page.get_by_text("is installed").wait_for()
    assert b"secrets scan --staged" in hook.read_bytes()
    row.get_by_role("button", name="Uninstall").click()
    dialog = page.get_by_role("dialog")
    assert "Commits are not looked through any more" in dialog.inner_text()
    dialog.get_by_role("button", name="Uninstall").click()
    page.get_by_text("is taken out").wait_for()
    assert not hook.exists()


def test_settings_that_cannot_be_read_are_told(guest: Caller, served: Served) -> None:
    file = served.root / ".claude" / "settings.json"
    file.parent.mkdir(exist_ok=True)
    file.write_text("{", "utf-8")
    body = guest.get("/security").body
    assert "settings of the workspace" in body
    assert "settings.json" in body
    token = f"csrf={guest.csrf()}"
    assert guest.post("/security/guard/workspace/uninstall", token).status == 500
    assert guest.post("/security/guard/everywhere/install", token).status == 404
    file.unlink()

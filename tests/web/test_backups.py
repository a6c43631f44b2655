"""Backups in the browser: made, looked into, compared, found, restored, thinned out, undone."""

import json
import re
import sys
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import quote

import pytest

from holdfast.facade import Workspace
from holdfast.web.errands import Errands
from tests.web.browser import Served, carried_out, violations, window
from tests.web.caller import Caller

if TYPE_CHECKING:
    from playwright.sync_api import Browser, Page

# No file of Windows may be called so.
HOSTILE = "odd & name.md" if sys.platform == "win32" else "<img src=x onerror=alert(1)>.md"
SECRET = "sk-ant-api03-" + "abcdefghij" * 6
KEYS = json.dumps({"token": SECRET, "args": ["--password", "open-sesame-7"]})


@pytest.fixture(scope="module")
def kept(served: Served) -> list[str]:
    """Two snapshots, between which notes were changed, made and deleted."""
    with served.open() as workspace:
        notes = workspace.layout.root / "notes"
        notes.mkdir()
        (notes / HOSTILE).write_text("<script>alert(1)</script>\n", encoding="utf-8")
        (notes / "plan.md").write_text("the first plan\n", encoding="utf-8")
        (notes / "gone.md").write_text("still here\n", encoding="utf-8")
        (notes / "keys.json").write_text(KEYS, encoding="utf-8")
        (notes / "picture.bin").write_bytes(bytes(range(256)) * 9)
        (workspace.layout.home / ".bashrc").write_text("alias a=b\n", encoding="utf-8")
        first = workspace.snapshot(tags=["before"]).snapshot.id
        (notes / "plan.md").write_text("the second plan\n", encoding="utf-8")
        (notes / "gone.md").unlink()
        second = workspace.snapshot(tags=["<b>after</b>"]).snapshot.id
    return [first, second]


@pytest.fixture
def guest(served: Served) -> Caller:
    caller = Caller(served)
    caller.enter(served.link)
    return caller


def _notes(served: Served) -> Path:
    return served.root / "notes"


def test_a_backup_is_made_and_drilled_by_buttons(page: "Page", served: Served) -> None:
    page.goto("/backups")
    assert "There is no backup yet" in page.locator("#list").inner_text()
    page.get_by_label("Tag").first.fill("by-hand")
    page.get_by_role("button", name="Back up now").click()
    page.wait_for_url("**/errands/*")
    carried_out(page)
    page.locator(".crumb").get_by_role("link", name="Backups").click()
    assert "by-hand" in page.locator("#list").inner_text()
    assert page.locator(".timeline circle").count() == 1

    page.get_by_role("button", name="Prove").click()
    page.wait_for_url("**/errands/*")
    carried_out(page)
    with served.open() as workspace:
        proof = workspace.vault.last_proof()
        assert proof is not None
        assert proof.how == "drill"


def test_a_snapshot_is_browsed_like_a_folder(page: "Page", kept: list[str]) -> None:
    page.goto("/backups?tag=before")
    page.locator("#list").get_by_role("link", name=kept[0][:12]).click()
    page.get_by_role("link", name="notes/").click()
    page.wait_for_url("**path=notes")
    names = page.locator("tbody th").all_inner_texts()
    assert names == sorted([HOSTILE, "gone.md", "keys.json", "picture.bin", "plan.md"])
    page.get_by_label("Name holds").fill("PLAN")
    page.get_by_role("button", name="Show").click()
    page.wait_for_url("**name=PLAN**")
    assert page.locator("tbody th").all_inner_texts() == ["plan.md"]
    page.get_by_role("link", name="plan.md", exact=True).click()
    assert "the first plan" in page.get_by_label("Content of the file").inner_text()
    page.get_by_role("link", name="notes").click()
    page.goto(f"/backups/at/backups/{kept[0]}?path=~")
    assert ".bashrc" in page.locator("tbody").inner_text()


def test_files_are_shown_safely(page: "Page", guest: Caller, kept: list[str]) -> None:
    base = f"/backups/at/backups/{kept[0]}/file?path=notes/"
    page.goto(base + quote(HOSTILE))
    assert page.get_by_label("Content of the file").inner_text() == "<script>alert(1)</script>\n"
    assert page.locator("h1").inner_text() == HOSTILE
    shown = guest.get(base + "keys.json").body
    assert "••••" in shown
    assert SECRET[:30] not in shown
    assert "open-sesame-7" not in shown
    assert "This is no text" in guest.get(base + "picture.bin").body
    assert guest.get(base + "nothing").status == 404
    assert guest.get(f"/backups/at/backups/{kept[0]}/file?path=notes").status == 400
    for path in ("..", "../..", "/etc/passwd", "notes/../../x", "~/.ssh", "~/../x", "\\0"):
        answer = guest.get(f"/backups/at/backups/{kept[0]}/file?path={quote(path)}")
        assert answer.status in (400, 404), path


def test_only_the_beginning_of_a_long_file_is_shown(served: Served, guest: Caller) -> None:
    with served.open() as workspace:
        long = "".join(f"line {number}\n" for number in range(60_000))
        (served.root / "long.txt").write_text(long, encoding="utf-8")
        settings = {"args": ["--password", "open-sesame-7"], "more": long}
        (served.root / "long.json").write_text(json.dumps(settings), encoding="utf-8")
        identity = workspace.snapshot().snapshot.id
    body = guest.get(f"/backups/at/backups/{identity}/file?path=long.txt").body
    assert "The beginning of it" in body
    assert len(body) < 200_000
    assert body.count("line ") > 9_000
    body = guest.get(f"/backups/at/backups/{identity}/file?path=long.json").body
    assert "•••• (13 characters)" in body
    assert "open-sesame-7" not in body


def test_an_errand_has_the_settings_of_the_page_before_its_paths(
    served: Served, kept: list[str]
) -> None:
    errands = Errands(served.root, ["undo.keepDays=5"])
    errand = errands.start(["backup", "find", "--", "plan.md"])
    assert errands.wait(errand, 100)
    assert errand.state == "succeeded"
    assert "plan.md" in errand.output


def test_a_folder_of_many_entries_is_shown_in_pages(served: Served, guest: Caller) -> None:
    many = served.root / "many"
    many.mkdir()
    for number in range(450):
        (many / f"f{number:04}").write_bytes(b"x" * (number % 7))
    with served.open() as workspace:
        identity = workspace.snapshot().snapshot.id
    base = f"/backups/at/backups/{identity}?path=many"
    first = guest.get(base).body
    assert "1 to 200 of 450" in first
    assert "f0199" in first
    assert "f0200" not in first
    last = guest.get(base + "&skip=400").body
    assert "401 to 450 of 450" in last
    assert re.findall(r">f(\d+)</a>", guest.get(base + "&order=size").body)[0] == "0006"
    assert guest.get(base + "&order=wrong").status == 400
    assert guest.get(base + "&skip=-1").status == 400


def test_what_changed_is_shown_from_one_snapshot_to_another(
    guest: Caller, kept: list[str], served: Served
) -> None:
    first, second = kept
    body = guest.get(f"/backups/at/backups/{first}/changes?to={second}").body
    assert "notes/plan.md" in body
    assert "notes/gone.md" in body
    assert "notes/keys.json" not in body
    only = guest.get(f"/backups/at/backups/{first}/changes?to={second}&change=removed").body
    assert "notes/plan.md" not in only
    (_notes(served) / "new.md").write_text("new", encoding="utf-8")
    now = guest.get(f"/backups/at/backups/{first}/changes?below=notes/").body
    assert "notes/new.md" in now


def test_a_deleted_file_is_found_across_time_and_comes_back(
    page: "Page", kept: list[str], served: Served
) -> None:
    page.goto("/backups")
    page.get_by_role("link", name="Find a file").click()
    page.get_by_label("Name or path").fill("gone.*")
    page.get_by_role("button", name="Find").click()
    row = page.locator("tbody tr")
    row.wait_for()
    row.get_by_role("link", name="Restore").click()
    assert "notes/gone.md" in page.locator("tbody").inner_text()
    assert not (_notes(served) / "gone.md").exists()
    page.get_by_role("button", name="Restore in place").click()
    page.get_by_role("button", name="Restore", exact=True).click()
    carried_out(page)
    assert (_notes(served) / "gone.md").read_text(encoding="utf-8") == "still here\n"


def test_a_restore_names_what_newer_it_overwrites_and_can_be_undone(
    page: "Page", kept: list[str], served: Served
) -> None:
    plan = _notes(served) / "plan.md"
    plan.write_text("the third plan\n", encoding="utf-8")
    page.goto(f"/backups/at/backups/{kept[0]}?path=notes")
    page.get_by_label("Choose plan.md").check()
    page.get_by_label("Choose keys.json").check()
    page.get_by_role("button", name="Restore what is chosen").click()
    assert "what is there is newer" in page.locator("tbody").inner_text()
    page.get_by_role("button", name="Restore in place").click()
    dialog = page.locator("dialog[open]")
    assert "1 of them was changed after the snapshot: notes/plan.md" in dialog.inner_text()
    dialog.get_by_role("button", name="Restore", exact=True).click()
    carried_out(page)
    assert plan.read_text(encoding="utf-8") == "the first plan\n"

    page.goto("/backups/points")
    page.locator("tbody tr", has_text="restore").first.get_by_role("link").click()
    page.get_by_role("button", name="Undo…").click()
    assert "plan.md" in page.locator("dialog[open]").inner_text()
    page.get_by_role("button", name="Undo it").click()
    carried_out(page)
    assert plan.read_text(encoding="utf-8") == "the third plan\n"


def test_a_restore_to_a_side_folder_leaves_everything_in_place(
    page: "Page", kept: list[str], served: Served
) -> None:
    before = (_notes(served) / "plan.md").read_bytes()
    page.goto(f"/backups/at/backups/{kept[0]}/restore?path=notes&path=~/.bashrc")
    page.get_by_label("Or to another folder").fill("aside")
    page.get_by_role("button", name="Show that plan").click()
    page.get_by_role("button", name="Restore there").click()
    page.get_by_role("button", name="Restore", exact=True).click()
    carried_out(page)
    aside = served.root / "aside"
    assert (aside / "notes" / "plan.md").read_text(encoding="utf-8") == "the first plan\n"
    assert (aside / "home" / ".bashrc").read_text(encoding="utf-8") == "alias a=b\n"
    assert (_notes(served) / "plan.md").read_bytes() == before


def test_a_plan_that_is_old_is_not_carried_out(
    guest: Caller, kept: list[str], served: Served
) -> None:
    where = f"/backups/at/backups/{kept[0]}/restore"
    (_notes(served) / "gone.md").unlink(missing_ok=True)
    digest = re.findall(r'name="plan" value="(\w+)"', guest.get(f"{where}?path=notes").body)[0]
    (_notes(served) / "gone.md").write_text("made meanwhile", encoding="utf-8")
    form = f"csrf={guest.csrf()}&path=notes&plan={digest}"
    answer = guest.post(where, form, Origin=f"http://{guest.host}")
    assert answer.status == 409
    assert (_notes(served) / "gone.md").read_text(encoding="utf-8") == "made meanwhile"


def test_snapshots_are_thinned_out_and_taken_back(
    page: "Page", kept: list[str], served: Served
) -> None:
    with served.open() as workspace:
        workspace.snapshot()
        workspace.snapshot()
    page.goto("/backups/forget?last=1")
    with served.open() as workspace:
        every = len(workspace.vault.snapshots())
    page.get_by_role("button", name="Forget these").click()
    assert f"{every - 1} snapshots at backups" in page.locator("dialog[open]").inner_text()
    page.get_by_role("button", name="Forget them").click()
    page.locator(".toast").wait_for()
    page.locator("tr", has_text=kept[0][:12]).get_by_role("button", name="Take back").click()
    page.wait_for_url(f"**/backups/at/backups/{kept[0]}")
    with served.open() as workspace:
        assert {info.id for info in workspace.vault.snapshots()} > {kept[0]}
    page.goto("/backups/prune")
    page.get_by_role("button", name="Free space").click()
    assert f"{every - 2} forgotten snapshots" in page.locator("dialog[open]").inner_text()
    page.get_by_role("button", name="Remove for good").click()
    page.wait_for_url("**/errands/*")
    carried_out(page)
    with served.open() as workspace:
        assert workspace.vault.forgotten() == set()


@pytest.mark.parametrize("theme", ["light", "dark"])
def test_the_pages_of_a_snapshot_are_accessible(
    browser: "Browser", served: Served, kept: list[str], theme: str
) -> None:
    with served.open() as workspace:
        newest = _newest_with(workspace, "notes/plan.md")
    base = f"/backups/at/backups/{newest}"
    (_notes(served) / "plan.md").write_text("once more\n", encoding="utf-8")
    with window(browser, served, theme) as page:
        for path in (
            "/backups",
            f"{base}?path=notes",
            f"{base}/file?path=notes/plan.md",
            f"{base}/changes",
            f"{base}/restore",
            "/backups/find?pattern=*.md",
            "/backups/forget?last=1",
            "/backups/prune",
            "/backups/points",
        ):
            page.goto(path)
            assert page.locator("h1").count() == 1
            assert violations(page) == [], path
            assert page.locator("nav [aria-current=page]").first.inner_text() == "Backups"


def _newest_with(workspace: Workspace, path: str) -> str:
    found = workspace.vault.find(path).versions
    return found[-1].snapshots[-1]

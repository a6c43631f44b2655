"""The documentation as a website: built without a warning, complete, and fetching nothing."""

import json
import re
import subprocess
import sys
import tomllib
from collections.abc import Iterator
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import pytest

from tests.conftest import child_environment
from tests.pages import ROOT

OF_ITS_OWN = {"index.md", "pages.md", "changelog.md", "contributing.md"}


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The built site."""
    folder = tmp_path_factory.mktemp("built") / "site"
    done = subprocess.run(
        [sys.executable, ROOT / "scripts/make_site.py", folder],
        env=child_environment(),
        capture_output=True,
        text=True,
        encoding="utf-8",
        timeout=240,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert "warning" not in (done.stdout + done.stderr).lower()
    return folder


def test_every_page_is_in_the_navigation() -> None:
    config = tomllib.loads((ROOT / "zensical.toml").read_text(encoding="utf-8"))
    docs = ROOT / "docs"
    pages = {path.relative_to(docs).as_posix() for path in docs.rglob("*.md")}
    assert sorted(leaves(config["project"]["nav"])) == sorted(pages | OF_ITS_OWN)


def leaves(nav: Any) -> Iterator[str]:
    if isinstance(nav, str):
        yield nav
    else:
        for each in nav.values() if isinstance(nav, dict) else nav:
            yield from leaves(each)


def test_what_a_reader_types_is_found(site: Path) -> None:
    index = json.loads((site / "search.json").read_text(encoding="utf-8"))
    known = json.dumps(index)
    for words in ("first recovery", "holdfast undo", "undo.keepDays", "Acknowledged means kept"):
        assert words in known


class Page(HTMLParser):
    """What a page fetches by itself, and its text outside of code."""

    def __init__(self, path: Path) -> None:
        super().__init__()
        self.fetched: list[str] = []
        self.prose: list[str] = []
        self._inside: list[str] = []
        self.feed(path.read_text(encoding="utf-8"))

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        given = dict(attrs)
        if tag in ("script", "style", "code", "pre", "svg"):
            self._inside.append(tag)
        if tag == "link" and given.get("rel") not in ("canonical", "next", "prev"):
            self.fetched.append(given.get("href") or "")
        elif tag in ("script", "img", "iframe", "source", "object") and given.get("src"):
            self.fetched.append(given["src"] or "")

    def handle_endtag(self, tag: str) -> None:
        if self._inside and self._inside[-1] == tag:
            self._inside.pop()

    def handle_data(self, data: str) -> None:
        if not self._inside:
            self.prose.append(data)


def test_nothing_is_fetched_from_elsewhere(site: Path) -> None:
    outside = [
        (path.name, address)
        for path in site.rglob("*.html")
        for address in Page(path).fetched
        if re.match(r"\w+:|//", address) and not address.startswith("data:")
    ]
    styles = [path.name for path in site.rglob("*.css") if imports(path.read_text("utf-8"))]
    assert outside + styles == []


def imports(style: str) -> list[str]:
    return re.findall(r"@import[^;]*//|url\(\s*['\"]?(?:https?:)?//", style)


def test_no_markdown_is_left_in_the_text(site: Path) -> None:
    left = [
        (path.relative_to(site).as_posix(), text.strip())
        for path in site.rglob("*.html")
        for text in Page(path).prose
        if re.search(r"```|^\s*\|.*\|\s*$|\]\(|\*\*|^#+ |<!-- ", text, re.MULTILINE)
    ]
    assert left == []


def test_marks_of_examples_are_not_published(site: Path) -> None:
    marked = [path for path in site.rglob("*.html") if "<!-- example" in path.read_text("utf-8")]
    assert marked == []

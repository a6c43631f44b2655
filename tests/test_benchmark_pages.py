"""What ``python -m benchmarks --plot`` makes of measured rows: drawings, tables, one page."""

import json
import re
import xml.etree.ElementTree as ET
from pathlib import Path
from typing import Any

import pytest
from benchmarks import __main__ as command
from benchmarks.plot import draw
from benchmarks.publish import BEGIN, END, PUBLISHED, TITLES, merge, pages, publish

from tests.pages import ROOT

SVG = "{http://www.w3.org/2000/svg}"
MACHINE = {
    "cores": 2,
    "memoryGiB": 4.0,
    "system": "Linux 6.1.2-x",
    "machine": "x86_64",
    "python": "3.11.7",
    "sqlite": "3.40.1",
    "fileSystem": "ext4",
}


def side(name: str, median: float | None, ratio: float | None = None) -> dict[str, Any]:
    told = {"name": name, "version": f"{name} 1.0", "durability": "WAL", "median": median}
    return {**told, "samples": [median], "remark": "", "problem": None, "ratio": ratio}


def row(name: str, *sides: dict[str, Any], more: bool = True) -> dict[str, Any]:
    facts = {"what": f"do {name} & more", "unit": "things/s", "survives": "a crash"}
    return {"name": name, "moreIsBetter": more, **facts, "sides": list(sides)}


FAST = row("queues/put", side("holdfast", 5000.0), side("slow", 50.0, 100.0))
SLOW = row("queues/take", side("holdfast", 10.0), side("quick", 40.0, 0.25))
LATE = row("logs/write", side("holdfast", 2.0), side("late", 8.0, 0.25), more=False)
GONE = row("logs/search", side("holdfast", 2.0), side("missing", None))


def bars(drawing: str) -> list[tuple[str, float]]:
    root = ET.fromstring(drawing)
    return [
        (each.get("class", ""), float(each.get("width", "0")))
        for each in root.iter(f"{SVG}rect")
        if each.get("class") in ("better", "worse")
    ]


def test_a_bar_shows_which_is_better_and_by_how_much() -> None:
    (fast, slow), (late,) = bars(draw("Queues", [FAST, SLOW])), bars(draw("Logs", [LATE, GONE]))
    assert (fast[0], slow[0], late[0]) == ("better", "worse", "better")
    assert fast[1] / slow[1] == pytest.approx(2 / 0.602, rel=0.01)  # powers of ten
    text = draw("Queues", [FAST, SLOW, GONE])
    for told in ("100x", "0.25x", "missing: not measured", "do queues/put &amp; more"):
        assert told in text


def test_a_drawing_is_the_same_each_time_and_needs_nothing_else() -> None:
    text = draw("Queues", [FAST, SLOW])
    assert text == draw("Queues", [FAST, SLOW])
    assert "prefers-color-scheme: dark" in text
    assert re.findall(r"(?:href|src|url)\s*[=(]|<script|@import", text) == []
    assert text.count("http") == 1  # the name of SVG


def test_a_peer_that_loses_messages_is_marked() -> None:
    loses = {**side("careless", 50.0, 100.0), "durability": "WAL, gone when taken"}
    text = draw("Queues", [row("queues/put", side("holdfast", 5000.0), loses)])
    assert "careless †" in text
    assert "† gone when taken" in text


def test_files_are_merged_and_published(tmp_path: Path) -> None:
    page = tmp_path / "docs/benchmarks.md"
    page.parent.mkdir()
    page.write_text(f"# Fast\n\n{BEGIN}\nformer\n{END}\n\nStays.\n", encoding="utf-8")
    again = row("queues/put", side("holdfast", 9000.0), side("slow", 60.0, 150.0))
    files = []
    for number, rows in enumerate(([LATE, FAST, SLOW], [again])):
        files.append(tmp_path / f"{number}.json")
        files[-1].write_text(json.dumps({"machine": MACHINE, "rows": rows}), encoding="utf-8")
    publish(files, root=tmp_path, published=tmp_path / "published.json")
    text = page.read_text(encoding="utf-8")
    assert text.startswith("# Fast\n")
    assert text.endswith("\n\nStays.\n")
    assert "former" not in text
    assert "| do queues/put & more, beside slow | a crash | 9,000 things/s | 60 | 150x |" in text
    assert "5,000" not in text
    assert text.index("### Queues") < text.index("### Logs")
    for suite in ("queues", "logs"):
        ET.parse(tmp_path / f"docs/images/benchmark-{suite}.svg")
    publish([], root=tmp_path, published=tmp_path / "published.json")
    assert page.read_text(encoding="utf-8") == text


def test_every_suite_has_a_title() -> None:
    assert list(TITLES) == list(command.SUITES)
    names = [each["name"] for each in merge([{"machine": MACHINE, "rows": [LATE, FAST]}])["rows"]]
    assert names == ["queues/put", "logs/write"]


def test_what_is_published_is_current() -> None:
    made = pages(json.loads(PUBLISHED.read_text(encoding="utf-8")))
    stale = [path.name for path, text in made.items() if path.read_text("utf-8") != text]
    assert stale == [], "run: python -m benchmarks --plot"
    drawn = set((ROOT / "docs/images").glob("benchmark-*.svg"))
    assert drawn == {path for path in made if path.suffix == ".svg"}

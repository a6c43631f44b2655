"""What is published: published.json, and the drawings and tables of docs/ made from it."""

import json
import re
from collections.abc import Iterable, Mapping, Sequence
from itertools import groupby
from pathlib import Path
from typing import Any

from benchmarks.machine import as_line
from benchmarks.plot import Row, better_by, draw, figure

ROOT = Path(__file__).parent.parent
PUBLISHED = Path(__file__).parent / "published.json"
BEGIN, END = "<!-- Made by python -m benchmarks --plot. -->", "<!-- The end of what is made. -->"
TITLES = {
    "startup": "Starting up",
    "queues": "Queues",
    "events": "Events",
    "workflows": "Workflows",
    "registry": "The agent registry",
    "servers": "MCP servers",
    "logs": "Logs",
    "snapshots": "Backups",
    "guard": "Undo points before an agent's tools",
    "secrets": "Finding secrets",
}


def publish(files: Sequence[Path], root: Path = ROOT, published: Path = PUBLISHED) -> list[Path]:
    """Merge the measured `files`, the a later one's rows first, and make docs/ current.

    Without files, docs/ is made from what was published before. Gives what was written in docs/.
    """
    if files:
        merged = merge(json.loads(path.read_text("utf-8")) for path in files)
        text = json.dumps(merged, indent=1, ensure_ascii=False)
        published.write_text(text + "\n", encoding="utf-8", newline="\n")
    made = pages(json.loads(published.read_text("utf-8")), root)
    for path, text in made.items():
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8", newline="\n")
    return list(made)


def merge(documents: Iterable[Mapping[str, Any]]) -> dict[str, Any]:
    """One document of several; its rows in the order of the suites, without their samples."""
    rows: dict[str, Any] = {}
    machine: Any = {}
    for document in documents:
        machine = document["machine"]
        for row in document["rows"]:
            sides = [{k: v for k, v in side.items() if k != "samples"} for side in row["sides"]]
            rows[row["name"]] = {**row, "sides": sides}
    suites = list(TITLES)
    ordered = sorted(rows.values(), key=lambda row: suites.index(_suite(row)))
    return {"machine": machine, "rows": ordered}


def pages(document: Mapping[str, Any], root: Path = ROOT) -> dict[Path, str]:
    """Every drawing, and docs/benchmarks.md with what is made between its marks."""
    made = {}
    sections = [_facts(document)]
    for suite, group in groupby(document["rows"], key=_suite):
        rows = list(group)
        title = f"{TITLES[suite]}: how many times better than each peer"
        made[root / "docs" / "images" / f"benchmark-{suite}.svg"] = draw(title, rows)
        picture = f"![{title}](images/benchmark-{suite}.svg)"
        sections.append(f"### {TITLES[suite]}\n\n{picture}\n\n{_table(rows)}")
    page = root / "docs" / "benchmarks.md"
    before, _, rest = page.read_text("utf-8").partition(BEGIN)
    _, _, after = rest.partition(END)
    told = "\n".join(sections)
    made[page] = f"{before}{BEGIN}\n\n{told}\n{END}{after}"
    return made


def _suite(row: Row) -> str:
    return str(row["name"]).partition("/")[0]


def _facts(document: Mapping[str, Any]) -> str:
    versions = {
        side["version"]
        for row in document["rows"]
        for side in row["sides"]
        if not side["version"].startswith("holdfast")
    }
    known = sorted({" ".join(each.split()[:2]) for each in versions if re.search(r"\d", each)})
    machine = re.sub(r"(Linux \d+\.\d+)\S*", r"\1", as_line(document["machine"]))
    return f"{machine}. Beside: {', '.join(known)}.\n"


def _table(rows: Sequence[Row]) -> str:
    lines = [
        "| work | survives | Holdfast | peer | better by | how the peer was set |",
        "|---|---|---:|---:|---:|---|",
    ]
    for row in rows:
        survives = "-" if row["survives"] == "nothing asked" else row["survives"]
        ours = f"{figure(row['sides'][0]['median'])} {row['unit']}"
        for side in row["sides"][1:]:
            by = better_by(row, side)
            told = "-" if by is None else f"{figure(by)}x"
            work = f"{row['what']}, beside {side['name']}".replace("|", "\\|")
            cells = [work, survives, ours, figure(side["median"]), told, side["durability"]]
            lines.append(f"| {' | '.join(cells)} |")
    return "\n".join(lines) + "\n"

"""docs/architecture.md tells of every room, on the floor where imports are checked."""

import re
import tomllib
from collections import Counter

from tests.pages import ROOT


def rooms() -> list[str]:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
    (contract,) = project["tool"]["importlinter"]["contracts"]
    return [
        room.strip().removeprefix("holdfast.")
        for layer in contract["layers"]
        for room in layer.split("|")
    ]


def test_every_room_is_on_a_floor() -> None:
    there = {
        path.stem
        for path in (ROOT / "src/holdfast").iterdir()
        if path.suffix == ".py" or (path / "__init__.py").is_file()
    }
    assert there - {"__init__", "__main__", "testing"} == set(rooms())


def test_the_table_has_every_room_once() -> None:
    text = (ROOT / "docs/architecture.md").read_text(encoding="utf-8")
    table = text.partition("## The rooms")[2].partition("\n## ")[0]
    cells = re.findall(r"^\| (`.+?`) \|", table, re.MULTILINE)
    told = [name for cell in cells for name in re.findall(r"`(\w+)`", cell)]
    assert Counter(told) == Counter(rooms())


def test_the_drawing_has_every_room_once() -> None:
    drawing = (ROOT / "docs/images/floors.svg").read_text(encoding="utf-8")
    drawn = re.findall(r'class="room".*?<text [^>]*>(\w+)</text>', drawing)
    assert Counter(drawn) == Counter(rooms())

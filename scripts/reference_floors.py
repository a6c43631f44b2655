"""docs/images/floors.svg: the floors of the house, as pyproject.toml has them checked."""

import tomllib
from pathlib import Path

_PROJECT = Path(__file__).parent.parent / "pyproject.toml"
# From the top; all that is below the last but one is earth.
_FLOORS = {
    "faces": "what people and agents touch",
    "upkeep": "what looks at everything",
    "care": "whole procedures on a workspace",
    "library": "an opened workspace: what programs touch",
    "keeping": "backups · commits in git",
    "state": "what agents write while they run",
    "ground": "layout and settings · other programs' files",
    "earth": "connections · files that survive · what is raised",
}
_WIDTH, _LEFT, _HIGH, _GAP, _LETTER = 860, 110, 34, 8, 8.4  # pixels

_STYLE = """
  text { font: 14px ui-monospace, Menlo, Consolas, monospace; fill: #1f2328 }
  .floor { font: 600 14px system-ui, "Segoe UI", sans-serif }
  .aside { font: 13px system-ui, "Segoe UI", sans-serif; fill: #59636e }
  .paper { fill: #ffffff } .slab { fill: #f0f3f6 } .room { fill: #ddf4ff; stroke: #54aeff }
  @media (prefers-color-scheme: dark) {
    text { fill: #e6edf3 } .aside { fill: #9198a1 } .paper { fill: #0d1117 }
    .slab { fill: #1b222b } .room { fill: #121d2f; stroke: #1f6feb }
  }
"""


def floors() -> dict[str, list[list[str]]]:
    """The rows of rooms on each floor, from the top."""
    project = tomllib.loads(_PROJECT.read_text(encoding="utf-8"))
    (contract,) = project["tool"]["importlinter"]["contracts"]
    rows = [
        [room.strip().partition(".")[2] for room in line.split("|")] for line in contract["layers"]
    ]
    names = list(_FLOORS)
    built: dict[str, list[list[str]]] = {name: [] for name in names}
    for number, row in enumerate(rows):
        built[names[min(number, len(names) - 1)]].append(row)
    return built


def floors_drawing() -> str:
    """The SVG of all floors."""
    y, body = 48, []
    for name, rows in floors().items():
        high = len(rows) * _HIGH + _GAP
        body.append(
            f'<rect class="slab" x="16" y="{y}" width="{_WIDTH - 32}" height="{high}" rx="6"/>'
        )
        body.append(f'<text class="floor" x="28" y="{y + 26}">{name}</text>')
        body.append(
            f'<text class="aside" x="{_WIDTH - 28}" y="{y + 26}" text-anchor="end">'
            f"{_FLOORS[name]}</text>"
        )
        for number, row in enumerate(rows):
            body += _rooms(row, y + number * _HIGH)
        y += high + 6
    head = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {_WIDTH} {y + 10}"'
        f' width="{_WIDTH}" height="{y + 10}" role="img">',
        f"<title>The floors of holdfast: imports only go down</title>\n<style>{_STYLE}</style>",
        f'<rect class="paper" width="{_WIDTH}" height="{y + 10}" rx="8"/>',
        '<text class="aside" x="28" y="30">imports only go down ↓ · rooms on one floor do not'
        " import each other</text>",
    ]
    return "\n".join([*head, *body, "</svg>"])


def _rooms(row: list[str], y: int) -> list[str]:
    x, made = float(_LEFT), []
    for room in row:
        wide = len(room) * _LETTER + 18
        made.append(
            f'<rect class="room" x="{x:.1f}" y="{y + 7}" width="{wide:.1f}" height="28" rx="5"/>'
            f'<text x="{x + 9:.1f}" y="{y + 26}">{room}</text>'
        )
        x += wide + 6
    return made

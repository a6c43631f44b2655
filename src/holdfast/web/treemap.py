"""The geometry of a treemap: areas as sizes are, as square as can be (Bruls and others, 2000)."""

from collections.abc import Sequence
from dataclasses import dataclass, field

from holdfast.upkeep.usage import FolderUsage

WIDTH, HEIGHT = 1000.0, 430.0
"""The units of the drawing."""

_MOST = 40  # blocks
_LEAST = 0.002  # of the whole; what is less is one block together
_HEAD = 22.0  # units of a block for its name
_EDGE = 4.0
_INNER = 26.0  # units: a block less wide or high shows nothing inside it
_LETTER = 7.4  # units
_LEAST_ROOM = 1e-6  # units; rounding may take all of it

Place = tuple[float, float, float, float]
"""Where a rectangle is: x, y, width, height."""


@dataclass
class Block:
    """A rectangle; `path` is the folder it leads to, None for files and the many small ones."""

    x: float
    y: float
    width: float
    height: float
    name: str
    size: int
    path: str | None = None
    inner: "list[Block]" = field(default_factory=list)

    @property
    def label(self) -> str:
        """As much of the name as there is room for."""
        letters = int((self.width - 12) / _LETTER)
        if letters < 3 or self.height < _HEAD:
            return ""
        return self.name if len(self.name) <= letters else f"{self.name[: letters - 1]}…"

    @property
    def has_room(self) -> bool:
        """Whether the size fits below the name."""
        return bool(self.label) and self.height >= 2 * _HEAD and self.width >= 80


Tree = Sequence[FolderUsage]
"""A folder and all that is below it, each before what is in it."""


def treemap(tree: Tree) -> list[Block]:
    """What the first of `tree` holds, two levels deep."""
    below = {each[0].path: each for each in subtrees(tree)}
    blocks = _blocks(tree, 0.0, 0.0, WIDTH, HEIGHT)
    for block in blocks:
        width, height = block.width - 2 * _EDGE, block.height - _HEAD - _EDGE
        if block.path is not None and min(width, height) > _INNER:
            left, top = block.x + _EDGE, block.y + _HEAD
            block.inner = _blocks(below[block.path], left, top, width, height)
    return blocks


def subtrees(tree: Tree) -> list[list[FolderUsage]]:
    """The folders directly in the first of `tree`, each with all that is below it."""
    found: list[list[FolderUsage]] = []
    for folder in tree[1:]:
        if folder.depth == tree[0].depth + 1:
            found.append([])
        found[-1].append(folder)
    return found


def squarify(
    sizes: Sequence[float], x: float, y: float, width: float, height: float
) -> list[Place]:
    """A rectangle for each of `sizes`, which are more than 0, the largest first."""
    scale = width * height / (sum(sizes) or 1)
    areas = [size * scale for size in sizes]
    placed: list[Place] = []
    while areas:
        side = min(width, height)
        row = _row(areas, side)
        areas = areas[len(row) :]
        thickness, at = sum(row) / side, 0.0
        for area in row:
            length = area / thickness
            if width >= height:
                placed.append(_rounded(x, y + at, thickness, length))
            else:
                placed.append(_rounded(x + at, y, length, thickness))
            at += length
        # Never nothing: of what is left to place, there is always some room left.
        if width >= height:
            x, width = x + thickness, max(_LEAST_ROOM, width - thickness)
        else:
            y, height = y + thickness, max(_LEAST_ROOM, height - thickness)
    return placed


def _row(areas: Sequence[float], side: float) -> list[float]:
    """As many of `areas` as make a row along `side` whose worst rectangle is best."""
    row = [areas[0]]
    for area in areas[1:]:
        if _worst([*row, area], side) > _worst(row, side):
            break
        row.append(area)
    return row


def _worst(row: Sequence[float], side: float) -> float:
    total = sum(row)
    return max(side**2 * max(row) / total**2, total**2 / (side**2 * min(row)))


def _rounded(x: float, y: float, width: float, height: float) -> Place:
    return round(x, 1), round(y, 1), round(width, 1), round(height, 1)


def _blocks(tree: Tree, x: float, y: float, width: float, height: float) -> list[Block]:
    """The folders directly in the first of `tree`, its own files, the small ones together."""
    whole, folders = tree[0], [each[0] for each in subtrees(tree)]
    shown = [f for f in folders[:_MOST] if f.size and f.size >= whole.size * _LEAST]
    small = folders[len(shown) :]
    parts: list[tuple[str, int, str | None]] = [
        *((folder.path.rpartition("/")[2], folder.size, folder.path) for folder in shown),
        ("files here", whole.size - sum(folder.size for folder in folders), None),
        (f"{len(small)} smaller folders", sum(folder.size for folder in small), None),
    ]
    parts = sorted((part for part in parts if part[1] > 0), key=lambda part: -part[1])
    places = squarify([size for _, size, _ in parts], x, y, width, height)
    return [
        Block(*place, name, size, path)
        for place, (name, size, path) in zip(places, parts, strict=True)
    ]

"""``holdfast usage``: what takes the space."""

from pathlib import Path
from typing import TYPE_CHECKING

import click
import msgspec

from holdfast.cli.terminal import Terminal, command, readable_size

if TYPE_CHECKING:
    from collections.abc import Mapping

    from holdfast.upkeep.usage import Amount, FolderUsage, Usage

_BAR = 20  # characters
_EIGHTHS = " ▏▎▍▌▋▊▉█"
_CHILDREN = 8  # folders of one folder that people are shown


@command(
    None,
    "usage",
    examples=[
        "holdfast usage",
        "holdfast usage mcp-servers --depth 1",
        "holdfast usage --large 100MB --top 5",
        "holdfast usage --json",
    ],
)
@click.argument("folder", required=False, type=click.Path(path_type=Path), metavar="[DIR]")
@click.option(
    "--depth", type=click.IntRange(min=0), default=2, show_default=True, help="Of the tree."
)
@click.option(
    "--top",
    type=click.IntRange(min=0),
    default=10,
    show_default=True,
    metavar="N",
    help="How many large files.",
)
@click.option("--large", default="10MB", show_default=True, metavar="SIZE", help="A large file.")
def usage(terminal: Terminal, folder: Path | None, depth: int, top: int, large: str) -> None:
    """Show what takes the space of the workspace, or of DIR: by folder, kind and age.

    Sizes are what the disk holds; hard links count once, links are not followed.
    """
    from holdfast.cli.progress import Bar
    from holdfast.upkeep.usage import measure

    root = folder.absolute() if folder is not None else terminal.layout().root
    with Bar("Usage", terminal) as bar:
        found = measure(root, depth=depth, top=top, large=size_of(large), progress=bar.update)
    terminal.emit(msgspec.to_builtins(found), lambda: "\n".join(_lines(found)))
    for each in found.unreadable:
        terminal.note(f"not counted: {each.path}: {each.reason}")


def size_of(text: str) -> int:
    """The bytes that a text such as ``10MB``, ``1.5G`` or ``4096`` means (powers of 1000)."""
    word = text.strip().upper().removesuffix("B").removesuffix("I").strip()
    factor = 1000 ** (" KMGT".index(word[-1])) if word[-1:] in tuple("KMGT") else 1
    try:
        return int(float(word.rstrip("KMGT")) * factor)
    except ValueError as error:
        raise click.BadParameter(f"{text!r} is no size; for example 10MB") from error


def _lines(found: "Usage") -> "list[str]":
    total = found.total
    lines = [
        f"{found.root}: {readable_size(total.size)} on the disk, "
        f"{readable_size(total.apparent)} in {total.files:,} files",
        "",
        *_tree(found.folders, total.size),
        *_table("By kind", found.kinds, total.size),
        *_table("By age", found.ages, total.size),
    ]
    if found.large:
        lines += ["", "Largest files"]
        lines += [f"  {readable_size(file.size):>9}  {file.path}" for file in found.large]
    return [*lines, "", "What of it can be made again: holdfast clean"]


def _tree(folders: "list[FolderUsage]", whole: int) -> "list[str]":
    lines: list[str] = []
    shown: dict[str, int] = {}
    hidden: set[str] = set()
    for folder in folders:
        above = folder.path.rpartition("/")[0]
        if folder.depth == 0:
            continue
        if above in hidden or shown.get(above, 0) >= _CHILDREN:
            hidden.add(folder.path)
            continue
        shown[above] = shown.get(above, 0) + 1
        name = "  " * (folder.depth - 1) + folder.path.rpartition("/")[2] + "/"
        lines.append(_bar_line(folder, whole, name))
    return lines


def _table(title: str, amounts: "Mapping[str, Amount]", whole: int) -> "list[str]":
    return ["", title, *(_bar_line(amount, whole, name) for name, amount in amounts.items())]


def _bar_line(amount: "Amount", whole: int, name: str) -> str:
    part = amount.size / whole if whole else 0.0
    full, eighths = divmod(round(part * _BAR * 8), 8)
    bar = (_EIGHTHS[8] * full + _EIGHTHS[eighths]).rstrip()
    return f"  {readable_size(amount.size):>9} {part:>5.0%} {bar:<{_BAR}}  {name}"

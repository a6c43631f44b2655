"""``holdfast usage``: what takes the space."""

from pathlib import Path
from typing import TYPE_CHECKING

import click
import msgspec

from holdfast.cli.places import Place
from holdfast.cli.terminal import Terminal, command
from holdfast.workspace.sizes import parse_size, readable_size

if TYPE_CHECKING:
    from collections.abc import Mapping

    from holdfast.upkeep.space import Budget, Space
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
        "holdfast usage --check",
        "holdfast usage --json",
    ],
)
@click.argument("folder", required=False, type=Place(), metavar="[DIR]")
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
@click.option("--check", is_flag=True, help="Only the folders with a budget, and the disks.")
def usage(
    terminal: Terminal, folder: Path | None, depth: int, top: int, large: str, check: bool
) -> int:
    """Show what takes the space of the workspace, or of DIR: by folder, kind and age.

    Sizes are what the disk holds; hard links count once, links are not followed. Budgets are set
    with "holdfast config set space.budgets.logs 2GB"; --check exits 1 when one is exceeded or a
    disk is nearly full, and the schedule runs it every hour.
    """
    from holdfast.cli.progress import Bar
    from holdfast.upkeep.usage import measure

    if check:
        return _check(terminal)
    there: Space | None = None
    with Bar("Usage", terminal) as bar:
        if folder is not None:
            root, size = folder.absolute(), parse_size(large)
            found = measure(root, depth=depth, top=top, large=size, progress=bar.update)
        else:
            from holdfast.upkeep.space import take_note

            workspace = terminal.open()
            root, size = workspace.layout.root, parse_size(large)
            found = measure(root, top=top, large=size, progress=bar.update)
            there = take_note(workspace, found)
            found.folders = [each for each in found.folders if each.depth <= depth]
    document = msgspec.to_builtins(found) | {"space": msgspec.to_builtins(there)}
    terminal.emit(document, lambda: "\n".join(_lines(found, there)))
    for each in found.unreadable:
        terminal.note(f"not counted: {each.path}: {each.reason}")
    return 0


def _check(terminal: Terminal) -> int:
    """Measure what has a budget; 1 when there is too little space."""
    from holdfast.cli.progress import Bar
    from holdfast.upkeep.space import measure_space

    workspace = terminal.open()
    with Bar("Usage", terminal) as bar:
        there = measure_space(workspace, progress=bar.update)
    for warning in there.warnings:
        workspace.logger("upkeep").warning(warning)
    terminal.emit(
        msgspec.to_builtins(there) | {"enough": there.enough},
        lambda: "\n".join([*there.warnings, *space_lines(there)]),
    )
    return 0 if there.enough else 1


def space_lines(there: "Space") -> "list[str]":
    """The budgets with bars, then what is free on each disk."""
    return [
        *(_budget_line(budget) for budget in there.budgets),
        *(
            f"{readable_size(disk.free)} of {readable_size(disk.total)} free on the disk of "
            f"{disk.path}"
            for disk in there.disks
        ),
    ]


def _budget_line(budget: "Budget") -> str:
    limit = readable_size(budget.limit)
    if budget.size is None:
        return f"{budget.state:>15} {'':<{_BAR}}  {budget.folder} of {limit}"
    part = min(budget.size / budget.limit if budget.limit else 1.0, 9.99)
    bar = _bar(min(part, 1.0))
    size = readable_size(budget.size)
    return f"{size:>9} {part:>5.0%} {bar}  {budget.folder} of {limit}"


def _lines(found: "Usage", there: "Space | None") -> "list[str]":
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
    if there is not None:
        lines += ["", "Space", *(f"  {line}" for line in space_lines(there))]
        lines += [f"  WARNING: {warning}" for warning in there.warnings]
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
    return f"  {readable_size(amount.size):>9} {part:>5.0%} {_bar(part)}  {name}"


def _bar(part: float) -> str:
    full, eighths = divmod(round(part * _BAR * 8), 8)
    return f"{(_EIGHTHS[8] * full + _EIGHTHS[eighths]).rstrip():<{_BAR}}"

"""Whoever works on Windows finds each line of a shell that is another one there, in both shells."""

import re
from collections.abc import Iterator
from typing import NamedTuple

import pytest

from tests.pages import ROOT

_PART = re.compile(r"^(?:```(\w+)\n(.*?)^```|#.*?)$", re.DOTALL | re.MULTILINE)
_PLAIN_WORD = r'(?:[\w./:=+-][\w./:=+@~-]*|"[\w ./:=+@~,-]*")'
_PLAIN_LINE = re.compile(rf"(?:holdfast|python|git|pip|cd)(?: {_PLAIN_WORD})*")
_COMMAND = re.compile(r"\bholdfast [a-z][a-z-]*")

# By page and first line: programs of POSIX all through. Those pages say what Windows has instead.
ONLY_POSIX = {
    ("docs/format.md", "# open"),
    ("docs/format.md", "# list"),
    ("docs/format.md", "# one file"),
    ("docs/format.md", "# everything"),
}
INSTEAD = "Git Bash"

# These are said once for all pages, in the table "On Windows" of docs/index.md.
SAID_ONCE = {"cd ~", "cd ~/development"}


SHELLS = ("powershell", "bat")


class Lines(NamedTuple):
    """A block of shell lines, and the blocks of other languages that belong to it, by language.

    They follow it in its section; of blocks in a row that have none between them, they follow the
    last.
    """

    page: str
    text: str
    beside: dict[str, str]


def shell_blocks() -> Iterator[Lines]:
    for path in [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md"))]:
        parts = _PART.findall(path.read_text(encoding="utf-8"))
        for number, (language, text) in enumerate(parts):
            if language == "sh":
                beside = _beside(parts[number + 1 :])
                yield Lines(path.relative_to(ROOT).as_posix(), text, beside)


def _beside(parts: list[tuple[str, str]]) -> dict[str, str]:
    found: dict[str, str] = {}
    for language, text in parts:
        if not language or (language == "sh" and found):
            break
        if language in SHELLS:
            found.setdefault(language, text)
    return found


def differing(text: str) -> list[str]:
    """The lines that PowerShell or cmd would not take as they stand.

    The same everywhere is a call of holdfast, python, git, pip or cd whose words are letters,
    digits and the signs of paths and options, or such between double quotes. What follows a ``#``
    is for the reader.
    """
    joined = re.sub(r"\\\n\s*", "", text)
    lines = (re.sub(r"(^|\s+)#( .*)?$", "", line).rstrip() for line in joined.splitlines())
    once = (re.sub(" +", " ", line) for line in lines)
    return [each for each in once if not (_PLAIN_LINE.fullmatch(each) or each in {"", *SAID_ONCE})]


def test_the_rule_itself() -> None:
    same = (
        "cd development\nholdfast backup create --tag x   # $HOME\n"
        'holdfast history save -m "It is"\n'
        "git config user.name Ann\npython -m benchmarks queues --json a/b.json\n"
    )
    assert differing(same) == []
    for line in (
        "cd ~/elsewhere",
        "rm a",
        "holdfast queues put jobs '{}'",
        "A=1 holdfast status",
        "holdfast status || true",
        'holdfast status -w "$PWD"',
        "holdfast show HEAD^",
        "python -c \\\n  'print(1)'",
    ):
        assert len(differing(line)) == 1, line


def test_what_is_said_once_is_said() -> None:
    table = (ROOT / "docs/index.md").read_text(encoding="utf-8").partition("### On Windows")[2]
    assert all(f"`{line}`" in table for line in SAID_ONCE)


BLOCKS = [block for block in shell_blocks() if differing(block.text)]


@pytest.mark.parametrize("block", BLOCKS, ids=lambda b: f"{b.page}: {b.text.splitlines()[0]}")
def test_lines_that_differ_stand_beside_it_for_both_shells(block: Lines) -> None:
    if (block.page, block.text.splitlines()[0]) in ONLY_POSIX:
        assert INSTEAD in (ROOT / block.page).read_text(encoding="utf-8")
        return
    wanted = {found for line in differing(block.text) for found in _COMMAND.findall(line)}
    for shell in SHELLS:
        assert shell in block.beside, f"no lines for {shell} below\n{block.text}"
        assert wanted <= set(_COMMAND.findall(block.beside[shell])), shell

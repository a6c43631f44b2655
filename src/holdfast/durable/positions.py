"""Where in a JSON text something stands: line and column, for error messages.

Only called once something is known to be wrong, so it may be slow; it must be right about texts
that are well-formed, and says nothing about others.
"""

import json
import re
from collections.abc import Iterator
from json.decoder import scanstring  # type: ignore[attr-defined]
from math import isfinite
from typing import NamedTuple

_BLANK = re.compile(r"[ \t\r\n]*")
_NUMBER = re.compile(r"-?(NaN|Infinity|[0-9][0-9.eE+-]*)")
# Numbers of any size are passed over; `int` refuses those of more than 4300 digits.
_DECODER = json.JSONDecoder(parse_int=str, parse_float=str)

Path = tuple[str | int, ...]


class Position(NamedTuple):
    """A place in a text, both counted from 1; the column counts characters."""

    line: int
    column: int


def position_at(text: str, offset: int) -> Position:
    """The position of the character at `offset` (0-based)."""
    before = text[:offset]
    return Position(before.count("\n") + 1, offset - (before.rfind("\n") + 1) + 1)


def position_of_byte(data: bytes, offset: int) -> Position:
    """The position of the byte at `offset` in UTF-8 `data`."""
    before = data[:offset].decode("utf-8", "replace")
    return position_at(before, len(before))


def position_of_path(text: str, path: Path) -> Position | None:
    """Where the value at `path` (keys and indexes from the root) stands, or None.

    That is where its key begins; in an array, where the value itself does.
    """
    for found, key_offset, value_offset in walk(text):
        if found == path:
            return position_at(text, key_offset if key_offset >= 0 else value_offset)
    return None


def first_duplicate_key(text: str) -> tuple[str, Position] | None:
    """The first key that stands twice in one object, and where it stands again."""
    seen: set[Path] = set()
    for path, key_offset, _ in walk(text):
        if key_offset < 0:
            continue
        if path in seen:
            return str(path[-1]), position_at(text, key_offset)
        seen.add(path)
    return None


def first_unsound_number(text: str) -> tuple[str, Position] | None:
    """The first number that JSON or a double does not know (NaN, 1e999, 5000 digits), if any."""
    for _, _, offset in walk(text):
        number = _NUMBER.match(text, offset)
        if number and not is_sound_number(number[0]):
            return number[0], position_at(text, offset)
    return None


def is_sound_number(text: str) -> bool:
    """Whether the number survives being read and written again as a number."""
    try:
        return isfinite(float(text)) and (not text.lstrip("-").isdigit() or int(text) is not None)
    except ValueError:
        return False


def walk(text: str) -> Iterator[tuple[Path, int, int]]:
    """Each value of a well-formed JSON text in order: (path, offset of its key or -1, offset)."""
    # An explicit stack, so that deep nesting cannot exhaust the interpreter's.
    stack: list[tuple[Path, str, int]] = []  # (path of the container, its bracket, next index)
    offset, path, key_offset = _skip(text, 0), (), -1
    current: Path = path
    while True:
        yield current, key_offset, offset
        bracket = text[offset]
        if bracket in "{[":
            stack.append((current, bracket, 0))
            offset = _skip(text, offset + 1)
        else:
            offset = _skip(text, _DECODER.raw_decode(text, offset)[1])
        while stack and text[offset] in "}]":
            stack.pop()
            offset = _skip(text, offset + 1)
        if not stack:
            return
        if text[offset] == ",":
            offset = _skip(text, offset + 1)
        container, bracket, index = stack.pop()
        stack.append((container, bracket, index + 1))
        if bracket == "{":
            key_offset = offset
            key, offset = scanstring(text, offset + 1, True)
            offset = _skip(text, _skip(text, offset) + 1)  # over the colon
            current = (*container, key)
        else:
            key_offset, current = -1, (*container, index)


def _skip(text: str, offset: int) -> int:
    match = _BLANK.match(text, offset)
    return match.end() if match else offset

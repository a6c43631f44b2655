"""Where the members of a JSON object stand in its bytes, found without decoding their values.

msgspec passes over values at about a gigabyte a second and checks their syntax while doing so; a
file of hundreds of megabytes is looked through in a moment.
"""

import json
import re
from typing import NamedTuple

import msgspec

_DECODER = msgspec.json.Decoder(dict[str, msgspec.Raw])
_BLANK = re.compile(rb"[ \t\r\n]*")
_KEY = re.compile(rb'"(?:[^"\\]|\\.)*"', re.DOTALL)
# Half surrogate pairs, which JavaScript writes and msgspec refuses. The other escape is as long.
_SURROGATE = re.compile(rb"\\u[dD][89a-fA-F][0-9a-fA-F]{2}")


class Member(NamedTuple):
    """One member of an object: its key, and where key and value begin and end in the text."""

    key: str
    key_start: int
    key_end: int
    value_start: int
    value_end: int


class NotPlainError(ValueError):
    """The text is no well-formed object with unique keys."""


def members_of(text: bytes, start: int = 0, end: int | None = None) -> list[Member]:
    """The members of the object that is all of ``text[start:end]``, in order.

    Raises `NotPlainError` when it is not one object, or a key of it stands twice. Keys twice
    inside its values go unnoticed.
    """
    end = len(text) if end is None else end
    try:
        return _located(text, start, _DECODER.decode(memoryview(text)[start:end]))
    except (msgspec.MsgspecError, RecursionError) as error:
        mended = _SURROGATE.sub(rb"\\u0020", text)
        if mended == text:
            raise NotPlainError(str(error)) from error
    located = members_of(mended, start, end)
    return [each._replace(key=json.loads(text[each.key_start : each.key_end])) for each in located]


def _located(text: bytes, start: int, found: dict[str, msgspec.Raw]) -> list[Member]:
    members: list[Member] = []
    offset = _skip(text, _skip(text, start) + 1)
    for raw in found.values():
        match = _KEY.match(text, offset)
        if match is None:
            raise NotPlainError("a key is expected")
        value_start = _skip(text, _skip(text, match.end()) + 1)
        value = bytes(raw)
        value_end = value_start + len(value)
        members.append(Member(json.loads(match[0]), offset, match.end(), value_start, value_end))
        offset = _skip(text, value_end)
        # Where a key stands twice, `found` has its last value only. No value is the beginning of
        # another, numbers apart, which a comma or bracket ends.
        if not text.startswith(value, value_start) or text[offset : offset + 1] not in (b",", b"}"):
            raise NotPlainError("a key stands twice")
        if text[offset : offset + 1] == b",":
            offset = _skip(text, offset + 1)
    if text[offset : offset + 1] != b"}":
        raise NotPlainError("a key stands twice")
    return members


def _skip(text: bytes, offset: int) -> int:
    match = _BLANK.match(text, offset)
    return match.end() if match else offset

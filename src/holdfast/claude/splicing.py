"""Changing keys of a JSON text: every byte outside of the changed members stays as it is.

New members take on the indentation, the newlines and the spacing of their neighbours.
"""

import json
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

from holdfast.claude.json_members import Member, members_of
from holdfast.errors import UsageError

Keys = tuple[str, ...]

_INDENT = re.compile(rb"(\r?\n)([ \t]*)\Z")
_LONGEST_INDENT = 512
_DEFAULT_UNIT = "  "


@dataclass(frozen=True)
class Put:
    """Set the value at `keys`, a path of object keys from the root; what is missing is made."""

    keys: Keys
    value: Any


@dataclass(frozen=True)
class Remove:
    """Take the member at `keys` out; a missing one is fine."""

    keys: Keys


Change = Put | Remove


class NoObjectError(Exception):
    """A change leads through a value that is no object; `keys` is where it stands."""

    def __init__(self, keys: Keys) -> None:
        super().__init__(".".join(keys))
        self.keys = keys


@dataclass(frozen=True)
class _Style:
    """How an object is laid out: `newline` is empty where everything stands on one line."""

    newline: str
    indent: str
    unit: str
    colon: str
    comma: str

    def inner(self) -> "_Style":
        return _Style(self.newline, self.indent + self.unit, self.unit, self.colon, self.comma)


@dataclass(frozen=True)
class _Replacement:
    start: int
    end: int
    text: bytes


class Touched(NamedTuple):
    """A change that was really made: the text of the value before it, None if there was none."""

    change: Change
    before: bytes | None


def apply_changes(text: bytes, changes: Sequence[Change]) -> tuple[bytes, list[Touched]]:
    """`text`, one JSON object without a byte-order mark, with `changes` made.

    Returns `text` itself when it says all that already. Raises `NotPlainError` when an object on
    the way is not well-formed or has a key twice, `NoObjectError` when a change leads through
    another kind of value, `UsageError` when two changes contradict each other or a value is no
    JSON.
    """
    tree = _tree_of(changes)
    touched: list[Touched] = []
    start, end = len(text) - len(text.lstrip()), len(text.rstrip())
    edits = _edits(text, start, end, tree, (), None, touched)
    replacements = sorted(edits, key=lambda each: (each.start, each.end))
    pieces, offset = [], 0
    for each in replacements:
        pieces += [text[offset : each.start], each.text]
        offset = each.end
    return b"".join([*pieces, text[offset:]]) if replacements else text, touched


# A leaf is a Put or a Remove; anything else is a table of what to change below.
_Tree = dict[str, Any]


def _tree_of(changes: Sequence[Change]) -> _Tree:
    tree: _Tree = {}
    for change in changes:
        if not change.keys:
            raise UsageError("a change must name a key")
        here = tree
        for key in change.keys[:-1]:
            here = here.setdefault(key, {})
            if not isinstance(here, dict):
                raise _contradiction(change.keys)
        if change.keys[-1] in here:
            raise _contradiction(change.keys)
        here[change.keys[-1]] = change
    return tree


def _contradiction(keys: Keys) -> UsageError:
    return UsageError(f"two changes contradict each other at {'.'.join(keys)}")


def _edits(
    text: bytes,
    start: int,
    end: int,
    tree: _Tree,
    keys: Keys,
    above: _Style | None,
    touched: list[Touched],
) -> Iterator[_Replacement]:
    """What to replace in the object at ``text[start:end]``; `above` is the style around it."""
    if text[start : start + 1] != b"{" and keys:
        raise NoObjectError(keys)
    members = members_of(text, start, end)
    style = _style_of(text, start, members, above)
    by_key = {member.key: member for member in members}
    added: dict[str, Any] = {}
    removed: set[str] = set()
    for key, change in tree.items():
        member = by_key.get(key)
        if member is None:
            puts = list(_puts_in(change))
            touched += (Touched(put, None) for put in puts)
            if puts:
                added[key] = _value_of(change)
            continue
        before = text[member.value_start : member.value_end]
        if isinstance(change, Remove):
            removed.add(key)
            touched.append(Touched(change, before))
        elif isinstance(change, dict):
            inner = (*keys, key)
            place = (member.value_start, member.value_end)
            yield from _edits(text, *place, change, inner, style, touched)
        elif not _says(before, change.value):
            touched.append(Touched(change, before))
            value = _encode(change.value, style)
            yield _Replacement(member.value_start, member.value_end, value)
    if added or removed:
        yield from _rearranged(start, end - 1, members, removed, added, style)


def _rearranged(
    start: int,
    close: int,
    members: Sequence[Member],
    removed: set[str],
    added: Mapping[str, Any],
    style: _Style,
) -> Iterator[_Replacement]:
    """Members taken out and put in; the object's braces stand at `start` and `close`."""
    kept = [number for number, each in enumerate(members) if each.key not in removed]
    pieces = [_member(key, value, style) for key, value in added.items()]
    before = (style.newline + style.indent).encode()
    separator = b"," + before if style.newline else style.comma.encode()
    if not kept:
        outer = style.indent[: len(style.indent) - len(style.unit)]
        after = (style.newline + outer).encode()
        body = before + separator.join(pieces) + after if pieces else b""
        yield _Replacement(start + 1, close, body)
        return
    for number, member in enumerate(members):
        if member.key not in removed:
            continue
        if number > kept[0]:
            yield _Replacement(members[number - 1].value_end, member.value_end, b"")
        else:
            yield _Replacement(member.key_start, members[number + 1].key_start, b"")
    if pieces:
        place = members[kept[-1]].value_end
        yield _Replacement(place, place, b"".join(separator + piece for piece in pieces))


def _member(key: str, value: Any, style: _Style) -> bytes:
    return json.dumps(key, ensure_ascii=_has_surrogates(key)).encode() + (
        style.colon.encode() + _encode(value, style)
    )


def _encode(value: Any, style: _Style) -> bytes:
    """`value` as it stands behind its key in an object of this style."""
    encoder = json.JSONEncoder(
        ensure_ascii=False,
        allow_nan=False,
        indent=style.unit if style.newline else None,
        separators=("," if style.newline else style.comma, style.colon),
    )
    try:
        text = encoder.encode(value)
        if _has_surrogates(text):
            encoder.ensure_ascii = True
            text = encoder.encode(value)
    except (TypeError, ValueError, RecursionError) as error:
        raise UsageError(f"cannot be written as JSON: {error}") from error
    return text.replace("\n", style.newline + style.indent).encode()


def _has_surrogates(text: str) -> bool:
    try:
        text.encode()
    except UnicodeEncodeError:
        return True
    return False


def _style_of(text: bytes, start: int, members: Sequence[Member], above: _Style | None) -> _Style:
    if not members:
        if above is not None:
            return above.inner()
        newline = "\r\n" if b"\r\n" in text else "\n"
        return _Style(newline, _DEFAULT_UNIT, _DEFAULT_UNIT, ": ", ", ")
    last = members[-1]
    colon = text[last.key_end : last.value_start].decode()
    found = _INDENT.search(text[max(start, last.key_start - _LONGEST_INDENT) : last.key_start])
    if found is None:
        comma = ", "
        if len(members) > 1:
            comma = text[members[0].value_end : members[1].key_start].decode()
        elif colon == ":":
            comma = ","
        return _Style("", "", "", colon, comma)
    newline, indent = found[1].decode(), found[2].decode()
    outer = above.indent if above is not None and indent.startswith(above.indent) else ""
    unit = indent[len(outer) :] or _DEFAULT_UNIT
    return _Style(newline, indent, unit, colon, ", ")


def _puts_in(change: Any) -> Iterator[Put]:
    if isinstance(change, dict):
        for inner in change.values():
            yield from _puts_in(inner)
    elif isinstance(change, Put):
        yield change


def _value_of(change: Any) -> Any:
    """The value that a change makes where there is none yet."""
    if isinstance(change, Put):
        return change.value
    return {key: _value_of(inner) for key, inner in change.items() if any(_puts_in(inner))}


def _says(text: bytes, value: Any) -> bool:
    """Whether the value in the file is `value` already; the order of keys does not count."""
    try:
        return json.dumps(json.loads(text), sort_keys=True) == json.dumps(value, sort_keys=True)
    except (TypeError, ValueError, RecursionError):
        return False

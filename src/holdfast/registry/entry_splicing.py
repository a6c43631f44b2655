"""Changing single entries of a large registry without encoding all the others again.

It works on the text that `msgspec.json.format` lays out, two spaces a level, in which every member
of an object stands on a line of its own at a known depth. What is not certain to be such a change
is left to the slow way.
"""

from collections.abc import Iterator, Mapping
from itertools import pairwise
from typing import Any

import msgspec

Entry = dict[str, Any]
Entries = dict[str, Entry]

_ENTRY = b"\n      "  # before an entry: root key, group, entry
_GROUP = b"\n    "
_ROOT = b"\n  "


class WatchedEntries(dict[str, Entry]):
    """The entries of a group, to be changed; an entry is copied once somebody can change it."""

    def __init__(self, entries: Mapping[str, Entry]) -> None:
        super().__init__(entries)
        self.touched: set[str] = set()

    def __getitem__(self, key: str) -> Entry:
        entry = super().__getitem__(key)
        if key not in self.touched:
            self.touched.add(key)
            entry = _copy(entry)
            super().__setitem__(key, entry)
        return entry

    def __setitem__(self, key: str, entry: Entry) -> None:
        self.touched.add(key)
        super().__setitem__(key, entry)

    def get(self, key: str, default: Any = None) -> Any:
        if key not in self:
            return default
        return self[key]

    def pop(self, key: str, *default: Any) -> Any:
        if key in self:
            self[key]
        return super().pop(key, *default)

    def update(self, *others: Any, **more: Any) -> None:
        for key, entry in dict(*others, **more).items():
            self[key] = entry

    def __ior__(self, other: Any) -> "WatchedEntries":  # type: ignore[override,misc]
        self.update(other)
        return self

    def setdefault(self, key: str, default: Any = None) -> Any:
        if key not in self:
            self[key] = default
        return self[key]

    def items(self) -> Any:
        self._touch_all()
        return super().items()

    def values(self) -> Any:
        self._touch_all()
        return super().values()

    def settled(self) -> Entries:
        """The entries as they are now; whoever changed some no longer reaches them."""
        entries = dict.copy(self)
        for key in self.touched.intersection(entries):
            entries[key] = _copy(entries[key])
        return entries

    def _touch_all(self) -> None:
        for key in self:
            self[key]


def spliced(
    text: bytes,
    root_key: str,
    before: Mapping[str, Entries],
    after: Mapping[str, WatchedEntries],
) -> bytes | None:
    """`text`, which says `before`, so that it says `after`; None where it takes the slow way.

    Raises `TypeError`, `ValueError` and the like for what cannot be written as JSON.
    """
    if list(before) != list(after):
        return None
    replacements: list[tuple[int, int, bytes]] = []
    next_of = dict(pairwise(after))
    for group, entries in after.items():
        if not isinstance(entries, WatchedEntries):
            return None
        old = before[group]
        names, known = list(entries), list(old)
        if names[: len(known)] != known:
            return None  # something was taken out or moved
        added = names[len(known) :]
        changed = {
            name: (_encoded(old[name]), new)
            for name in entries.touched.intersection(known)
            if _encoded(old[name]) != (new := _encoded(dict.__getitem__(entries, name)))
        }
        if not added and not changed:
            continue
        place = _place_of(text, root_key, group, next_of.get(group))
        if place is None or (added and not known):
            return None
        for name, (was, now) in changed.items():
            start = text.find(_ENTRY + _key(name), *place)
            if start < 0:
                return None
            start += len(_ENTRY) + len(_key(name))
            was_text = _laid_out(was)
            if not text.startswith(was_text, start):
                return None
            replacements.append((start, start + len(was_text), _laid_out(now)))
        pieces = [
            b"," + _ENTRY + _key(name) + _laid_out(_encoded(dict.__getitem__(entries, name)))
            for name in added
        ]
        replacements.append((place[1], place[1], b"".join(pieces)))
    return b"".join(_pieces(text, sorted(replacements)))


def _pieces(text: bytes, replacements: list[tuple[int, int, bytes]]) -> Iterator[bytes]:
    offset = 0
    for start, end, new in replacements:
        yield text[offset:start]
        yield new
        offset = end
    yield text[offset:]


def _place_of(
    text: bytes, root_key: str, group: str, following: str | None
) -> tuple[int, int] | None:
    """Where the entries of a group begin and end; `following` is the group after it.

    A group's end is looked for from behind: the first one mostly holds nearly everything.
    """
    root = text.find(_ROOT + _key(root_key) + b"{\n")
    end = text.find(_ROOT + b"}", root) if root >= 0 else -1
    if end >= 0 and following is not None:
        end = text.rfind(_GROUP + _key(following), root, end)
    start = text.find(_GROUP + _key(group) + b"{\n", root, end) if end >= 0 else -1
    end = text.rfind(_GROUP + b"}", start, end) if start >= 0 else -1
    return (start, end) if end >= 0 else None


def _key(name: str) -> bytes:
    return msgspec.json.encode(name) + b": "


def _encoded(entry: Entry) -> bytes:
    return msgspec.json.encode(entry)


def _laid_out(encoded: bytes) -> bytes:
    return msgspec.json.format(encoded, indent=2).replace(b"\n", _ENTRY)


def _copy(entry: Entry) -> Entry:
    copied: Entry = msgspec.json.decode(msgspec.json.encode(entry))
    return copied

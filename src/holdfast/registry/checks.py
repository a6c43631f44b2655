"""What can be wrong with the entries of a registry that reads well."""

from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import msgspec

from holdfast.durable.names import check_identifier
from holdfast.errors import UsageError
from holdfast.registry.places import exists, is_foreign, normal, resolve


class Problem(msgspec.Struct, frozen=True, rename="camel"):
    """Something wrong: with which agent (None if it is no agent), where, and what."""

    id: str | None
    group: str | None
    path: str | None
    message: str


def check(
    groups: Mapping[str, Mapping[str, Mapping[str, Any]]], roots: Sequence[Path]
) -> list[Problem]:
    """All problems of the entries, in the order of the file."""
    rows = [
        (group, entry_id, entry)
        for group, entries in groups.items()
        for entry_id, entry in entries.items()
    ]
    places: defaultdict[str, list[str]] = defaultdict(list)
    spellings: defaultdict[str, list[tuple[str, str]]] = defaultdict(list)
    for group, entry_id, entry in rows:
        spellings[entry_id.casefold()].append((group, entry_id))
        path = entry.get("path")
        if path and "\0" not in path:
            places[normal(Path(resolve(path, roots)))].append(entry_id)
    problems = []
    for group, entry_id, entry in rows:
        path = entry.get("path")
        messages = [
            *_of_id(group, entry_id, spellings[entry_id.casefold()]),
            *_of_path(entry_id, path, places, roots),
        ]
        problems += [Problem(entry_id, group, path, message) for message in messages]
    return problems


def _of_id(group: str, entry_id: str, spellings: Sequence[tuple[str, str]]) -> Iterator[str]:
    try:
        check_identifier(entry_id, "registry id")
    except UsageError as error:
        yield error.message
    for other_group, other in spellings:
        if other != entry_id:
            yield f"its id differs from {other!r} in {other_group} only in case"
        elif other_group != group:
            yield f"it stands in {other_group} too"


def _of_path(
    entry_id: str, path: str | None, places: Mapping[str, Sequence[str]], roots: Sequence[Path]
) -> Iterator[str]:
    if not path:
        yield "it has no path"
        return
    if "\0" in path:
        yield "its path contains a NUL character"
        return
    if is_foreign(path):
        yield "its path is one of another system"
        return
    place = Path(resolve(path, roots))
    if not exists(place):
        yield "its path does not exist"
    others = [other for other in places[normal(place)] if other != entry_id]
    if others:
        yield f"its path is that of {', '.join(others)} too"

"""Events of another log, put where they stood there."""

from collections.abc import Mapping, Sequence
from itertools import pairwise

from holdfast.events.store import StoredEvent


def in_order(events: Sequence[StoredEvent], *, beyond: int) -> bool:
    """Whether the positions ascend, all of them above `beyond`."""
    positions = [beyond, *(event[0] for event in events)]
    return all(before < after for before, after in pairwise(positions))


def key_rows(
    events: Sequence[StoredEvent], keys: Mapping[int, str]
) -> list[tuple[str, str, int, int]]:
    """Stream, key, version and position of the events that have a key; `keys` by position."""
    return [(row[1], keys[row[0]], row[2], row[0]) for row in events if row[0] in keys]

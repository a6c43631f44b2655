"""The state of one stream, and the snapshots that spare reading all of its events."""

from collections.abc import Callable
from typing import Any, NamedTuple

from holdfast.events.event import Event, Shapes
from holdfast.events.projections import pack, unpack
from holdfast.events.store import EventStore, State

_PAGE = 1000  # events that are in memory at a time


class Aggregate(NamedTuple):
    """The state of a stream as of `version`; give that as `expect` when you append."""

    state: Any
    version: int


def load_aggregate(
    store: EventStore,
    shapes: Shapes,
    stream: str,
    apply: Callable[[Any, Event], Any],
    initial: Callable[[], Any],
    type_: Any,
    snapshot_every: int,
    code_version: int,
) -> Aggregate:
    """The state of the stream now; see `EventLog.aggregate`."""
    what = f"the snapshot of {stream!r}"
    present = store.read_state("snapshot", stream) if snapshot_every > 0 else None
    kept = None if present is None else unpack(present.body, type_, code_version, what)
    if present is None or kept is None:
        start, state = 0, initial()
    else:
        start, state = present.at, kept.state
    version = start
    while rows := store.read(stream=stream, after=version, limit=_PAGE, types=None):
        for event in shapes.events(rows):
            state = apply(state, event)
        version = rows[-1][2]
    if snapshot_every > 0 and version - start >= snapshot_every:
        snapshot = State(version, pack(state, code_version, what))
        # Whoever was faster has stored as good a one.
        store.save_state(
            "snapshot", stream, snapshot, replaces=None if present is None else present.at
        )
    return Aggregate(state, version)

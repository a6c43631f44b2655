"""Reading on: from a position through what is there to what is appended later."""

import time
from collections.abc import Callable, Iterator
from contextlib import closing

from holdfast.durable.faults import fault_point
from holdfast.errors import ConflictError, UsageError
from holdfast.events.event import Event, Shapes
from holdfast.events.store import Bell, EventStore, Ringing, State, StoredEvent

FIRST_PAUSE, LONGEST_PAUSE = 0.001, 0.05  # seconds between two looks at a quiet log

_PAGE = 500  # events that are in memory at a time
_LOOK_AT_STOP = 0.25  # seconds between two looks when the engine tells of appends

Stop = Callable[[], bool]


def follow(
    store: EventStore,
    shapes: Shapes,
    stream: str | None,
    *,
    after: int,
    types: frozenset[str] | None,
    wait: float | None,
    stop: Stop | None,
) -> Iterator[Event]:
    """The events beyond `after`; see `EventLog.follow`."""

    with closing(Cursor(store, stream, types, after)) as cursor:
        while rows := cursor.next_page(wait, stop):
            for event in shapes.events(rows):
                if stop is not None and stop():
                    return
                yield event


def subscribe(
    store: EventStore,
    shapes: Shapes,
    name: str,
    *,
    types: frozenset[str] | None,
    wait: float | None,
    stop: Stop | None,
    batch: int,
) -> Iterator[Event]:
    """The events that the subscription has not handled; see `EventLog.subscribe`."""
    if batch < 1:
        raise UsageError("a batch has at least 1 event")
    place = Place(store, name)
    handled = place.stored or 0
    cursor = Cursor(store, None, types, handled)
    try:
        while rows := cursor.next_page(wait, stop):
            for number, event in enumerate(shapes.events(rows), start=1):
                if stop is not None and stop():
                    return
                yield event
                handled = event.position
                if number % batch == 0:
                    place.store(handled)
            handled = cursor.after
            place.store(handled)
        handled = cursor.after  # also beyond events of other types
    finally:
        cursor.close()
        place.store(handled)


class Place:
    """The stored position of a subscription; it moves only from where this reader has left it."""

    def __init__(self, store: EventStore, name: str) -> None:
        self._store = store
        self._name = name
        state = store.read_state("subscription", name)
        self.stored = None if state is None else state.at

    def store(self, position: int) -> None:
        if position == (self.stored or 0):
            return
        fault_point("events.handled")
        state = State(position, b"{}")
        if not self._store.save_state("subscription", self._name, state, replaces=self.stored):
            raise ConflictError(
                f"another process handles the subscription {self._name!r}",
                hint="let one process handle it, or give each a name of its own",
            )
        self.stored = position
        fault_point("events.position.stored")


class Cursor:
    """Pages of events, each beyond the one before."""

    def __init__(
        self, store: EventStore, stream: str | None, types: frozenset[str] | None, after: int
    ) -> None:
        self._store = store
        self._stream = stream
        self._types = types
        self.after = after
        self._bell: Bell | None = None

    def close(self) -> None:
        if self._bell is not None:
            self._bell.close()

    def next_page(self, wait: float | None, stop: Stop | None) -> list[StoredEvent]:
        """Events as soon as there are some; none when `wait` is over or `stop` says so."""
        deadline = None if wait is None else time.monotonic() + wait
        pause = FIRST_PAUSE
        while stop is None or not stop():
            if rows := self.look():
                return rows
            left = _LOOK_AT_STOP if deadline is None else deadline - time.monotonic()
            if left <= 0:
                break
            self._sleep(pause, left)
            pause = min(pause * 2, LONGEST_PAUSE)
        return []

    def _sleep(self, pause: float, most: float) -> None:
        """Let `pause` go by, or as long as the engine would tell of something new."""
        if self._bell is None and isinstance(self._store, Ringing):
            self._bell = self._store.bell()
        if self._bell is None:
            time.sleep(min(pause, most))
        else:
            self._bell.wait(min(most, _LOOK_AT_STOP))

    def look(self) -> list[StoredEvent]:
        """A page; what the types leave out is passed over once and not looked at again."""
        store, stream = self._store, self._stream
        while (end := store.head() if stream is None else store.version(stream)) > self.after:
            rows = store.read(stream=stream, after=self.after, limit=_PAGE, types=self._types)
            last = 0
            if rows:
                last = rows[-1][0] if stream is None else rows[-1][2]
            self.after = last if len(rows) == _PAGE else max(last, end)
            if rows:
                return rows
        return []

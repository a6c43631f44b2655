"""The event log in asyncio: calls run in threads, and waiting costs no thread."""

import time
from collections.abc import AsyncGenerator, Callable, Iterator
from typing import Any, TypeVar

from holdfast.errors import UsageError
from holdfast.events.event import Event, Shapes
from holdfast.events.following import FIRST_PAUSE, LONGEST_PAUSE, Cursor, Place, Stop
from holdfast.events.store import EventStore, StoredEvent

_Result = TypeVar("_Result")

_PAGE = 500  # events that are fetched by one thread


async def in_thread(call: Callable[..., _Result], *arguments: Any, **options: Any) -> _Result:
    """The result of a call that may wait for a disk or a server."""
    import asyncio

    return await asyncio.to_thread(call, *arguments, **options)


async def pages(events: Iterator[Event]) -> AsyncGenerator[Event, None]:
    """The events of an iterator that reads what is there, page by page."""

    def fetch() -> list[Event]:
        return [event for _, event in zip(range(_PAGE), events, strict=False)]

    while page := await in_thread(fetch):
        for event in page:
            yield event


async def follow(
    store: EventStore,
    shapes: Shapes,
    stream: str | None,
    *,
    after: int,
    types: frozenset[str] | None,
    wait: float | None,
    stop: Stop | None,
) -> AsyncGenerator[Event, None]:
    """See `EventLog.afollow`."""
    cursor = Cursor(store, stream, types, after)
    while rows := await _next_page(cursor, wait, stop):
        for event in shapes.events(rows):
            if stop is not None and stop():
                return
            yield event


async def subscribe(
    store: EventStore,
    shapes: Shapes,
    name: str,
    *,
    types: frozenset[str] | None,
    wait: float | None,
    stop: Stop | None,
    batch: int,
) -> AsyncGenerator[Event, None]:
    """See `EventLog.asubscribe`."""
    if batch < 1:
        raise UsageError("a batch has at least 1 event")
    place = await in_thread(Place, store, name)
    handled = place.stored or 0
    cursor = Cursor(store, None, types, handled)
    try:
        while rows := await _next_page(cursor, wait, stop):
            for number, event in enumerate(shapes.events(rows), start=1):
                if stop is not None and stop():
                    return
                yield event
                handled = event.position
                if number % batch == 0:
                    await in_thread(place.store, handled)
            handled = cursor.after
            await in_thread(place.store, handled)
        handled = cursor.after  # also beyond events of other types
    finally:
        # Not awaited: a cancelled task cannot wait, and the position has to be kept all the same.
        place.store(handled)


async def _next_page(cursor: Cursor, wait: float | None, stop: Stop | None) -> list[StoredEvent]:
    """Events as soon as there are some; none when `wait` is over or `stop` says so."""
    import asyncio

    deadline = None if wait is None else time.monotonic() + wait
    pause = FIRST_PAUSE
    while stop is None or not stop():
        if rows := await in_thread(cursor.look):
            return rows
        left = LONGEST_PAUSE if deadline is None else deadline - time.monotonic()
        if left <= 0:
            break
        await asyncio.sleep(min(pause, left))
        pause = min(pause * 2, LONGEST_PAUSE)
    return []

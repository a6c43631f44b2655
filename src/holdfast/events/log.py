"""The event log: one policy above every engine.

Events are facts, appended to streams and never changed. A stream's events have versions 1, 2, 3, …;
all events together have positions that only grow. Whoever reads on from the last position it saw
misses none and sees them in one order, however many append at once.
"""

import time
from collections.abc import AsyncGenerator, Callable, Iterable, Iterator
from pathlib import Path
from typing import Any, Literal, TypedDict, TypeVar, Unpack

from holdfast.context import current_task_id
from holdfast.durable.closing import Closing
from holdfast.durable.faults import fault_point
from holdfast.durable.files import Durability
from holdfast.errors import ConflictError, UsageError
from holdfast.events import awaiting
from holdfast.events.aggregates import Aggregate, load_aggregate
from holdfast.events.archives import Archive, archive_of, archive_stream, read_archive, unarchive
from holdfast.events.event import Envelope, Event, Shapes, Upcaster, check_name, check_names, encode
from holdfast.events.following import follow, subscribe
from holdfast.events.projections import Projection
from holdfast.events.store import Appended, EventStore, NewEvent, Stream
from holdfast.events.stores import open_store

T = TypeVar("T")
Expected = int | Literal["any", "new"] | None

_PAGE = 1000  # events or streams that are in memory at a time


class AppendOptions(TypedDict, total=False):
    """The options of `EventLog.append`."""

    expect: Expected
    metadata: dict[str, Any] | None
    key: str | None


class EventLog(Closing):
    """A durable log of events.

    ::

        log = EventLog("sqlite:////srv/state.db")
        log.append("account-7", "deposited", {"amount": 5}, expect=3)
        for event in log.read("account-7"):
            print(event.version, event.type, event.data)

    `url` chooses the engine. `durability` says what a returned append survives: ``process``
    (kill -9 of every process) or ``power`` (a power cut). `clock` gives the time in seconds of the
    epoch. Safe between threads.
    """

    def __init__(
        self,
        url: str = "memory://",
        *,
        durability: Durability = "process",
        clock: Callable[[], float] = time.time,
        store: EventStore | None = None,
    ) -> None:
        self.url = url
        self._clock = clock
        self._shapes = Shapes()
        self._store = store if store is not None else open_store(url, durability=durability)

    def append(
        self,
        stream: str,
        type: str,  # noqa: A002
        data: Any = None,
        *,
        expect: Expected = None,
        metadata: dict[str, Any] | None = None,
        key: str | None = None,
    ) -> Appended:
        """Append one event; it is kept when this returns its version and position.

        `expect` is the version the stream must be at (``"new"``, or 0: it has no event yet; None
        or ``"any"``: whatever it is). An event of the stream with the same `key` makes this do
        nothing but return that one's place, so that an append may be repeated. The event carries
        the current task id.

        Raises `ConflictError` when the stream is elsewhere or archived, `UsageError`,
        `StorageError`.
        """
        if key is not None:
            check_name(key, "key")
        check_name(type, "event type")
        shape = self._shapes.current(type)
        envelope = Envelope(data, self._clock(), current_task_id(), metadata, shape, key)
        event = NewEvent(type, encode(envelope, type))
        return self._append(stream, [event], expect, key)

    def append_many(
        self,
        stream: str,
        events: Iterable[tuple[str, Any]],
        *,
        expect: Expected = None,
        metadata: dict[str, Any] | None = None,
    ) -> Appended:
        """Append pairs of type and data, all or none; returns the last one's place.

        Their positions follow each other. See `append`.
        """
        now, task_id = self._clock(), current_task_id()
        shapes: dict[str, int] = {}
        new: list[NewEvent] = []
        for type_, data in events:
            if type_ not in shapes:
                shapes[type_] = self._shapes.current(check_name(type_, "event type"))
            envelope = Envelope(data, now, task_id, metadata, shapes[type_])
            new.append(NewEvent(type_, encode(envelope, type_)))
        if not new:
            raise UsageError("there is no event to append")
        return self._append(stream, new, expect, None)

    def read(
        self,
        stream: str | None = None,
        *,
        from_: int = 1,
        limit: int | None = None,
        types: Iterable[str] | None = None,
        archived: bool = False,
    ) -> Iterator[Event]:
        """The events of a stream, or of all streams in the order they were appended.

        Begins with version (of all streams: position) `from_` and ends with what is there now.
        `archived` reads an archived stream from its file.

        Raises `UnreadableError`, `CorruptError`, `StorageError`.
        """
        if stream is not None:
            check_name(stream, "stream name")
        wanted = check_names(types, "event type")
        if archived:
            if stream is None:
                raise UsageError("archived events are read stream by stream")
            return self._read_archived(stream, from_, limit, wanted)
        return self._pages(stream, from_ - 1, limit, wanted)

    def follow(
        self,
        stream: str | None = None,
        *,
        from_: int = 1,
        types: Iterable[str] | None = None,
        wait: float | None = None,
        stop: Callable[[], bool] | None = None,
    ) -> Iterator[Event]:
        """Like `read`, then goes on with new events as they are appended.

        Ends when none came for `wait` seconds (None: never), or `stop` answers True.
        """
        if stream is not None:
            check_name(stream, "stream name")
        wanted = check_names(types, "event type")
        return follow(
            self._store, self._shapes, stream, after=from_ - 1, types=wanted, wait=wait, stop=stop
        )

    def subscribe(
        self,
        name: str,
        *,
        types: Iterable[str] | None = None,
        wait: float | None = None,
        stop: Callable[[], bool] | None = None,
        batch: int = 100,
    ) -> Iterator[Event]:
        """All events that the subscription `name` has not handled yet, then new ones, live.

        At least once: an event is handled when the next one is asked for. The position is stored
        after every `batch` handled events, whenever nothing new is there, and when the loop is
        left, so a crash lets up to `batch` come again. Leaving the loop by ``break`` or an error
        lets the event in hand come again. Ends as `follow` does.

        Raises `ConflictError` when another process handles the same subscription.
        """
        check_name(name, "subscription name")
        wanted = check_names(types, "event type")
        return subscribe(
            self._store, self._shapes, name, types=wanted, wait=wait, stop=stop, batch=batch
        )

    async def aappend(
        self,
        stream: str,
        type: str,  # noqa: A002
        data: Any = None,
        **options: Unpack[AppendOptions],
    ) -> Appended:
        """`append`, from asyncio."""
        return await awaiting.in_thread(self.append, stream, type, data, **options)

    async def aappend_many(
        self,
        stream: str,
        events: Iterable[tuple[str, Any]],
        *,
        expect: Expected = None,
        metadata: dict[str, Any] | None = None,
    ) -> Appended:
        """`append_many`, from asyncio."""
        every = list(events)
        return await awaiting.in_thread(
            self.append_many, stream, every, expect=expect, metadata=metadata
        )

    def aread(
        self,
        stream: str | None = None,
        *,
        from_: int = 1,
        limit: int | None = None,
        types: Iterable[str] | None = None,
        archived: bool = False,
    ) -> AsyncGenerator[Event, None]:
        """`read`, from asyncio."""
        return awaiting.pages(
            self.read(stream, from_=from_, limit=limit, types=types, archived=archived)
        )

    def afollow(
        self,
        stream: str | None = None,
        *,
        from_: int = 1,
        types: Iterable[str] | None = None,
        wait: float | None = None,
        stop: Callable[[], bool] | None = None,
    ) -> AsyncGenerator[Event, None]:
        """`follow`, from asyncio; it looks for new events 20 times a second, on every engine."""
        if stream is not None:
            check_name(stream, "stream name")
        wanted = check_names(types, "event type")
        return awaiting.follow(
            self._store, self._shapes, stream, after=from_ - 1, types=wanted, wait=wait, stop=stop
        )

    def asubscribe(
        self,
        name: str,
        *,
        types: Iterable[str] | None = None,
        wait: float | None = None,
        stop: Callable[[], bool] | None = None,
        batch: int = 100,
    ) -> AsyncGenerator[Event, None]:
        """`subscribe`, from asyncio.

        Use `contextlib.aclosing` to have the position stored at once when the loop is left early.
        """
        check_name(name, "subscription name")
        wanted = check_names(types, "event type")
        return awaiting.subscribe(
            self._store, self._shapes, name, types=wanted, wait=wait, stop=stop, batch=batch
        )

    def subscriptions(self) -> dict[str, int]:
        """Every subscription and the position it has handled."""
        return self._store.states("subscription")

    def projection(
        self,
        name: str,
        apply: Callable[[Any, Event], Any],
        *,
        initial: Callable[[], Any] = dict,
        types: Iterable[str] | None = None,
        type: Any = Any,  # noqa: A002
        version: int = 1,
    ) -> Projection:
        """A state computed from events and kept with its position; see `Projection`.

        ``apply(state, event)`` returns the next state; it starts as ``initial()``. The state is
        kept as JSON and read as a `type`. Raise `version` when `apply` changes: what is stored is
        then computed anew.
        """
        check_name(name, "projection name")
        wanted = check_names(types, "event type")
        return Projection(self._store, self._shapes, name, apply, initial, wanted, type, version)

    def projections(self) -> dict[str, int]:
        """Every projection and the position its state holds."""
        return self._store.states("projection")

    def aggregate(
        self,
        stream: str,
        apply: Callable[[Any, Event], Any],
        *,
        initial: Callable[[], Any] = dict,
        type: Any = Any,  # noqa: A002
        snapshot_every: int = 0,
        version: int = 1,
    ) -> Aggregate:
        """The state of one stream, computed from its events, and the stream's version.

        With `snapshot_every` above 0 the state is stored whenever at least so many events were
        read since the last one, and later calls begin there. Give the version as `expect` when
        you append. Raise `version` when `apply` changes: snapshots of older code are not used.
        """
        check_name(stream, "stream name")
        return load_aggregate(
            self._store, self._shapes, stream, apply, initial, type, snapshot_every, version
        )

    def upcaster(self, type: str, version: int) -> Callable[[Upcaster], Upcaster]:  # noqa: A002
        """Register how data of an event type is brought from `version` to the next one.

        ::

            @log.upcaster("deposited", 1)
            def with_currency(data):
                return {**data, "currency": "EUR"}

        From then on events are read in the newest shape, and appended as of that version.
        """
        check_name(type, "event type")

        def register(step: Upcaster) -> Upcaster:
            self._shapes.add(type, version, step)
            return step

        return register

    def version(self, stream: str) -> int:
        """The version of the stream's last event; 0 when it has none."""
        return self._store.version(check_name(stream, "stream name"))

    def position(self) -> int:
        """The position of the last event ever appended; 0 before the first."""
        return self._store.head()

    def streams(self, prefix: str = "", *, after: str = "") -> Iterator[Stream]:
        """The streams whose names begin with `prefix`, sorted, without the archived ones.

        `after` goes on behind that name.
        """
        while page := self._store.streams(prefix=prefix, after=after, limit=_PAGE):
            yield from page
            after = page[-1].name

    def archive(self, stream: str, path: Path) -> Archive:
        """Move a stream out of the log, into the new file `path` (checksummed JSON Lines).

        The file is on the disk itself and whole before anything is removed. The stream is then in
        no read, takes no more events, and can be read with ``archived=True`` or put back.

        Raises `ConflictError` when the file exists or somebody appends meanwhile, `NotFoundError`.
        """
        check_name(stream, "stream name")
        return archive_stream(self._store, stream, path.absolute(), self._clock())

    def unarchive(self, stream: str) -> int:
        """Put an archived stream back where it stood; returns how many events. The file stays.

        Raises `NotFoundError`, `CorruptError`.
        """
        return unarchive(self._store, check_name(stream, "stream name"))

    def archives(self) -> list[Archive]:
        """The archived streams, by name."""
        return [archive_of(note) for _, note in sorted(self._store.archives().items())]

    def close(self) -> None:
        """Let go of files and connections."""
        self._store.close()

    def _append(
        self, stream: str, events: list[NewEvent], expect: Expected, key: str | None
    ) -> Appended:
        check_name(stream, "stream name")
        expected = _version_of(expect)
        fault_point("events.append")
        appended = self._store.append(stream, events, expect=expected, key=key)
        fault_point("events.appended")
        if appended is None:
            raise self._conflict(stream, expected)
        return appended

    def _conflict(self, stream: str, expected: int | None) -> ConflictError:
        if (note := self._store.archived(stream)) is not None:
            return ConflictError(
                f"the stream {stream!r} is archived",
                path=archive_of(note).path,
                hint="append to another stream, or put it back with unarchive",
            )
        return ConflictError(
            f"the stream {stream!r} is at version {self._store.version(stream)}, not {expected}",
            hint="read the new events, decide again and retry",
        )

    def _pages(
        self, stream: str | None, after: int, limit: int | None, types: frozenset[str] | None
    ) -> Iterator[Event]:
        left = limit
        while left is None or left > 0:
            size = _PAGE if left is None else min(_PAGE, left)
            rows = self._store.read(stream=stream, after=after, limit=size, types=types)
            yield from self._shapes.events(rows)
            if len(rows) < size:
                return
            after = rows[-1][0] if stream is None else rows[-1][2]
            left = None if left is None else left - len(rows)

    def _read_archived(
        self, stream: str, from_: int, limit: int | None, types: frozenset[str] | None
    ) -> Iterator[Event]:
        rows = [
            row
            for row in read_archive(self._store, stream)
            if row[2] >= from_ and (types is None or row[3] in types)
        ]
        yield from self._shapes.events(rows[:limit])


def _version_of(expect: Expected) -> int | None:
    if expect is None or expect == "any":
        return None
    if expect == "new":
        return 0
    if expect >= 0:
        return expect
    raise UsageError(f"expect is a version from 0 on, 'new' or 'any', not {expect!r}")

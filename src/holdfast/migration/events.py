"""Events from one engine to another: positions, versions, keys, archives, subscriptions."""

from collections.abc import Iterator, Mapping
from contextlib import closing
from typing import get_args

from holdfast.durable.faults import fault_point
from holdfast.engines.urls import parse_url
from holdfast.errors import UsageError
from holdfast.events.event import keys_of
from holdfast.events.store import EventStore, MovableStore, StateKind, StoredEvent
from holdfast.events.stores import open_store
from holdfast.migration.content import Content, Tally
from holdfast.migration.room import as_sure_as_can_be, differs

_PAGE = 1000  # events a read


class EventMover:
    """See `holdfast.migration.room.Mover`. Appends cannot be held; they are noticed at the end."""

    engines = ("sqlite", "postgresql")

    def refuse_live(self, source: str, wait: float) -> None:
        """Readers do no harm, and who appends is noticed by what he appended."""

    def pauses(self, source: str) -> dict[str, bool]:
        return {}

    def hold(self, source: str, held: Mapping[str, bool]) -> None:
        """Nothing can be held."""

    def names(self, url: str) -> list[str] | None:
        return None

    def measure(self, url: str, names: list[str] | None, tally: Tally, now: float) -> Content:
        with closing(open_store(url, durability="process")) as store:
            for page in _pages(store):
                for position, stream, version, type_, body in page:
                    tally.add("events", position, stream, version, type_, body)
                _keys(page)  # raises where a body is damaged
            for stream, note in sorted(store.archives().items()):
                tally.add("archives", stream, store.version(stream), note)
            for kind, name in _states(store):
                state = store.read_state(kind, name)
                if state is not None:
                    tally.add(f"{kind}s", name, state.at, state.body)
            tally.add("logs", store.head())
        return tally.content()

    def copy(
        self, source: str, target: str, held: Mapping[str, bool], tally: Tally, now: float
    ) -> None:
        with (
            closing(open_store(source, durability="process")) as old,
            closing(as_sure_as_can_be(lambda level: open_store(target, durability=level))) as new,
        ):
            if not isinstance(new, MovableStore):
                raise UsageError(f"{parse_url(target)} cannot take over events")
            _copy_events(old, new, new, target, tally)
            _copy_archives(old, new, new, target)
            _copy_states(old, new, target)


def _copy_events(
    old: EventStore, new: EventStore, into: MovableStore, target: str, tally: Tally
) -> None:
    known = _pages(new)
    ahead: list[StoredEvent] = []
    for page in _pages(old):
        while len(ahead) < len(page) and (more := next(known, None)):
            ahead += more
        same = min(len(ahead), len(page))
        if ahead[:same] != page[:same]:
            other = next(a for a, b in zip(ahead, page, strict=False) if a != b)
            raise differs(f"another event at position {other[0]}", target)
        ahead, rest = ahead[same:], page[same:]
        if rest and not into.put_events(rest, _keys(rest)):
            raise differs(f"events up to position {new.head()}", target)
        fault_point("migration.events.page")
        for row in page:
            tally.add("events", *row)
    beyond = ahead or next(known, [])
    if beyond:
        raise differs(f"another event at position {beyond[0][0]}", target)


def _copy_archives(old: EventStore, new: EventStore, into: MovableStore, target: str) -> None:
    head, there = old.head(), new.archives()
    archives = old.archives()
    for stream in there.keys() - archives.keys():
        raise differs(f"an archived stream {stream!r}", target)
    for stream, note in sorted(archives.items()):
        if stream not in there:
            into.put_archive(stream, old.version(stream), note, head)
            fault_point("migration.events.archive")
        elif there[stream] != note:
            raise differs(f"another archive of {stream!r}", target)


def _copy_states(old: EventStore, new: EventStore, target: str) -> None:
    """A state of an earlier call of this migration may be older: it moves on, never back."""
    for kind, name in _states(old):
        state, there = old.read_state(kind, name), new.read_state(kind, name)
        if state is None or state == there:
            continue
        if there is not None and there.at >= state.at:
            raise differs(f"another {kind} {name!r}, at {there.at}", target)
        new.save_state(kind, name, state, replaces=None if there is None else there.at)
        fault_point("migration.events.state")


def _pages(store: EventStore) -> Iterator[list[StoredEvent]]:
    after = 0
    while page := store.read(stream=None, after=after, limit=_PAGE, types=None):
        yield [(row[0], row[1], row[2], row[3], bytes(row[4])) for row in page]
        after = page[-1][0]


def _states(store: EventStore) -> list[tuple[StateKind, str]]:
    return [(kind, name) for kind in get_args(StateKind) for name in sorted(store.states(kind))]


def _keys(page: list[StoredEvent]) -> dict[int, str]:
    """The keys by position. Raises `CorruptError` with the place of a damaged event."""
    return {row[0]: key for row in page for key in keys_of([row]).values()}

"""What an engine has to do to hold an event log: keep opaque bytes in order, and give them back.

An engine decides nothing: what an event looks like inside, what a projection is, when to look
again, comes from the modules above. `holdfast.testing.events` proves an engine.

Positions count the events of the whole log from 1, versions those of one stream from 1. An event
that a reader can see has every event of a lower position before it, for good: a reader that goes
on from the highest position it saw misses none, however many write at once.
"""

from collections.abc import Collection, Mapping, Sequence
from typing import Literal, NamedTuple, Protocol, runtime_checkable

StoredEvent = tuple[int, str, int, str, bytes]
"""An event as the engine holds it: position, stream, version, type, body."""

StateKind = Literal["subscription", "projection", "snapshot"]


class NewEvent(NamedTuple):
    """An event to be appended. `body` is one JSON value without a newline."""

    type: str
    body: bytes


class Appended(NamedTuple):
    """Where the last event of an append came to stand."""

    version: int
    position: int


class State(NamedTuple):
    """What was stored under a name, and up to which position (or version) it holds."""

    at: int
    body: bytes


class Stream(NamedTuple):
    """A stream and the version of its last event."""

    name: str
    version: int


class Bell(Protocol):
    """Rings when something may have been appended. Used by one thread at a time."""

    def wait(self, seconds: float) -> None:
        """Return when something was appended since the last call, after `seconds` at the latest.

        It may also return for nothing.
        """
        ...

    def close(self) -> None:
        """Let go of what it listens with."""
        ...


@runtime_checkable
class Ringing(Protocol):
    """What an engine may have besides: it tells of appends, so that readers need not ask again."""

    def bell(self) -> Bell:
        """A new one, for one reader."""
        ...


@runtime_checkable
class MovableStore(Protocol):
    """What an engine may have besides: it can become the exact copy of a log on another engine."""

    def put_events(self, events: Sequence[StoredEvent], keys: Mapping[int, str]) -> bool:
        """Keep events of another log where they stand there, all or none; `keys` by position.

        False, and nothing is kept, unless they are in order and beyond all positions given out.
        """
        ...

    def put_archive(self, stream: str, version: int, note: bytes, head: int) -> bool:
        """Keep the note of a stream that was archived at `version`; False when it is here already.

        No position up to `head` is given out any more.
        """
        ...


class EventStore(Protocol):
    """One event log in one engine; safe between threads, and between processes if the engine is."""

    def append(
        self, stream: str, events: Sequence[NewEvent], *, expect: int | None, key: str | None
    ) -> Appended | None:
        """Keep the events as the next of the stream, all or none, with positions that follow.

        None, and nothing is kept, when the stream is not at version `expect` (None: any will do)
        or is archived. When the stream has an event with this `key`, nothing is kept and that
        one's place is returned; a `key` comes with a single event.
        """
        ...

    def read(
        self,
        *,
        stream: str | None,
        after: int,
        limit: int,
        types: Collection[str] | None,
    ) -> list[StoredEvent]:
        """At most `limit` events beyond position (of a stream: version) `after`, in order."""
        ...

    def head(self) -> int:
        """The position of the last event ever appended, 0 before the first."""
        ...

    def version(self, stream: str) -> int:
        """The version of the stream's last event, 0 when it has none; also of an archived one."""
        ...

    def streams(self, *, prefix: str, after: str, limit: int) -> list[Stream]:
        """Streams that are not archived, in order of their names' UTF-8 bytes."""
        ...

    def read_state(self, kind: StateKind, name: str) -> State | None:
        """What was saved last, or None."""
        ...

    def save_state(self, kind: StateKind, name: str, state: State, *, replaces: int | None) -> bool:
        """Store the state if what is stored has ``at == replaces`` (None: there is none yet)."""
        ...

    def states(self, kind: StateKind) -> dict[str, int]:
        """Every name of this kind, and its `State.at`."""
        ...

    def archive(self, stream: str, version: int, note: bytes) -> bool:
        """Remove the stream's events and keep `note` in their place, if it is at `version`."""
        ...

    def archived(self, stream: str) -> bytes | None:
        """The note of an archived stream, or None."""
        ...

    def archives(self) -> dict[str, bytes]:
        """The notes of all archived streams."""
        ...

    def unarchive(
        self, stream: str, events: Sequence[StoredEvent], keys: Mapping[int, str]
    ) -> bool:
        """Put the events back where they stood and forget the note; False when there is none.

        `keys` are their keys by version.
        """
        ...

    def close(self) -> None:
        """Let go of files and connections."""
        ...

"""What an engine has to do to hold a queue: keep opaque bytes, lease them out, forget them.

An engine decides nothing: how long a lease is, how often a message is tried, what a message looks
like inside, comes from `holdfast.queues.queue`. `holdfast.testing.queues` proves an engine.

Times are seconds of the epoch and come from the caller, so that one clock rules a call.
"""

from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Any, Literal, Protocol, runtime_checkable

import msgspec


class NewMessage(msgspec.Struct, frozen=True, gc=False):
    """A message to be put. `payload` is one JSON value without a newline.

    `due` is when it may be taken (0: at once); a higher `priority` is taken first. While a message
    with the same `key` waits or is leased, putting does nothing but return that one's id. Of the
    messages of one `group` only the first is in play; the next follows when it is gone or dead.
    `position` is where it stands in the log it was fed from (0: it was put, not fed).
    """

    payload: bytes
    priority: int = 0
    due: float = 0.0
    key: str | None = None
    group: str | None = None
    position: int = 0

    @property
    def plain(self) -> bool:
        """Whether it may simply stand in line."""
        return not self.priority and not self.due and self.key is None and self.group is None

    @property
    def alone(self) -> bool:
        """Whether it has nothing to do with the messages before it."""
        return self.key is None and self.group is None


class StoredMessage(msgspec.Struct, frozen=True, gc=False):
    """A message as the engine holds it.

    `attempts` counts its leases so far; `receipt` stands for the lease in force, empty when there
    is none; `reason` is why it failed the last time, if it was said.
    """

    id: str
    payload: bytes
    attempts: int
    enqueued_at: float
    receipt: str = ""
    reason: str | None = None


class Stats(msgspec.Struct, frozen=True, rename="camel"):
    """A queue at one moment; `oldest_age` is in seconds (None: nothing waits or is leased).

    `blocked` messages wait for an earlier one of their group. `recovered` counts the bytes of
    unfinished writes that crashed processes left and this handle has cut off.
    """

    ready: int
    delayed: int
    leased: int
    dead: int
    paused: bool
    oldest_age: float | None
    recovered: int = 0
    blocked: int = 0


class QueueStore(Protocol):
    """One queue in one engine; safe between threads, and between processes if the engine is."""

    def put(self, messages: Sequence[NewMessage], now: float) -> list[str]:
        """Keep the messages, in order; returns their ids.

        When it raises, or the process dies in it, the first few of them may have been kept.
        """
        ...

    def take(self, limit: int, lease: float, max_attempts: int, now: float) -> list[StoredMessage]:
        """Lease up to `limit` messages for `lease` seconds: higher priority first, then oldest.

        Messages whose lease ran out are ready again, and dead after `max_attempts` leases. A
        paused queue gives nothing.
        """
        ...

    def ack(self, receipts: Sequence[str], now: float) -> None:
        """Forget messages for good: all of them or, when a receipt is stale, none.

        Raises `ConflictError` for a stale receipt.
        """
        ...

    def nack(
        self, receipt: str, due: float, reason: str | None, max_attempts: int, now: float
    ) -> None:
        """Give a message back, to be ready at `due` (0: at once); dead after `max_attempts`.

        Raises `ConflictError` for a stale receipt.
        """
        ...

    def release(self, receipts: Sequence[str], now: float) -> None:
        """Give messages back as if they had never been taken; stale receipts are passed over."""
        ...

    def extend(self, receipt: str, lease: float, now: float) -> None:
        """Let the lease end `lease` seconds from now. Raises `ConflictError`."""
        ...

    def peek(self, limit: int, now: float) -> list[StoredMessage]:
        """The next messages in the order they would be taken, without taking them."""
        ...

    def dead(self, limit: int) -> list[StoredMessage]:
        """Dead letters, the one that died first first."""
        ...

    def requeue(self, ids: Sequence[str] | None, now: float) -> int:
        """Make dead letters ready again (all of them for None), attempts at 0; returns how many.

        Raises `NotFoundError` for an id that is not dead; nothing is changed then.
        """
        ...

    def purge(self, keep: Callable[[Iterable[StoredMessage]], None], now: float) -> int:
        """Hand every message to `keep`, then forget them all, leased and dead ones too.

        Returns how many. When `keep` raises, nothing is forgotten.
        """
        ...

    def pause(self, paused: bool) -> None:
        """Stop giving messages out, or go on."""
        ...

    def depth(self, limit: int) -> int:
        """How many messages are not dead, counted up to `limit`."""
        ...

    def stats(self, now: float) -> Stats:
        """Counts at this moment."""
        ...

    def close(self) -> None:
        """Let go of files and connections."""
        ...


class MovedMessage(msgspec.Struct, frozen=True, gc=False):
    """A message with all that an engine keeps of it, on its way to another engine.

    `due` tells of a delayed one only. `lapsed`: its lease ran out, which the next take counts.
    `died` numbers the dead in the order they died, from 1; the others have 0.
    """

    id: str
    payload: bytes
    at: float
    place: Literal["waiting", "blocked", "leased", "dead"] = "waiting"
    priority: int = 0
    due: float = 0.0
    key: str | None = None
    group: str | None = None
    position: int = 0
    attempts: int = 0
    lapsed: bool = False
    reason: str | None = None
    died: int = 0


@runtime_checkable
class MovableStore(Protocol):
    """Optional: a queue store that can become the exact copy of a queue on another engine."""

    def export(self, now: float) -> Iterator[MovedMessage]:
        """All messages in the order in which they were put; what is due by `now` has no `due`."""
        ...

    def take_over(self, messages: Iterable[MovedMessage], *, paused: bool) -> bool:
        """Keep the messages of another queue in this empty one: all of them, or none.

        They are shown with the ids they had. False, and nothing is kept, when it is not empty.
        """
        ...


@runtime_checkable
class TransactionalStore(Protocol):
    """Optional: a queue store whose writes can be part of another room's transaction.

    `connection` is the engine's own, on the same database, its transaction open; it stays open.
    """

    def reserve(self, messages: Sequence[NewMessage]) -> tuple[list[str], "Reserved"]:
        """The ids the messages will have, and what `put_on` puts under them.

        A message whose key waits or is leased already gets that one's id, and is not put.
        """
        ...

    def put_on(self, connection: Any, messages: "Reserved", now: float) -> None:
        """Put messages under the numbers that `reserve` gave them."""
        ...

    def ack_on(self, connection: Any, receipts: Sequence[str], now: float) -> None:
        """`QueueStore.ack`, in the caller's transaction. Raises `ConflictError`."""
        ...


def transactional(store: QueueStore) -> TransactionalStore | None:
    """What of `store` can be part of another room's transaction, if anything."""
    inner = getattr(store, "queue", store)
    return inner if isinstance(inner, TransactionalStore) else None


Reserved = Sequence[tuple[int, NewMessage]]


class WatchingStore(Protocol):
    """Optional: a queue store that rings the bell of its queue whenever there may be more to take,
    whoever changed it; only the passing of time rings no bell."""

    def watch(self) -> bool:
        """Have the bell rung; whether it will be. Called again and again while somebody waits."""
        ...

    def next_due(self) -> float | None:
        """When the next message is ready by the passing of time alone."""
        ...


class LogEntry(msgspec.Struct, frozen=True, gc=False):
    """What stands at a position of a topic's log; `at` is when it was put."""

    position: int
    at: float
    payload: bytes


class FedStore(QueueStore, Protocol):
    """The queue of one subscription: fed from the log of its topic, up to its cursor."""

    def cursor(self) -> tuple[int, bool]:
        """The position up to which the log was fed, and whether the queue is paused."""
        ...

    def feed(self, messages: Sequence[NewMessage], after: int, upto: int, now: float) -> bool:
        """Put `messages` and move the cursor from `after` to `upto`: all of it, or nothing.

        False, and nothing done, when the cursor is not at `after`: somebody else fed.
        """
        ...

    def seek(self, position: int, now: float) -> None:
        """Move the cursor, and forget what was fed from beyond `position`, leased or dead too."""
        ...


class TopicStore(Protocol):
    """Optional: the log of one topic, and the cursors of its subscriptions.

    Positions count from 1 without a gap, in the order in which entries can be read: whoever has
    read up to a position will never find a new entry before it.
    """

    def append(self, payloads: Sequence[bytes], now: float) -> list[int]:
        """Keep the payloads, in order; returns their positions."""
        ...

    def read_after(self, position: int, limit: int) -> list[LogEntry]:
        """Up to `limit` entries beyond `position`; the first kept ones when those are gone."""
        ...

    def bounds(self) -> tuple[int, int]:
        """The position before the first entry that is kept, and that of the last one ever put."""
        ...

    def trim(self, upto: int) -> None:
        """Forget entries up to `upto`, but none that a subscription has yet to get.

        May keep more, and forget it later.
        """
        ...

    def settings(self) -> bytes | None:
        """What `keep_settings` was given last."""
        ...

    def keep_settings(self, settings: bytes) -> None:
        """Keep a JSON object with the topic."""
        ...

    def subscribe(self, name: str, position: int) -> None:
        """Make a subscription with its cursor at `position`; does nothing when it is there."""
        ...

    def unsubscribe(self, name: str) -> None:
        """Forget a subscription and its messages; does nothing when there is none."""
        ...

    def cursors(self) -> dict[str, int]:
        """The cursor of each subscription."""
        ...

    def subscription(self, name: str) -> FedStore:
        """Open the queue of a subscription that `subscribe` made."""
        ...

    def close(self) -> None:
        """Let go of files and connections."""
        ...


@runtime_checkable
class MovableTopicStore(Protocol):
    """Optional: a topic store that can become the exact copy of a topic on another engine."""

    def put_entries(self, entries: Sequence[LogEntry], before: int) -> bool:
        """Keep entries of another log, in order, the first at ``before + 1``.

        When the process dies in it, the first few may have been kept. False, and nothing is kept,
        when the log is not empty and its last entry not at `before`.
        """
        ...

    def take_over(
        self, name: str, position: int, messages: Iterable[MovedMessage], *, paused: bool
    ) -> bool:
        """Make a subscription of another topic with its cursor and its messages, or none of it.

        False when there is one of that name.
        """
        ...

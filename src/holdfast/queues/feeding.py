"""Feeding: the queue of a subscription gets its messages from the log of the topic as it is taken.

The log moves over in order, a piece at a time, so that a backlog of any size stays in the log and
the queue stays short. Messages and cursor move together or not at all, so whoever dies meanwhile,
and however many feed at once, each message arrives once.
"""

from collections.abc import Callable, Iterable, Sequence

import msgspec

from holdfast.queues.store import (
    FedStore,
    LogEntry,
    NewMessage,
    Stats,
    StoredMessage,
    TopicStore,
)

WINDOW = 1000  # messages that may wait in the queue of a subscription before the log is left alone
_PIECE_BYTES = 4 << 20
_PAGE = 100


class Directions(msgspec.Struct, frozen=True, omit_defaults=True):
    """What a log entry says beside its envelope: how the message goes into each queue."""

    priority: int = 0
    due: float = 0.0
    key: str | None = None
    group: str | None = None


_directions_of = msgspec.json.Decoder(Directions).decode
_encode = msgspec.json.encode


def log_payload(message: NewMessage) -> bytes:
    """The one JSON object that stands in the log: the envelope, and the directions if any."""
    if message.plain:
        return message.payload
    directions = Directions(message.priority, message.due, message.key, message.group)
    return b"%b,%b" % (message.payload[:-1], _encode(directions)[1:])


class FedQueueStore:
    """A queue store of a subscription: `queue`, fed from `log` before it is asked.

    It watches if `queue` does, and `transactional` finds what `queue` can.
    """

    def __init__(self, queue: FedStore, log: TopicStore, *, window: int = WINDOW) -> None:
        self.queue = queue
        self._log = log
        self._window = window
        self._cursor: int | None = None
        self._spare = 0  # messages that may be taken before there is room for more

    def put(self, messages: Sequence[NewMessage], now: float) -> list[str]:
        return self.queue.put(messages, now)

    def take(self, limit: int, lease: float, max_attempts: int, now: float) -> list[StoredMessage]:
        more = self._spare > 0 or self._fill(now)
        taken = self.queue.take(limit, lease, max_attempts, now)
        self._spare = self._spare - len(taken) if taken else 0
        while more and len(taken) < limit:
            more = self._feed(self._window, now, only_if_going=True)
            if more:
                taken += self.queue.take(limit - len(taken), lease, max_attempts, now)
        return taken

    def ack(self, receipts: Sequence[str], now: float) -> None:
        self.queue.ack(receipts, now)

    def nack(
        self, receipt: str, due: float, reason: str | None, max_attempts: int, now: float
    ) -> None:
        self.queue.nack(receipt, due, reason, max_attempts, now)

    def release(self, receipts: Sequence[str], now: float) -> None:
        self.queue.release(receipts, now)

    def extend(self, receipt: str, lease: float, now: float) -> None:
        self.queue.extend(receipt, lease, now)

    def peek(self, limit: int, now: float) -> list[StoredMessage]:
        self._fill(now)
        shown = self.queue.peek(limit, now)
        while len(shown) < limit and self._feed(self._window, now):
            shown = self.queue.peek(limit, now)
        return shown

    def dead(self, limit: int) -> list[StoredMessage]:
        return self.queue.dead(limit)

    def requeue(self, ids: Sequence[str] | None, now: float) -> int:
        return self.queue.requeue(ids, now)

    def purge(self, keep: Callable[[Iterable[StoredMessage]], None], now: float) -> int:
        while self._feed(self._window, now):  # all of it is handed over and forgotten
            pass
        return self.queue.purge(keep, now)

    def pause(self, paused: bool) -> None:
        self.queue.pause(paused)

    def depth(self, limit: int) -> int:
        return min(limit, self.queue.depth(limit) + self.pending())

    def stats(self, now: float) -> Stats:
        self._fill(now)
        stats = self.queue.stats(now)
        pending = self.pending()
        if not pending:
            return stats
        oldest = max(0.0, now - self._log.read_after(self._at(), 1)[0].at)
        ages = [age for age in (stats.oldest_age, oldest) if age is not None]
        return msgspec.structs.replace(stats, ready=stats.ready + pending, oldest_age=max(ages))

    def watch(self) -> bool:
        """Whether the queue's bell is rung for everything; see `WatchingStore`."""
        watch: Callable[[], bool] | None = getattr(self.queue, "watch", None)
        return watch is not None and watch()

    def next_due(self) -> float | None:
        due: float | None = self.queue.next_due()  # type: ignore[attr-defined]
        return due

    def close(self) -> None:
        """Close the queue; the log is the topic's."""
        self.queue.close()

    def progress(self) -> tuple[int, int]:
        """The cursor, and how many messages are still in the log only."""
        self._cursor, _ = self.queue.cursor()
        trimmed, last = self._log.bounds()
        return self._cursor, last - max(trimmed, self._cursor)

    def pending(self) -> int:
        """How many messages are still in the log only."""
        return self.progress()[1]

    def waiting(self, limit: int) -> int:
        """How many messages are in the queue and not dead, counted up to `limit`."""
        return self.queue.depth(limit)

    def seek(self, position: int, now: float) -> None:
        """Go on behind `position`; what came from beyond it and is not done is forgotten here."""
        self.queue.seek(position, now)
        self._cursor, self._spare = None, 0

    def _at(self) -> int:
        if self._cursor is None:
            self._cursor, _ = self.queue.cursor()
        return self._cursor

    def _page(self) -> list[LogEntry]:
        """The entries that come next; the cursor may have been moved elsewhere."""
        cursor = self._at()
        page = self._log.read_after(cursor, _PAGE)
        if not page:
            self._cursor = None
            if self._at() != cursor:
                page = self._log.read_after(self._at(), _PAGE)
        return page

    def _fill(self, now: float) -> bool:
        """Feed until the window is full, or the log has no more; whether it may have more."""
        while page := self._page():
            depth = self.queue.depth(self._window)
            if depth >= self._window:
                self._spare = self._window // 2
                return True
            self._feed(self._window - depth, now, page)
            if self._cursor is not None and len(page) < _PAGE:
                return False
        return False

    def _feed(
        self,
        most: int,
        now: float,
        page: list[LogEntry] | None = None,
        *,
        only_if_going: bool = False,
    ) -> bool:
        """Move up to `most` messages over; whether anything may have come, by whoever did it."""
        page = self._page() if page is None else page
        if not page:
            return False
        if only_if_going and self.queue.cursor()[1]:
            return False
        entries, size = page[:most], sum(len(entry.payload) for entry in page)
        while len(page) == _PAGE and len(entries) < most and size < _PIECE_BYTES:
            page = self._log.read_after(page[-1].position, _PAGE)
            size += sum(len(entry.payload) for entry in page)
            entries += page[: most - len(entries)]
        after, upto = self._at(), entries[-1].position
        if self.queue.feed([_message_of(entry) for entry in entries], after, upto, now):
            self._cursor = upto
        else:
            self._cursor = None  # somebody else fed
        return True


def _message_of(entry: LogEntry) -> NewMessage:
    to = _directions_of(entry.payload)
    source = b',"position":%d,"put":%.6f}' % (entry.position, entry.at)
    payload = entry.payload[:-1] + source
    return NewMessage(payload, to.priority, to.due, to.key, to.group, entry.position)

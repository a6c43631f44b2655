"""``memory://``: a queue that lives as long as this process holds it."""

import secrets
import threading
from collections.abc import Callable, Iterable, Sequence

from holdfast.errors import NotFoundError
from holdfast.queues.store import NewMessage, Stats, StoredMessage
from holdfast.queues.stores.receipts import (
    id_text,
    parse_id,
    parse_receipt,
    receipt_text,
    stale,
)
from holdfast.queues.stores.schedule import (
    BLOCKED,
    DEAD,
    DELAYED,
    LEASED,
    READY,
    Entry,
    Schedule,
)


class MemoryQueueStore:
    """One queue in memory, for all threads of this process."""

    def __init__(self) -> None:
        self._id = secrets.token_hex(4)
        self._lock = threading.Lock()
        self._schedule = Schedule()
        self._last = 0

    def put(self, messages: Sequence[NewMessage], now: float) -> list[str]:
        with self._lock:
            return [id_text(self._id, self._put(message, now)) for message in messages]

    def take(self, limit: int, lease: float, max_attempts: int, now: float) -> list[StoredMessage]:
        with self._lock:
            schedule = self._schedule
            schedule.promote(now)
            taken: list[StoredMessage] = []
            while len(taken) < limit and not schedule.paused:
                first = schedule.first_ready()
                if first is None:
                    break
                schedule.pop_ready()
                if first.spent(max_attempts):
                    schedule.bury(first, f"its lease ran out {first.attempts} times")
                    schedule.promote(now)
                    continue
                schedule.lease(first, schedule.last_token + 1, now + lease, lease)
                taken.append(self._stored(first))
            return taken

    def ack(self, receipts: Sequence[str], now: float) -> None:
        with self._lock:
            for entry in [self._holder(receipt) for receipt in dict.fromkeys(receipts)]:
                self._schedule.settle(entry)

    def nack(
        self, receipt: str, due: float, reason: str | None, max_attempts: int, now: float
    ) -> None:
        with self._lock:
            entry = self._holder(receipt)
            if entry.attempts >= max_attempts:
                self._schedule.bury(entry, reason or f"given back {entry.attempts} times")
            else:
                self._schedule.release(entry, due, reason)

    def release(self, receipts: Sequence[str], now: float) -> None:
        with self._lock:
            for receipt in receipts:
                entry = self._schedule.holder(*parse_receipt(receipt, self._id))
                if entry is not None:
                    self._schedule.untake(entry)

    def extend(self, receipt: str, lease: float, now: float) -> None:
        with self._lock:
            self._schedule.extend(self._holder(receipt), now + lease, lease)

    def peek(self, limit: int, now: float) -> list[StoredMessage]:
        with self._lock:
            self._schedule.promote(now)
            return [self._stored(entry) for entry in self._schedule.first(limit)]

    def dead(self, limit: int) -> list[StoredMessage]:
        with self._lock:
            return [self._stored(entry) for entry in self._schedule.dead()[:limit]]

    def requeue(self, ids: Sequence[str] | None, now: float) -> int:
        with self._lock:
            doomed = self._schedule.dead() if ids is None else [self._dead(id_) for id_ in ids]
            for entry in doomed:
                self._schedule.revive(entry)
            return len(doomed)

    def purge(self, keep: Callable[[Iterable[StoredMessage]], None], now: float) -> int:
        with self._lock:
            doomed = sorted(self._schedule.entries.values(), key=lambda entry: entry.order)
            keep([self._stored(entry) for entry in doomed])
            self._schedule.clear()
            return len(doomed)

    def pause(self, paused: bool) -> None:
        with self._lock:
            self._schedule.paused = paused

    def depth(self, limit: int) -> int:
        with self._lock:
            return min(limit, self._schedule.depth)

    def stats(self, now: float) -> Stats:
        with self._lock:
            self._schedule.promote(now)
            counts = self._schedule.counts
            waiting = [e.at for e in self._schedule.entries.values() if e.place != DEAD]
            return Stats(
                ready=counts[READY],
                delayed=counts[DELAYED],
                leased=counts[LEASED],
                dead=counts[DEAD],
                paused=self._schedule.paused,
                oldest_age=max(0.0, now - min(waiting)) if waiting else None,
                blocked=counts[BLOCKED],
            )

    def watch(self) -> bool:
        """Everybody who changes the queue rings, save whoever lets the next of a group follow."""
        with self._lock:
            return not self._schedule.counts[BLOCKED]

    def next_due(self) -> float | None:
        with self._lock:
            return self._schedule.next_due()

    def close(self) -> None:
        """Nothing to let go of: the messages stay until the last handle is gone."""

    def _put(self, message: NewMessage, now: float) -> int:
        known = self._schedule.with_key(message.key)
        if known is not None:
            return known
        self._last += 1
        self._schedule.add(
            Entry(
                self._last,
                now,
                payload=message.payload,
                priority=message.priority,
                due=message.due,
                key=message.key,
                group=message.group,
                position=message.position,
            )
        )
        return self._last

    def _holder(self, receipt: str) -> Entry:
        entry = self._schedule.holder(*parse_receipt(receipt, self._id))
        if entry is None:
            raise stale(receipt)
        return entry

    def _dead(self, id_: str) -> Entry:
        entry = self._schedule.entries.get(parse_id(id_, self._id) or 0)
        if entry is None or entry.place != DEAD:
            raise NotFoundError(f"no dead letter has the id {id_!r}")
        return entry

    def _stored(self, entry: Entry) -> StoredMessage:
        assert entry.payload is not None
        receipt = receipt_text(self._id, entry.id, entry.token) if entry.token else ""
        return StoredMessage(
            id_text(self._id, entry.id),
            entry.payload,
            entry.attempts,
            entry.at,
            receipt,
            entry.reason,
        )

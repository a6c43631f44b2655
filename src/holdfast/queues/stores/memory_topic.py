"""``memory://``: a topic that lives as long as this process holds it."""

import threading
from collections.abc import Sequence

from holdfast.queues.store import LogEntry, NewMessage
from holdfast.queues.stores.memory import MemoryQueueStore
from holdfast.queues.stores.subscriptions import no_subscription


class MemorySubscriptionStore(MemoryQueueStore):
    """The queue of one subscription in memory. The lock of its topic comes before its own."""

    def __init__(self, position: int, topic_lock: threading.Lock) -> None:
        super().__init__()
        self.fed = position
        self._topic_lock = topic_lock

    def cursor(self) -> tuple[int, bool]:
        with self._lock:
            return self.fed, self._schedule.paused

    def feed(self, messages: Sequence[NewMessage], after: int, upto: int, now: float) -> bool:
        with self._lock:
            if self.fed != after:
                return False
            for message in messages:
                self._put(message, now)
            self.fed = upto
            return True

    def seek(self, position: int, now: float) -> None:
        with self._topic_lock, self._lock:  # nobody trims meanwhile
            self._schedule.rewind(position)
            self.fed = position


class MemoryTopicStore:
    """One topic in memory, for all threads of this process."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._entries: list[LogEntry] = []
        self._first = 0  # index of the first that is kept
        self._last = 0
        self._settings: bytes | None = None
        self._subscriptions: dict[str, MemorySubscriptionStore] = {}

    def append(self, payloads: Sequence[bytes], now: float) -> list[int]:
        with self._lock:
            first = self._last + 1
            self._last += len(payloads)
            positions = list(range(first, self._last + 1))
            for position, payload in zip(positions, payloads, strict=True):
                self._entries.append(LogEntry(position, now, payload))
            return positions

    def read_after(self, position: int, limit: int) -> list[LogEntry]:
        with self._lock:
            start = max(self._first, position - self._last + len(self._entries))
            return self._entries[start : start + limit]

    def bounds(self) -> tuple[int, int]:
        with self._lock:
            return self._last - len(self._entries) + self._first, self._last

    def trim(self, upto: int) -> None:
        with self._lock:
            needed = min((one.fed for one in self._subscriptions.values()), default=upto)
            kept = max(0, self._last - min(upto, needed))
            self._first = max(self._first, len(self._entries) - kept)
            if 2 * self._first > len(self._entries):
                del self._entries[: self._first]
                self._first = 0

    def settings(self) -> bytes | None:
        return self._settings

    def keep_settings(self, settings: bytes) -> None:
        self._settings = settings

    def subscribe(self, name: str, position: int) -> None:
        with self._lock:
            if name not in self._subscriptions:
                self._subscriptions[name] = MemorySubscriptionStore(position, self._lock)

    def unsubscribe(self, name: str) -> None:
        with self._lock:
            self._subscriptions.pop(name, None)

    def cursors(self) -> dict[str, int]:
        with self._lock:
            return {name: one.fed for name, one in self._subscriptions.items()}

    def subscription(self, name: str) -> MemorySubscriptionStore:
        with self._lock:
            if name not in self._subscriptions:
                raise no_subscription(name)
            return self._subscriptions[name]

    def close(self) -> None:
        """Nothing to let go of: the log stays until the last handle is gone."""

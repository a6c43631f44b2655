"""A topic on Redis: a stream, and a queue for each subscription.

The keys of a topic begin with ``holdfast:topic:{<name>}:``; ``topic.lua`` says what they hold. The
queue of a subscription is one like any other, named ``<topic>@<subscription>``.
"""

from collections.abc import Iterable, Sequence
from contextlib import closing
from typing import Any

from holdfast.durable.faults import fault_point
from holdfast.durable.files import Durability
from holdfast.engines.redis import PREFIX, open_redis, redis_errors
from holdfast.engines.redis_scripts import Line, Script
from holdfast.engines.urls import EngineUrl
from holdfast.queues.store import LogEntry, MovedMessage, NewMessage
from holdfast.queues.stores.redis import (
    BATCH,
    FORMAT_VERSION,
    ROOM,
    RedisQueueStore,
    key_prefix,
    optional,
)
from holdfast.queues.stores.subscriptions import no_subscription

_TOPICS = PREFIX + "topics"


def topic_names(url: EngineUrl) -> list[str]:
    """The names of all topics on the server, sorted."""
    with open_redis(url, room=ROOM, version=FORMAT_VERSION) as client, redis_errors(url):
        names: Any = client.smembers(_TOPICS)
        return sorted(name.decode() for name in names)


class RedisSubscriptionStore(RedisQueueStore):
    """The queue of one subscription."""

    listed = False

    def __init__(self, url: EngineUrl, topic: str, name: str, *, durability: Durability) -> None:
        self._subscription = name
        self._more_keys = tuple(_prefix(topic) + key for key in ("cursors", "meta"))
        super().__init__(url, f"{topic}@{name}", durability=durability)

    def cursor(self) -> tuple[int, bool]:
        position, paused = self._call("cursor", self._subscription)
        if position is None:
            raise no_subscription(self.name)
        return int(position), paused == b"1"

    def feed(self, messages: Sequence[NewMessage], after: int, upto: int, now: float) -> bool:
        facts: list[Any] = []
        for one in messages:
            place = (repr(one.due), one.priority, one.payload)
            facts += (*place, optional(one.key), optional(one.group), one.position)
        return bool(self._call("feed", self._subscription, after, upto, repr(now), *facts))

    def seek(self, position: int, now: float) -> None:
        self._call("seek", self._subscription, position)

    def take_over_at(
        self, position: int, messages: Iterable[MovedMessage], *, paused: bool
    ) -> bool:
        """`take_over`, with the cursor; False when it has one already."""
        return self._take_over(messages, paused, (self._subscription, position))


class RedisTopicStore:
    """The topic `name` on the server at `url`."""

    def __init__(self, url: EngineUrl, name: str, *, durability: Durability = "process") -> None:
        self.url = url
        self.name = name
        self.durability: Durability = durability
        self._client = open_redis(url, room=ROOM, version=FORMAT_VERSION, durability=durability)
        self._keys = [_prefix(name) + key for key in ("meta", "log", "cursors")]
        self._script = Script(Line(self._client), __package__, "topic.lua", self._keys)
        try:
            with redis_errors(url):
                self._client.sadd(_TOPICS, name)
        except BaseException:
            self._client.close()
            raise

    def append(self, payloads: Sequence[bytes], now: float) -> list[int]:
        positions: list[int] = []
        for start in range(0, len(payloads), BATCH):
            batch = payloads[start : start + BATCH]
            last = self._call("append", repr(now), *batch)
            positions += range(last - len(batch) + 1, last + 1)
        return positions

    def read_after(self, position: int, limit: int) -> list[LogEntry]:
        with redis_errors(self.url):
            rows: Any = self._client.xrange(self._keys[1], min=f"{position + 1}-0", count=limit)
        return [
            LogEntry(int(id_.partition(b"-")[0]), float(fields[b"at"]), fields[b"payload"])
            for id_, fields in rows
        ]

    def bounds(self) -> tuple[int, int]:
        before, last = self._call("bounds")
        return before, last

    def trim(self, upto: int) -> None:
        self._call("trim", upto)

    def settings(self) -> bytes | None:
        with redis_errors(self.url):
            settings: Any = self._client.hget(self._keys[0], "settings")
        return None if settings is None else bytes(settings)

    def keep_settings(self, settings: bytes) -> None:
        with redis_errors(self.url):
            self._client.hset(self._keys[0], "settings", settings)

    def subscribe(self, name: str, position: int) -> None:
        with redis_errors(self.url):
            self._client.hsetnx(self._keys[2], name, position)

    def unsubscribe(self, name: str) -> None:
        with redis_errors(self.url):
            self._client.hdel(self._keys[2], name)
            keys: Any = self._client.keys(f"{key_prefix(f'{self.name}@{name}')}*")
            if keys:
                self._client.delete(*keys)

    def put_entries(self, entries: Sequence[LogEntry], before: int) -> bool:
        facts = [fact for one in entries for fact in (repr(one.at), one.payload)]
        return bool(self._call("place", before, *facts))

    def take_over(
        self, name: str, position: int, messages: Iterable[MovedMessage], *, paused: bool
    ) -> bool:
        store = RedisSubscriptionStore(self.url, self.name, name, durability=self.durability)
        with closing(store):
            return store.take_over_at(position, messages, paused=paused)

    def cursors(self) -> dict[str, int]:
        with redis_errors(self.url):
            cursors: Any = self._client.hgetall(self._keys[2])
        return {name.decode(): int(cursors[name]) for name in sorted(cursors)}

    def subscription(self, name: str) -> RedisSubscriptionStore:
        if name not in self.cursors():
            raise no_subscription(name)
        return RedisSubscriptionStore(self.url, self.name, name, durability=self.durability)

    def close(self) -> None:
        """Close the connections."""
        self._client.close()

    def _call(self, operation: str, *arguments: Any) -> Any:
        fault_point("queue.redis.topic.asked")
        with redis_errors(self.url):
            answer = self._script(operation, *arguments)
        fault_point("queue.redis.topic.answered")
        return answer


def _prefix(topic: str) -> str:
    return f"{PREFIX}topic:{{{topic}}}:"

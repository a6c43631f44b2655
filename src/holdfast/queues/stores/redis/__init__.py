"""``redis://…``: durable queues on a Redis server, shared by any number of machines.

The keys of a queue begin with ``holdfast:queue:{<name>}:``; ``queue.lua`` says what they hold, and
does each call atomically on the server. Times are those of the callers, so the clocks of machines
that share a queue have to agree to within a fraction of the lease.

What a returned call survives is what the server was told to keep, which `holdfast.engines.redis`
checks on opening.
"""

from collections.abc import Callable, Iterable, Iterator, Sequence
from secrets import token_hex
from typing import Any

from holdfast.durable.faults import fault_point
from holdfast.durable.files import Durability
from holdfast.engines.redis import PREFIX, open_redis, redis_errors
from holdfast.engines.redis_scripts import Line, Script
from holdfast.engines.urls import EngineUrl
from holdfast.errors import NotFoundError
from holdfast.queues.bells import bell_of
from holdfast.queues.store import MovedMessage, NewMessage, Stats, StoredMessage
from holdfast.queues.stores.clock import ClockWatch
from holdfast.queues.stores.listening import WATCHED, Watch
from holdfast.queues.stores.receipts import (
    id_text,
    parse_id,
    parse_receipt,
    receipt_text,
    stale,
)
from holdfast.queues.stores.redis.ear import RedisEar
from holdfast.queues.stores.redis.moving import batched, exported, facts_of

FORMAT_VERSION = 1

ROOM = "queues"
_NAMES = PREFIX + "queues"
_KEYS = (
    "meta", "payloads", "states", "ready", "delayed", "leased", "dead", "blocked", "heads", "keys",
    "fed",
)  # fmt: skip
BATCH = 1000  # messages a script handles at a time, while everybody else waits


def key_prefix(name: str) -> str:
    """What the keys of a queue begin with; those of a topic's subscriptions stand together."""
    topic, at, subscription = name.partition("@")
    return f"{PREFIX}queue:{{{topic}}}{at}{subscription}:"


def queue_names(url: EngineUrl) -> list[str]:
    """The names of all queues on the server, sorted."""
    with open_redis(url, room=ROOM, version=FORMAT_VERSION) as client, redis_errors(url):
        names: Any = client.smembers(_NAMES)
        return sorted(name.decode() for name in names)


class RedisQueueStore:
    """The queue `name` on the server at `url`."""

    listed = True  # among the names of queues
    _more_keys: tuple[str, ...] = ()

    def __init__(self, url: EngineUrl, name: str, *, durability: Durability = "process") -> None:
        self.url = url
        self.name = name
        self._clock = ClockWatch()
        self._watch: Watch | None = None
        self._client = open_redis(url, room=ROOM, version=FORMAT_VERSION, durability=durability)
        prefix = key_prefix(name)
        self._keys = [*(prefix + key for key in _KEYS), *self._more_keys]
        line = Line(self._client)
        self._script = Script(line, __package__, "queue.lua", self._keys)
        self._publish = Script(line, __package__, "publish.lua")
        put_keys = [prefix + key for key in ("meta", "payloads", "ready")]
        self._put_script = Script(line, __package__, "put.lua", put_keys)
        try:
            with redis_errors(url):
                self._id = self._identity()
        except BaseException:
            self._client.close()
            raise

    def put(self, messages: Sequence[NewMessage], now: float) -> list[str]:
        if not messages:
            return []
        if not all(message.plain for message in messages):
            return [id_text(self._id, self._put_one(message, now)) for message in messages]
        ids: list[str] = []
        for start in range(0, len(messages), BATCH):
            payloads = [message.payload for message in messages[start : start + BATCH]]
            last = self._run(self._put_script, repr(now), *payloads)
            ids += [id_text(self._id, n) for n in range(last - len(payloads) + 1, last + 1)]
        return ids

    def take(self, limit: int, lease: float, max_attempts: int, now: float) -> list[StoredMessage]:
        back = int(self._clock.stepped_back(now))
        till = repr(now + lease)
        rows = self._call("take", limit, lease, till, max_attempts, repr(now), back)
        return [self._stored(row) for row in rows]

    def ack(self, receipts: Sequence[str], now: float) -> None:
        unique = list(dict.fromkeys(receipts))
        wrong = self._call("ack", *self._holders(unique))
        if wrong:
            raise stale(unique[wrong - 1])

    def nack(
        self, receipt: str, due: float, reason: str | None, max_attempts: int, now: float
    ) -> None:
        self._settle(receipt, "nack", repr(due), optional(reason), max_attempts)

    def release(self, receipts: Sequence[str], now: float) -> None:
        self._call("release", *self._holders(receipts))

    def extend(self, receipt: str, lease: float, now: float) -> None:
        self._settle(receipt, "extend", lease, repr(now + lease))

    def peek(self, limit: int, now: float) -> list[StoredMessage]:
        return [self._stored(row) for row in self._call("peek", limit, repr(now))]

    def dead(self, limit: int) -> list[StoredMessage]:
        return [self._stored(row) for row in self._call("dead", limit)]

    def requeue(self, ids: Sequence[str] | None, now: float) -> int:
        if ids is not None and not ids:
            return 0
        unique = list(dict.fromkeys(ids or ()))
        numbers = [_padded(self._number_of_dead(id_)) for id_ in unique]
        wrong, count = self._call("requeue", *numbers)
        if wrong:
            raise NotFoundError(f"no dead letter has the id {unique[wrong - 1]!r}")
        return int(count)

    def purge(self, keep: Callable[[Iterable[StoredMessage]], None], now: float) -> int:
        # What is put while the messages are handed over is not among them, and stays.
        ids = self._call("all")
        batches = [ids[start : start + BATCH] for start in range(0, len(ids), BATCH)]

        def messages() -> Iterator[StoredMessage]:
            for batch in batches:
                yield from map(self._stored, self._call("show", *batch))

        keep(messages())
        counts: list[int] = [self._call("forget", *batch) for batch in batches]
        return sum(counts)

    def pause(self, paused: bool) -> None:
        self._call("pause", int(paused))

    def depth(self, limit: int) -> int:
        return min(limit, int(self._call("depth")))

    def stats(self, now: float) -> Stats:
        ready, delayed, leased, dead, blocked, paused, oldest = self._call("stats", repr(now))
        return Stats(
            ready=ready,
            delayed=delayed,
            leased=leased,
            dead=dead,
            paused=paused == b"1",
            oldest_age=None if oldest is None else max(0.0, now - _at(oldest)[0]),
            blocked=blocked,
        )

    def export(self, now: float) -> Iterator[MovedMessage]:
        with redis_errors(self.url):
            dead: Any = self._client.zrange(self._keys[6], 0, -1)
        ranks = {id_: rank for rank, id_ in enumerate(dead, 1)}
        ids = self._call("all")
        for start in range(0, len(ids), BATCH):
            for row in self._call("export", *ids[start : start + BATCH]):
                yield exported(row, id_text(self._id, int(row[0])), ranks.get(row[0], 0), now)

    def take_over(self, messages: Iterable[MovedMessage], *, paused: bool) -> bool:
        return self._take_over(messages, paused, ())

    def _take_over(
        self, messages: Iterable[MovedMessage], paused: bool, cursor: Sequence[Any]
    ) -> bool:
        """`cursor`, of a subscription: its name and its position."""
        own = self._keys[: len(_KEYS)]
        aside = [f"{key_prefix(self.name)}moving:{key}" for key in _KEYS]
        with redis_errors(self.url):
            self._client.delete(*aside)  # what a killed one left
            known: Any = self._client.hget(own[0], "last")
        last = int(known or 0)
        number = last
        for batch in batched(messages, BATCH):
            facts: list[Any] = []
            for message in batch:
                number += 1
                facts += (_padded(number), *facts_of(message))
            self._script.on(aside, "moved", *facts)
            fault_point("queue.redis.moved")
        keys = [*own, *aside, *(self._more_keys[:1] if cursor else ())]
        return bool(self._publish.on(keys, int(paused), last, *cursor))

    def watch(self) -> bool:
        if self._watch is None:
            names = [key for key in self._keys if key.endswith(":meta")]
            bell = bell_of(self.url.text, self.name)
            self._watch = Watch(self.url.text, names, bell, lambda: RedisEar(self.url))
        if self._watch.due():
            self._call("watch", WATCHED)
        return self._watch.healthy

    def next_due(self) -> float | None:
        due = self._call("next_due")
        return None if due is None else float(due)

    def close(self) -> None:
        """Close the connections."""
        if self._watch is not None:
            self._watch.close()
        self._client.close()

    def _identity(self) -> str:
        client, meta = self._client, self._keys[0]
        if self.listed:
            client.sadd(_NAMES, self.name)
        client.hsetnx(meta, "id", token_hex(4))
        identity: Any = client.hget(meta, "id")
        return str(identity.decode())

    def _number_of_dead(self, id_: str) -> int:
        """The number of a dead letter, also of one that came with its id; 0 for what is no id."""
        number = parse_id(id_, self._id)
        if number is None:
            shown = self._call("dead", 0)  # all of them
            number = next((int(row[0]) for row in shown if row[5] == id_.encode()), 0)
        return number

    def _put_one(self, message: NewMessage, now: float) -> int:
        facts = (repr(now), repr(message.due), message.priority, message.payload)
        return int(self._call("put", *facts, optional(message.key), optional(message.group)))

    def _settle(self, receipt: str, operation: str, *arguments: Any) -> None:
        if self._call(operation, *self._holders([receipt]), *arguments):
            raise stale(receipt)

    def _holders(self, receipts: Iterable[str]) -> list[str]:
        """The arguments that stand for `receipts`: a padded id and a lease number for each."""
        pairs = (parse_receipt(receipt, self._id) for receipt in receipts)
        return [text for number, token in pairs for text in (_padded(number), str(token))]

    def _call(self, operation: str, *arguments: Any) -> Any:
        return self._run(self._script, operation, *arguments)

    def _run(self, script: Script, *arguments: Any) -> Any:
        fault_point("queue.redis.asked")
        with redis_errors(self.url):
            answer = script(*arguments)
        fault_point("queue.redis.answered")
        return answer

    def _stored(self, row: Sequence[Any]) -> StoredMessage:
        id_, value, attempts, token, reason, given = row
        number = int(id_)
        at, payload = _at(value)
        receipt = receipt_text(self._id, number, token) if token else ""
        why = None if reason is None else reason.decode()
        shown = id_text(self._id, number) if given is None else given.decode()
        return StoredMessage(shown, payload, attempts, at, receipt, why)


def _at(value: bytes) -> tuple[float, bytes]:
    """When a message was put, and its payload."""
    at, _, payload = value.partition(b" ")
    return float(at), payload


def _padded(number: int) -> str:
    return f"{number:016d}"


def optional(text: str | None) -> str:
    """A text that tells the empty text from none."""
    return "" if text is None else f"={text}"

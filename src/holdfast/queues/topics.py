"""Topics: messages that each of several subscriptions gets, and can get again.

A topic keeps an ordered log of what was put. A subscription is an ordinary queue that is fed from
the log: leases, retries, dead letters, priorities and groups are its own, and none of the others'.
"""

import time
from collections.abc import Callable, Iterable, Mapping
from typing import Any, NoReturn, Unpack

import msgspec

from holdfast.durable.closing import Closing
from holdfast.durable.files import Durability
from holdfast.durable.names import check_identifier
from holdfast.engines.identity import database_identity
from holdfast.engines.outbox import outbox_for
from holdfast.errors import UsageError
from holdfast.queues.bells import bell_of
from holdfast.queues.bodies import new_message
from holdfast.queues.feeding import FedQueueStore, log_payload
from holdfast.queues.opening import open_topic_store
from holdfast.queues.queue import Queue, QueueOptions
from holdfast.queues.retention import DEFAULT, Retention, Start, position_of, trim
from holdfast.queues.store import TopicStore

_TRIM_EVERY = 200  # messages put by one object


class SubscriptionStatus(msgspec.Struct, frozen=True, rename="camel"):
    """A subscription at one moment.

    `position` is where in the log it is; `lag` counts the messages it has not done with: those
    still to come, waiting or leased, without dead letters.
    """

    name: str
    position: int
    lag: int


class Topic(Closing):
    """A topic of JSON messages.

    ::

        orders = Topic("orders", url="file:///srv/queues")
        orders.put({"order": 17})
        for message in orders.subscribe("billing").consume(wait=5):
            charge(message.body)

    `url`, `durability` and `clock` are those of `Queue`. `retain` is how much of the log is kept
    beyond what the subscriptions still need; it is stored with the topic, so None means what was
    said before (7 days at first). Safe between threads, processes, and after a fork.
    """

    def __init__(
        self,
        name: str,
        *,
        url: str = "memory://",
        durability: Durability = "process",
        retain: Retention | None = None,
        clock: Callable[[], float] = time.time,
        store: TopicStore | None = None,
    ) -> None:
        self.name = name
        self.url = url
        self._database = database_identity(url)
        self._durability: Durability = durability
        self._clock = clock
        self._store = store if store is not None else open_topic_store(url, name, durability)
        self._bell = bell_of(url, name)
        self._untrimmed = _TRIM_EVERY  # the first put trims, for programs that put only once
        self.retain = self._agree_on(retain)

    def put(
        self,
        body: Any,
        *,
        delay: float = 0.0,
        priority: int = 0,
        key: str | None = None,
        group: str | None = None,
        ttl: float | None = None,
        headers: Mapping[str, str] | None = None,
    ) -> int:
        """Put one message for every subscription and return its position; it is kept then.

        The options are those of `Queue.put` and hold in each subscription by itself: the priority
        among the 1,000 messages or so that come next in it, the key while a message with the same
        one waits or is leased there.
        """
        now = self._clock()
        message = new_message(body, now, delay, priority, key, group, ttl, headers)
        return self._append([log_payload(message)], now)[0]

    def put_many(self, bodies: Iterable[Any]) -> list[int]:
        """Put messages in order and return their positions; much faster than one by one."""
        now = self._clock()
        return self._append([log_payload(new_message(body, now)) for body in bodies], now)

    def subscribe(
        self, name: str, *, start: Start = "all", **options: Unpack[QueueOptions]
    ) -> "Subscription":
        """The subscription `name`, made if it is not there yet; `options` are those of `Queue`.

        A new one begins with ``"all"`` that the log keeps, with ``"new"`` messages only, after a
        position, or with what was put at a `datetime` or later.
        """
        check_identifier(name, "subscription name")
        if name not in self._store.cursors():
            self._store.subscribe(name, position_of(self._store, start))
        return self.subscription(name, **options)

    def subscription(self, name: str, **options: Unpack[QueueOptions]) -> "Subscription":
        """The subscription `name`. Raises `NotFoundError` when nobody made it."""
        return Subscription(self, name, **options)

    def unsubscribe(self, name: str) -> None:
        """Forget a subscription with the messages it has not done with; the log stays."""
        self._store.unsubscribe(name)

    def subscriptions(self) -> list[SubscriptionStatus]:
        """Every subscription, sorted by name."""
        statuses = []
        for name in sorted(self._store.cursors()):
            with self.subscription(name) as one:
                statuses.append(one.status())
        return statuses

    def bounds(self) -> tuple[int, int]:
        """The positions of the first message that can be replayed and of the last one ever put.

        The first is one more than the last when the log keeps nothing.
        """
        before, last = self._store.bounds()
        return before + 1, last

    def trim(self) -> None:
        """Forget what is beyond the retention. Putting does so by itself every now and then."""
        trim(self._store, self.retain, self._clock())

    def close(self) -> None:
        """Let go of files and connections."""
        self._store.close()

    def _append(self, payloads: list[bytes], now: float) -> list[int]:
        outbox = outbox_for(self._database)
        append_on = getattr(self._store, "append_on", None)
        if outbox is not None and append_on is not None:
            outbox.add(lambda connection: append_on(connection, payloads, now))
            return [0] * len(payloads)
        positions = self._store.append(payloads, now)
        self._bell.ring_all()
        self._untrimmed += len(payloads)
        if self._untrimmed >= _TRIM_EVERY:
            self._untrimmed = 0
            self.trim()
        return positions

    def _agree_on(self, retain: Retention | None) -> Retention:
        settings = self._store.settings()
        known = None if settings is None else msgspec.json.decode(settings, type=Retention)
        chosen = retain or known or DEFAULT
        if chosen != known:
            self._store.keep_settings(msgspec.json.encode(chosen))
        return chosen


class Subscription(Queue):
    """One subscription of a topic: a `Queue` that is fed from the log, and can go back in it.

    `Message.position` is a message's place in the log; a handler that keeps it beside what it did
    can tell what it has seen already.
    """

    def __init__(self, topic: Topic, name: str, **options: Unpack[QueueOptions]) -> None:
        self._log = topic._store
        self._fed = FedQueueStore(self._log.subscription(name), self._log)
        super().__init__(
            f"{topic.name}@{name}", url=topic.url, clock=topic._clock, store=self._fed, **options
        )
        self.subscription = name

    def put(self, body: Any, **options: Any) -> NoReturn:
        """Refused: what is put to the topic comes to every subscription."""
        raise UsageError(
            f"{self.name!r} is a subscription", hint="put the message to its topic: Topic.put"
        )

    def put_many(self, bodies: Iterable[Any], **options: Any) -> NoReturn:
        """Refused, as is `put`."""
        self.put(bodies)

    def replay(self, start: Start) -> int:
        """Go back (or on) to `start`, and return the position after which it continues.

        What came from beyond that place is forgotten here, leased and dead messages too, and comes
        again from the log, in order; what came before it and is not done stays. A position or a
        moment that the log no longer keeps means all that it keeps.
        """
        position = position_of(self._log, start)
        self._fed.seek(position, self._clock())
        self.bell.ring_all()
        return position

    def status(self) -> SubscriptionStatus:
        """Where it is, and how much there is to do."""
        position, pending = self._fed.progress()
        lag = pending + self._fed.waiting(self._log.bounds()[1])
        return SubscriptionStatus(self.subscription, position, lag)

    def place_of(self, start: Start) -> int:
        """The position after which `replay` would go on from `start`. Raises `UsageError`."""
        return position_of(self._log, start)

    def last(self) -> int:
        """The position of the last message that was put to the topic."""
        return self._log.bounds()[1]

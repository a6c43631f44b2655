"""The queue: one policy above every engine.

At least once: a message is leased to one taker at a time, and gone only when it was acknowledged.
A taker that dies or forgets loses its lease, and the message is given to another; after
`max_attempts` leases it is a dead letter.
"""

import time
from collections.abc import AsyncGenerator, Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from typing import Any, Literal, TypedDict, Unpack

from holdfast.durable.closing import Closing
from holdfast.durable.files import Durability
from holdfast.engines.identity import database_identity
from holdfast.engines.outbox import outbox_for
from holdfast.errors import ConflictError, FullError, UsageError
from holdfast.queues import awaiting
from holdfast.queues.awaiting import put_when_there_is_room
from holdfast.queues.bells import bell_of
from holdfast.queues.bodies import new_message, payload_of, positive
from holdfast.queues.consuming import consume
from holdfast.queues.message import Message, messages_of
from holdfast.queues.opening import open_store
from holdfast.queues.patience import Patience
from holdfast.queues.rates import Allowance, Rate
from holdfast.queues.retries import Backoff
from holdfast.queues.store import NewMessage, QueueStore, Stats, StoredMessage, transactional

_FIRST_PAUSE, _LONGEST_PAUSE = 0.001, 0.05  # seconds between two looks at an empty queue


class PutOptions(TypedDict, total=False):
    """The options of `Queue.put`."""

    delay: float
    priority: int
    key: str | None
    group: str | None
    ttl: float | None
    headers: Mapping[str, str] | None
    wait: float


class QueueOptions(TypedDict, total=False):
    """What can be chosen for each object of a queue or a subscription; see `Queue`."""

    lease: float
    max_attempts: int
    backoff: Backoff | None
    rate: Rate | None
    on_expiry: Literal["dead", "forget"]


class Queue(Closing):
    """A durable queue of JSON values.

    ::

        jobs = Queue("jobs", url="file:///srv/queues")
        jobs.put({"topic": "bees"})
        for message in jobs.consume(wait=5):
            work(message.body)

    `url` chooses the engine. `durability` says what a returned put, ack or nack survives:
    ``process`` (kill -9 of every process) or ``power`` (a power cut). `lease` is how long a taken
    message is kept from others, in seconds; `max_attempts` is how often it is given out. `clock`
    gives the time in seconds of the epoch. Safe between threads, and after a fork.

    `backoff` is how long a message that failed stays away before it is given out again (None: not
    at all). `max_size` is how many messages may wait or be leased before `put` waits or raises
    `FullError`; producers that put at the same instant may pass it by one message each. `rate` is
    how fast this object takes. `on_expiry` says what becomes of messages that nobody took in time:
    ``dead`` letters with the reason "expired", or ``forget`` them.
    """

    def __init__(
        self,
        name: str = "default",
        *,
        url: str = "memory://",
        durability: Durability = "process",
        lease: float = 60.0,
        max_attempts: int = 5,
        backoff: Backoff | None = None,
        max_size: int | None = None,
        rate: Rate | None = None,
        on_expiry: Literal["dead", "forget"] = "dead",
        clock: Callable[[], float] = time.time,
        store: QueueStore | None = None,
    ) -> None:
        if max_attempts < 1:
            raise UsageError("max_attempts must be at least 1")
        self.name = name
        self.url = url
        self._database = database_identity(url)
        self.lease = positive(lease, "lease")
        self.max_attempts = max_attempts
        self.backoff = backoff
        if max_size is not None and max_size < 1:
            raise UsageError("max_size must be at least 1")
        self.max_size = max_size
        if on_expiry not in ("dead", "forget"):
            raise UsageError(f"on_expiry must be 'dead' or 'forget', not {on_expiry!r}")
        self.on_expiry = on_expiry
        self._allowance = None if rate is None else Allowance(rate)
        self._clock = clock
        self._store = store if store is not None else open_store(url, name, durability)
        self.bell = bell_of(url, name)

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
        wait: float = 0.0,
    ) -> str:
        """Put one message and return its id; it is kept when this returns.

        It may be taken in `delay` seconds; a higher `priority` is taken first. While a message with
        the same `key` waits or is leased, nothing is put and that one's id is returned. Messages of
        one `group` are worked on one at a time, in the order they were put: the next one may be
        taken when the one before is acknowledged or dead. Whoever comes to take it later than in
        `ttl` seconds does not get it; see `on_expiry`. The message carries the current task id.

        When the queue is full, waits up to `wait` seconds for room. Raises `FullError` then,
        `UsageError` for a body that is no JSON, `StorageError` when the disk refuses.

        Inside an open outbox of the same database (a step of a workflow that lives there), the
        message is put exactly when the outbox's transaction commits.
        """
        now = self._clock()
        message = new_message(body, now, delay, priority, key, group, ttl, headers)
        self._room_for(1, wait)
        return self._put((message,), now)[0]

    def put_many(self, bodies: Iterable[Any], *, wait: float = 0.0) -> list[str]:
        """Put messages in order and return their ids; much faster than one by one.

        A body that is no JSON puts none of them, nor does a queue without room for all (then
        `FullError` after `wait` seconds). A crash meanwhile may have put the first few.
        """
        messages = [
            NewMessage(payload_of(body, f"body {number}")) for number, body in enumerate(bodies)
        ]
        self._room_for(len(messages), wait)
        return self._put(messages, self._clock())

    def take(
        self,
        max: int = 1,  # noqa: A002
        *,
        lease: float | None = None,
        wait: float = 0.0,
    ) -> list[Message]:
        """Take up to `max` messages for `lease` seconds; waits up to `wait` seconds for one.

        An empty list when there is none, the queue is paused, or the rate is used up.
        """
        seconds = self.lease if lease is None else positive(lease, "lease")
        taken = self._take(max, seconds)
        if taken or wait <= 0:
            return taken
        deadline = time.monotonic() + wait
        with self.bell.ear() as ear:
            patience = self.patience()
            while True:
                taken = self._take(max, seconds)
                left = deadline - time.monotonic()
                if taken or left <= 0:
                    return taken
                ear.wait(min(patience.seconds(), left))

    def consume(
        self,
        *,
        lease: float | None = None,
        wait: float | None = None,
        stop: Callable[[], bool] | None = None,
        prefetch: int = 1,
    ) -> Iterator[Message]:
        """Messages one by one; each is acknowledged when the next one is asked for.

        That is when the loop's body came to its end or to ``continue``. When the loop is left
        before (by an error, ``break`` or ``return``, which an iterator cannot tell apart), the
        message in hand is given back to be taken again, unless it was settled by `Message.ack`,
        `Message.nack` or ``with message:``. So to stop after a finished message, acknowledge it
        before ``break``, or end through `stop`, which is asked between messages.

        Ends when no message came for `wait` seconds (None: never), or `stop` answers True; it is
        asked at least every 0.5 seconds. The message's task id is the current one in the body.

        With `prefetch` up to that many are taken together and acknowledged together, which is much
        faster; then `lease` has to last for the work on all of them, and a crash repeats the work
        on all that were finished. Those not begun when the loop ends are given back untouched.

        Raises `ConflictError` when the lease ran out during the body and the message went to
        another: raise `lease`, or call `Message.extend` meanwhile.
        """
        if prefetch < 1:
            raise UsageError("prefetch must be at least 1")
        seconds = self.lease if lease is None else positive(lease, "lease")
        return consume(self, lease=seconds, wait=wait, stop=stop, prefetch=prefetch)

    def work(
        self,
        handler: Callable[[Message], object],
        *,
        concurrency: int = 4,
        lease: float | None = None,
        wait: float | None = None,
        stop: Callable[[], bool] | None = None,
    ) -> int:
        """Work on up to `concurrency` messages at a time, each in a thread; how many were done.

        A message is acknowledged when `handler` returns, and given back with the error as reason
        when it raises. Leases are extended while a handler runs, so it may take longer than one.
        Ends when no message came for `wait` seconds (None: never), when `stop` answers True
        (``event.is_set``), on Ctrl-C, or when the store fails (that error is raised): each time
        after the messages in hand were finished.
        """
        if concurrency < 1:
            raise UsageError("concurrency must be at least 1")
        seconds = self.lease if lease is None else positive(lease, "lease")
        from holdfast.queues.working import Workers

        return Workers(
            self, handler, concurrency=concurrency, lease=seconds, wait=wait, stop=stop
        ).run()

    async def aput(self, body: Any, **options: Unpack[PutOptions]) -> str:
        """`put`, from asyncio; waiting for room blocks no thread."""
        wait = options.pop("wait", 0.0)
        return await put_when_there_is_room(lambda: self.put(body, **options), wait)

    async def aput_many(self, bodies: Iterable[Any], *, wait: float = 0.0) -> list[str]:
        """`put_many`, from asyncio."""
        every = list(bodies)
        return await put_when_there_is_room(lambda: self.put_many(every), wait)

    async def atake(
        self,
        max: int = 1,  # noqa: A002
        *,
        lease: float | None = None,
        wait: float = 0.0,
    ) -> list[Message]:
        """`take`, from asyncio. What a cancelled call still takes is given back untouched."""
        return await awaiting.take(self, max, lease=lease, wait=wait)

    def aconsume(
        self,
        *,
        lease: float | None = None,
        wait: float | None = None,
        stop: Callable[[], bool] | None = None,
    ) -> AsyncGenerator[Message, None]:
        """`consume`, from asyncio; start several tasks of it to work on several at a time.

        Use `contextlib.aclosing` to have the message in hand given back at once when the loop is
        left early. The current task id is not set: an asynchronous generator has no context of its
        own.
        """
        return awaiting.consume(self, lease=lease, wait=wait, stop=stop)

    def ack(self, *receipts: str) -> None:
        """The work is done: forget these messages (all, or none when one receipt is stale).

        Raises `ConflictError` for a stale receipt: its lease ran out and the message was given to
        another, or it is settled already. Inside an open outbox of the same database they are
        forgotten exactly when its transaction commits; a stale receipt then fails the transaction.
        """
        now = self._clock()
        outbox = outbox_for(self._database)
        if outbox is not None and (store := transactional(self._store)) is not None:
            outbox.add(lambda connection: store.ack_on(connection, receipts, now))
            return
        self._store.ack(receipts, now)

    def nack(self, receipt: str, *, delay: float = 0.0, reason: str | None = None) -> None:
        """Give a message back, to be taken again in `delay` seconds.

        After `max_attempts` it is a dead letter with this `reason`. Raises `ConflictError`.
        `Message.nack` knows how often it was tried, and waits as `backoff` says.
        """
        now = self._clock()
        self._store.nack(receipt, now + delay if delay > 0 else 0.0, reason, self.max_attempts, now)
        self.bell.ring()

    def retry_delay(self, attempts: int) -> float:
        """How many seconds a message stays away after failing for the `attempts`-th time."""
        return 0.0 if self.backoff is None else self.backoff.delay(attempts)

    def release(self, *receipts: str) -> None:
        """Give messages back untouched: ready again at once, and that attempt does not count.

        A stale receipt is passed over: that message is somebody else's by now.
        """
        self._store.release(receipts, self._clock())
        self.bell.ring(len(receipts))

    def extend(self, receipt: str, seconds: float) -> None:
        """Let the lease end `seconds` from now (a heartbeat). Raises `ConflictError`."""
        self._store.extend(receipt, positive(seconds, "extension"), self._clock())

    def peek(self, n: int = 1) -> list[Message]:
        """The next `n` messages, without taking them."""
        return messages_of(self._store.peek(n, self._clock()), self)

    def dead(self, n: int = 100) -> list[Message]:
        """Up to `n` dead letters, the one that died first first; `Message.reason` says why."""
        return messages_of(self._store.dead(n), self)

    def requeue_dead(self, ids: Iterable[str] | None = None) -> int:
        """Make dead letters (all, or those of `ids`) ready again; returns how many.

        Raises `NotFoundError` for an id that is not dead; nothing is changed then.
        """
        count = self._store.requeue(None if ids is None else list(ids), self._clock())
        self.bell.ring(count)
        return count

    def purge(self, *, keep: Callable[[Iterator[Message]], None] | None = None) -> int:
        """Forget every message, leased and dead ones too; returns how many.

        All of them are first handed to `keep`; when that raises, nothing is forgotten.
        """

        def hand_over(stored: Iterable[StoredMessage]) -> None:
            if keep is not None:
                keep(message for one in stored for message in messages_of([one], self))

        return self._store.purge(hand_over, self._clock())

    def pause(self) -> None:
        """Give out nothing, in any process, until `resume`; putting and settling go on."""
        self._store.pause(True)

    def resume(self) -> None:
        """Give messages out again."""
        self._store.pause(False)
        self.bell.ring_all()

    def patience(self) -> Patience:
        """How long a taker that finds nothing may sleep, again and again."""
        return Patience(self._store, self._clock, timed=self._allowance is not None)

    def depth(self, limit: int) -> int:
        """How many messages wait or are leased, counted up to `limit`; cheap for small limits."""
        return self._store.depth(limit)

    def stats(self) -> Stats:
        """Counts of ready, delayed, leased and dead messages, and the oldest one's age."""
        return self._store.stats(self._clock())

    def close(self) -> None:
        """Let go of the files; leased messages stay leased."""
        self._store.close()

    def _put(self, messages: Sequence[NewMessage], now: float) -> list[str]:
        outbox = outbox_for(self._database)
        if outbox is not None and (store := transactional(self._store)) is not None:
            ids, fresh = store.reserve(messages)
            outbox.add(lambda connection: store.put_on(connection, fresh, now))
            return ids
        ids = self._store.put(messages, now)
        self.bell.ring(len(messages))
        return ids

    def _room_for(self, count: int, wait: float) -> None:
        """Return once the queue may take `count` more; see `put`."""
        if self.max_size is None:
            return
        if count > self.max_size:
            raise UsageError(f"{count} messages never fit a queue of at most {self.max_size}")
        deadline = time.monotonic() + wait
        pause = _FIRST_PAUSE
        while self._store.depth(self.max_size) + count > self.max_size:
            left = deadline - time.monotonic() if wait > 0 else 0.0
            if left <= 0:
                raise FullError(
                    f"the queue {self.name!r} has no room for {count} more:"
                    f" it may hold {self.max_size}",
                    hint="put again later or with wait=SECONDS, or let more consumers work",
                )
            time.sleep(min(pause, left))
            pause = min(pause * 2, _LONGEST_PAUSE)

    def _take(self, most: int, lease: float) -> list[Message]:
        """Take what there is now, within the rate, and without what has expired."""
        allowed = most if self._allowance is None else self._allowance.take(most)
        taken: list[Message] = []
        while len(taken) < allowed:
            now = self._clock()
            stored = self._store.take(allowed - len(taken), lease, self.max_attempts, now)
            found = messages_of(stored, self)
            fresh = [one for one in found if one.expires_at is None or one.expires_at > now]
            taken += fresh
            if len(fresh) == len(found):
                break
            self._drop([one for one in found if one not in fresh], now)
        if self._allowance is not None:
            self._allowance.give_back(allowed - len(taken))
        return taken

    def _drop(self, expired: list[Message], now: float) -> None:
        for message in expired:
            with suppress(ConflictError):
                if self.on_expiry == "forget":
                    self._store.ack((message.receipt,), now)
                else:
                    self._store.nack(message.receipt, 0.0, "expired", 0, now)

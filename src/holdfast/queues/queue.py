"""The queue: one policy above every engine.

At least once: a message is leased to one taker at a time, and gone only when it was acknowledged.
A taker that dies or forgets loses its lease, and the message is given to another; after
`max_attempts` leases it is a dead letter.
"""

import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import suppress
from types import TracebackType
from typing import Any

import msgspec

from holdfast.context import current_task_id, task
from holdfast.durable.files import Durability
from holdfast.errors import ConflictError, UsageError
from holdfast.queues.message import Envelope, Message, messages_of
from holdfast.queues.opening import open_store
from holdfast.queues.store import NewMessage, QueueStore, Stats, StoredMessage

_LEFT = "the consumer left the loop before it asked for the next message"
_FIRST_PAUSE, _LONGEST_PAUSE = 0.001, 0.05  # seconds between two looks at an empty queue

_encode = msgspec.json.Encoder().encode


class Queue:
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
    """

    def __init__(
        self,
        name: str = "default",
        *,
        url: str = "memory://",
        durability: Durability = "process",
        lease: float = 60.0,
        max_attempts: int = 5,
        clock: Callable[[], float] = time.time,
        store: QueueStore | None = None,
    ) -> None:
        if max_attempts < 1:
            raise UsageError("max_attempts must be at least 1")
        self.name = name
        self.url = url
        self.lease = _positive(lease, "lease")
        self.max_attempts = max_attempts
        self._clock = clock
        self._store = store if store is not None else open_store(url, name, durability)

    def put(
        self,
        body: Any,
        *,
        delay: float = 0.0,
        priority: int = 0,
        key: str | None = None,
        group: str | None = None,
        headers: Mapping[str, str] | None = None,
    ) -> str:
        """Put one message and return its id; it is kept when this returns.

        It may be taken in `delay` seconds; a higher `priority` is taken first. While a message with
        the same `key` waits or is leased, nothing is put and that one's id is returned. Messages of
        one `group` are worked on one at a time, in the order they were put: the next one may be
        taken when the one before is acknowledged or dead. The message carries the current task id.

        Raises `UsageError` for a body that is no JSON, `StorageError` when the disk refuses.
        """
        now = self._clock()
        payload = _payload(body, dict(headers) if headers else None, "the body")
        due = now + delay if delay > 0 else 0.0
        return self._store.put((NewMessage(payload, priority, due, key, group),), now)[0]

    def put_many(self, bodies: Iterable[Any]) -> list[str]:
        """Put messages in order and return their ids; much faster than one by one.

        A body that is no JSON puts none of them. A crash meanwhile may have put the first few.
        """
        messages = [
            NewMessage(_payload(body, None, f"body {number}")) for number, body in enumerate(bodies)
        ]
        return self._store.put(messages, self._clock())

    def take(
        self,
        max: int = 1,  # noqa: A002
        *,
        lease: float | None = None,
        wait: float = 0.0,
    ) -> list[Message]:
        """Take up to `max` messages for `lease` seconds; waits up to `wait` seconds for one.

        An empty list when there is none, or the queue is paused.
        """
        seconds = self.lease if lease is None else _positive(lease, "lease")
        deadline = time.monotonic() + wait
        pause = _FIRST_PAUSE
        while True:
            stored = self._store.take(max, seconds, self.max_attempts, self._clock())
            left = deadline - time.monotonic() if wait > 0 and not stored else 0.0
            if stored or left <= 0:
                return messages_of(stored, self)
            time.sleep(min(pause, left))
            pause = min(pause * 2, _LONGEST_PAUSE)

    def consume(
        self,
        *,
        lease: float | None = None,
        wait: float | None = None,
        stop: Callable[[], bool] | None = None,
    ) -> Iterator[Message]:
        """Messages one by one; each is acknowledged when the next one is asked for.

        That is when the loop's body came to its end or to ``continue``. When the loop is left
        before (by an error, ``break`` or ``return``, which an iterator cannot tell apart), the
        message in hand is given back to be taken again, unless it was settled by `Message.ack`,
        `Message.nack` or ``with message:``. So to stop after a finished message, acknowledge it
        before ``break``, or end through `stop`, which is asked between messages.

        Ends when no message came for `wait` seconds (None: never), or `stop` answers True; it is
        asked at least every 0.5 seconds. The message's task id is the current one in the body.
        Raises `ConflictError` when the lease ran out during the body and the message went to
        another: raise `lease`, or call `Message.extend` meanwhile.
        """
        while True:
            taken = self._take_unless_stopped(lease, wait, stop)
            if taken is None:
                return
            yield from self._hand_out(taken)

    def ack(self, *receipts: str) -> None:
        """The work is done: forget these messages (all, or none when one receipt is stale).

        Raises `ConflictError` for a stale receipt: its lease ran out and the message was given to
        another, or it is settled already.
        """
        self._store.ack(receipts, self._clock())

    def nack(self, receipt: str, *, delay: float = 0.0, reason: str | None = None) -> None:
        """Give a message back, to be taken again in `delay` seconds.

        After `max_attempts` it is a dead letter with this `reason`. Raises `ConflictError`.
        """
        now = self._clock()
        self._store.nack(receipt, now + delay if delay > 0 else 0.0, reason, self.max_attempts, now)

    def release(self, *receipts: str) -> None:
        """Give messages back untouched: ready again at once, and that attempt does not count.

        A stale receipt is passed over: that message is somebody else's by now.
        """
        self._store.release(receipts, self._clock())

    def extend(self, receipt: str, seconds: float) -> None:
        """Let the lease end `seconds` from now (a heartbeat). Raises `ConflictError`."""
        self._store.extend(receipt, _positive(seconds, "extension"), self._clock())

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
        return self._store.requeue(None if ids is None else list(ids), self._clock())

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

    def depth(self, limit: int) -> int:
        """How many messages wait or are leased, counted up to `limit`; cheap for small limits."""
        return self._store.depth(limit)

    def stats(self) -> Stats:
        """Counts of ready, delayed, leased and dead messages, and the oldest one's age."""
        return self._store.stats(self._clock())

    def close(self) -> None:
        """Let go of the files; leased messages stay leased."""
        self._store.close()

    def __enter__(self) -> "Queue":
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    def _take_unless_stopped(
        self, lease: float | None, wait: float | None, stop: Callable[[], bool] | None
    ) -> Message | None:
        deadline = None if wait is None else time.monotonic() + wait
        while stop is None or not stop():
            left = 0.5 if deadline is None else deadline - time.monotonic()
            taken = self.take(1, lease=lease, wait=min(0.5, left))
            if taken:
                return taken[0]
            if deadline is not None and time.monotonic() >= deadline:
                return None
        return None

    def _hand_out(self, message: Message) -> Iterator[Message]:
        try:
            if message.task_id is None:
                yield message
            else:
                with task(message.task_id):
                    yield message
        except BaseException:
            if not message.settled:
                with suppress(ConflictError):  # somebody else has it by now
                    message.nack(reason=_LEFT)
            raise
        if not message.settled:
            message.ack()


def _payload(body: Any, headers: dict[str, str] | None, what: str) -> bytes:
    try:
        return _encode(Envelope(body, current_task_id(), headers))
    except (TypeError, ValueError, RecursionError, OverflowError) as error:
        raise UsageError(
            f"{what} is no JSON value: {_first_problem(body, '')}",
            hint="put dicts, lists, texts, numbers, booleans and None",
        ) from error


def _first_problem(value: Any, place: str) -> str:
    """The first thing inside `value` that JSON cannot hold, and where it is."""
    if isinstance(value, dict):
        inner = [(child, f"{place}.{key}") for key, child in value.items()]
    elif isinstance(value, (list, tuple)):
        inner = [(child, f"{place}[{number}]") for number, child in enumerate(value)]
    else:
        return f"{type(value).__name__} at {place.lstrip('.') or 'the top'}"
    for child, there in inner:
        try:
            _encode(child)
        except (TypeError, ValueError, OverflowError):
            return _first_problem(child, there)
        except RecursionError:
            return f"{type(value).__name__} that holds itself or is nested too deeply"
    return f"{type(value).__name__} with a key that is no text at {place.lstrip('.') or 'the top'}"


def _positive(seconds: float, what: str) -> float:
    if not 0 < seconds < 1e10:
        raise UsageError(f"the {what} must be a number of seconds above 0, not {seconds!r}")
    return seconds

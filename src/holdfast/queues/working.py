"""Several messages at a time: workers in threads, whose leases are kept up meanwhile."""

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, nullcontext, suppress
from typing import TYPE_CHECKING

from holdfast.context import task
from holdfast.errors import ConflictError
from holdfast.queues.consuming import Stop, take_unless_stopped

if TYPE_CHECKING:
    from holdfast.queues.message import Message
    from holdfast.queues.queue import Queue

Handler = Callable[["Message"], object]


class Workers:
    """`concurrency` threads that take messages and hand each to `handler`.

    The first error of the store (not of a handler) ends all of them, as does `stop`: messages in
    hand are finished and acknowledged, and no more are taken.
    """

    def __init__(
        self,
        queue: "Queue",
        handler: Handler,
        *,
        concurrency: int,
        lease: float,
        wait: float | None,
        stop: Stop | None,
    ) -> None:
        self._queue = queue
        self._handler = handler
        self._lease = lease
        self._wait = wait
        self._asked = stop
        self._ending = threading.Event()
        self._done = 0
        self._counting = threading.Lock()
        self._error: BaseException | None = None
        self._threads = [
            threading.Thread(target=self._run, name=f"{queue.name}-{number}")
            for number in range(concurrency)
        ]

    def run(self) -> int:
        """Work until told to stop; how many messages were acknowledged."""
        with Heartbeat(self._queue, self._lease) as self._heartbeat:
            for thread in self._threads:
                thread.start()
            try:
                for thread in self._threads:
                    thread.join()
            finally:  # interrupted: what is in hand is finished first
                self._ending.set()
                for thread in self._threads:
                    thread.join()
        if self._error is not None:
            raise self._error
        return self._done

    def _stop(self) -> bool:
        return self._ending.is_set() or (self._asked is not None and self._asked())

    def _run(self) -> None:
        try:
            while taken := take_unless_stopped(
                self._queue, 1, lease=self._lease, wait=self._wait, stop=self._stop
            ):
                self._work_on(taken[0])
        except BaseException as error:
            self._error = self._error or error
            self._ending.set()

    def _work_on(self, message: "Message") -> None:
        with self._heartbeat.keeping(message):
            try:
                with nullcontext() if message.task_id is None else task(message.task_id):
                    self._handler(message)
            except BaseException as error:
                if not message.settled:
                    with suppress(ConflictError):  # somebody else has it by now
                        message.nack(reason=f"{type(error).__name__}: {error}")
                if isinstance(error, Exception):
                    return
                raise
        if not message.settled:
            try:
                message.ack()
            except ConflictError:
                return  # its lease ran out while the store was away: somebody else does it again
        with self._counting:
            self._done += 1


class Heartbeat:
    """Extends the leases of the messages in hand, three times in each lease."""

    def __init__(self, queue: "Queue", lease: float) -> None:
        self._queue = queue
        self._lease = lease
        self._over = threading.Event()
        self._in_hand: dict[str, None] = {}
        self._lock = threading.Lock()
        self._thread = threading.Thread(target=self._beat, name=f"{queue.name}-heartbeat")

    def __enter__(self) -> "Heartbeat":
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._over.set()
        self._thread.join()

    @contextmanager
    def keeping(self, message: "Message") -> Iterator[None]:
        """Keep the lease of `message` during the body."""
        with self._lock:
            self._in_hand[message.receipt] = None
        try:
            yield
        finally:
            with self._lock:  # no heartbeat is under way once the message is settled
                self._in_hand.pop(message.receipt, None)

    def _beat(self) -> None:
        while not self._over.wait(self._lease / 3):
            for receipt in list(self._in_hand):
                with self._lock:
                    if receipt in self._in_hand:
                        self._extend(receipt)

    def _extend(self, receipt: str) -> None:
        try:
            self._queue.extend(receipt, self._lease)
        except ConflictError:  # somebody else has it, or the handler settled it
            self._in_hand.pop(receipt, None)
        except Exception:
            return  # the store is away for now: the next beat tries again, the ack tells in the end

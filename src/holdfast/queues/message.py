"""A message in hand: its content, and what can be done with it."""

from collections.abc import Sequence
from types import TracebackType
from typing import TYPE_CHECKING, Any, Protocol

import msgspec

from holdfast.context import task
from holdfast.queues.awaiting import in_thread
from holdfast.queues.store import StoredMessage

if TYPE_CHECKING:
    from contextlib import AbstractContextManager


class Envelope(msgspec.Struct, frozen=True, omit_defaults=True, gc=False):
    """What Holdfast puts around a body.

    The task it belongs to, the sender's headers, and when it expires (seconds of the epoch). In a
    subscription also its position in the topic's log, and when it was put there.
    """

    body: Any
    task: str | None = None
    headers: dict[str, str] | None = None
    expires: float | None = None
    position: int | None = None
    put: float | None = None


class Desk(Protocol):
    """Where messages are given back: the queue."""

    def ack(self, *receipts: str) -> None: ...

    def nack(self, receipt: str, *, delay: float = 0.0, reason: str | None = None) -> None: ...

    def release(self, *receipts: str) -> None: ...

    def retry_delay(self, attempts: int) -> float: ...

    def extend(self, receipt: str, seconds: float) -> None: ...


class Message:
    """A message taken from a queue, or looked at (then `receipt` is empty).

    As a context manager it is acknowledged when the body ends, given back with the error as reason
    when the body raises, and its task id is the current one meanwhile::

        for message in jobs.take(10):
            with message:
                work(message.body)

    `position` is its place in a topic's log, None when it was put to a queue.
    """

    __slots__ = (
        "_desk", "_task", "attempts", "body", "enqueued_at", "expires_at", "headers", "id",
        "position", "reason", "receipt", "settled", "task_id",
    )  # fmt: skip

    def __init__(self, stored: StoredMessage, envelope: Envelope, desk: Desk) -> None:
        self.id = stored.id
        self.body = envelope.body
        self.task_id = envelope.task
        self.headers: dict[str, str] = envelope.headers or {}
        self.expires_at = envelope.expires
        self.attempts = stored.attempts
        self.position = envelope.position
        self.enqueued_at = stored.enqueued_at if envelope.put is None else envelope.put
        self.receipt = stored.receipt
        self.reason = stored.reason
        self.settled = False
        self._desk = desk
        self._task: AbstractContextManager[None] | None = None

    def ack(self) -> None:
        """The work is done: forget the message. Raises `ConflictError` when the lease is lost."""
        self._desk.ack(self.receipt)
        self.settled = True

    def nack(self, *, delay: float | None = None, reason: str | None = None) -> None:
        """Give it back, to be taken again in `delay` seconds. Raises `ConflictError`.

        Without `delay` the queue's backoff decides.
        """
        seconds = self._desk.retry_delay(self.attempts) if delay is None else delay
        self._desk.nack(self.receipt, delay=seconds, reason=reason)
        self.settled = True

    def release(self) -> None:
        """Give it back untouched: ready again at once, and this attempt does not count."""
        self._desk.release(self.receipt)
        self.settled = True

    def extend(self, seconds: float) -> None:
        """Let the lease end `seconds` from now. Raises `ConflictError` when it is lost."""
        self._desk.extend(self.receipt, seconds)

    async def aack(self) -> None:
        """`ack`, from asyncio."""
        await in_thread(self.ack)

    async def anack(self, *, delay: float | None = None, reason: str | None = None) -> None:
        """`nack`, from asyncio."""
        await in_thread(self.nack, delay=delay, reason=reason)

    def __enter__(self) -> "Message":
        self._task = task(self.task_id) if self.task_id is not None else None
        if self._task is not None:
            self._task.__enter__()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if self._task is not None:
            self._task.__exit__(None, None, None)
        if self.settled:
            return
        if error is None:
            self.ack()
        else:
            self.nack(reason=f"{type(error).__name__}: {error}")

    def as_dict(self) -> dict[str, Any]:
        """The message as the command prints it."""
        place = {} if self.position is None else {"position": self.position}
        return {
            "id": self.id,
            **place,
            "body": self.body,
            "attempts": self.attempts,
            "enqueuedAt": self.enqueued_at,
            "taskId": self.task_id,
            "headers": self.headers,
            "receipt": self.receipt or None,
            "reason": self.reason,
        }

    def __repr__(self) -> str:
        return f"<Message {self.id}, attempt {self.attempts}>"


def messages_of(stored: Sequence[StoredMessage], desk: Desk) -> list[Message]:
    """The messages of what an engine holds."""
    return [Message(one, _decode(one.payload), desk) for one in stored]


_decode = msgspec.json.Decoder(Envelope).decode

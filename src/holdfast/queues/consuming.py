"""Consuming in a loop: messages one after another, each acknowledged when its work is done."""

import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import nullcontext, suppress
from typing import TYPE_CHECKING

from holdfast.context import task
from holdfast.errors import ConflictError

if TYPE_CHECKING:
    from holdfast.queues.message import Message
    from holdfast.queues.queue import Queue

LOOK_AT_STOP = 0.5  # seconds
LEFT = "the consumer left the loop before it asked for the next message"

Stop = Callable[[], bool]


def consume(
    queue: "Queue", *, lease: float, wait: float | None, stop: Stop | None, prefetch: int
) -> Iterator["Message"]:
    """See `Queue.consume`."""
    while taken := take_unless_stopped(queue, prefetch, lease=lease, wait=wait, stop=stop):
        if len(taken) == 1:
            yield from _hand_out_one(taken[0])
        else:
            yield from _hand_out(queue, taken, time.monotonic() + lease, stop)


def take_unless_stopped(
    queue: "Queue", most: int, *, lease: float, wait: float | None, stop: Stop | None
) -> list["Message"]:
    """Take as soon as there is something; nothing after `wait` seconds, or when told to stop."""
    deadline = None if wait is None else time.monotonic() + wait
    while stop is None or not stop():
        left = LOOK_AT_STOP if deadline is None else deadline - time.monotonic()
        taken = queue.take(most, lease=lease, wait=min(LOOK_AT_STOP, left))
        if taken:
            return taken
        if deadline is not None and time.monotonic() >= deadline:
            break
    return []


def _hand_out_one(message: "Message") -> Iterator["Message"]:
    try:
        with nullcontext() if message.task_id is None else task(message.task_id):
            yield message
    except BaseException:
        _give_back(message)
        raise
    if not message.settled:
        message.ack()


def _hand_out(
    queue: "Queue", messages: Sequence["Message"], deadline: float, stop: Stop | None
) -> Iterator["Message"]:
    """Hand out several that were taken together; they are acknowledged together at the end.

    What was not begun when the loop is left, or the lease has run out, is given back untouched.
    """
    begun = finished = 0
    try:
        for message in messages:
            # What comes after the lease is, or soon will be, somebody else's.
            if (begun and stop is not None and stop()) or time.monotonic() >= deadline:
                break
            begun += 1
            with nullcontext() if message.task_id is None else task(message.task_id):
                yield message
            finished += 1
    finally:
        if begun < len(messages):
            queue.release(*(message.receipt for message in messages[begun:]))
        if begun > finished:
            _give_back(messages[finished])
        lost = _acknowledge(queue, messages[:finished])
    if lost is not None:
        raise lost


def _acknowledge(queue: "Queue", messages: Sequence["Message"]) -> ConflictError | None:
    """Acknowledge all that still can be; the error of the first that cannot."""
    receipts = [message.receipt for message in messages if not message.settled]
    try:
        if receipts:
            queue.ack(*receipts)
        return None
    except ConflictError as error:
        for receipt in receipts:
            with suppress(ConflictError):
                queue.ack(receipt)
        return error


def _give_back(message: "Message") -> None:
    if not message.settled:
        with suppress(ConflictError):  # somebody else has it by now
            message.nack(reason=LEFT)

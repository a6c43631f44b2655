"""Queues in asyncio: calls run in threads, and waiting costs no thread."""

import time
from collections.abc import AsyncGenerator, Callable
from contextlib import suppress
from typing import TYPE_CHECKING, Any, TypeVar

from holdfast.errors import ConflictError, FullError
from holdfast.queues.bells import Ear
from holdfast.queues.consuming import LEFT, LOOK_AT_STOP, Stop

if TYPE_CHECKING:
    from asyncio import AbstractEventLoop, Event, Future

    from holdfast.queues.message import Message
    from holdfast.queues.queue import Queue

_FIRST_PAUSE, _LONGEST_PAUSE = 0.002, 0.05  # seconds between two looks

_Result = TypeVar("_Result")


async def in_thread(call: Callable[..., _Result], *arguments: Any, **options: Any) -> _Result:
    """The result of a call that may wait for a disk or a server."""
    import asyncio

    return await asyncio.to_thread(call, *arguments, **options)


async def put_when_there_is_room(put: Callable[[], _Result], wait: float) -> _Result:
    """Put, again and again for `wait` seconds while the queue is full."""
    import asyncio

    deadline = time.monotonic() + wait
    pause = _FIRST_PAUSE
    while True:
        try:
            return await in_thread(put)
        except FullError:
            if time.monotonic() >= deadline:
                raise
        await asyncio.sleep(pause)
        pause = min(pause * 2, _LONGEST_PAUSE)


async def take(
    queue: "Queue", most: int, *, lease: float | None, wait: float | None, stop: Stop | None = None
) -> list["Message"]:
    """Take as soon as there is something, for `wait` seconds (None: for ever)."""
    import asyncio

    deadline = None if wait is None else time.monotonic() + wait
    taken: list[Message] = []
    if wait == 0 and (stop is None or not stop()):
        return await _take_now(queue, most, lease)
    rung, loop = asyncio.Event(), asyncio.get_running_loop()
    ear = Ear(lambda: _wake(loop, rung))
    patience = queue.patience()
    with queue.bell.heard_by(ear):
        while stop is None or not stop():
            taken = await _take_now(queue, most, lease)
            if taken or (deadline is not None and time.monotonic() >= deadline):
                break
            left = LOOK_AT_STOP if deadline is None else deadline - time.monotonic()
            with suppress(TimeoutError):
                async with asyncio.timeout(min(await in_thread(patience.seconds), left)):
                    await rung.wait()
            rung.clear()
            ear.ready()
    if not taken and ear.rung:  # woken, and gone without a look: it is another's turn
        queue.bell.ring()
    return taken


def _wake(loop: "AbstractEventLoop", rung: "Event") -> None:
    with suppress(RuntimeError):  # the loop was closed meanwhile
        loop.call_soon_threadsafe(rung.set)


async def _take_now(queue: "Queue", most: int, lease: float | None) -> list["Message"]:
    import asyncio

    taking = asyncio.ensure_future(in_thread(queue.take, most, lease=lease))
    try:
        return await asyncio.shield(taking)
    except asyncio.CancelledError:
        # The thread goes on and may take something, which nobody would ever look at.
        taking.add_done_callback(lambda done: _give_back(queue, done))
        raise


def _give_back(queue: "Queue", done: "Future[list[Message]]") -> None:
    if done.cancelled() or done.exception() is not None:
        return
    receipts = [message.receipt for message in done.result()]
    if receipts:
        done.get_loop().run_in_executor(None, queue.release, *receipts)


async def consume(
    queue: "Queue", *, lease: float | None, wait: float | None, stop: Stop | None
) -> AsyncGenerator["Message", None]:
    """See `Queue.aconsume`."""
    while taken := await take(queue, 1, lease=lease, wait=wait, stop=stop):
        (message,) = taken
        try:
            yield message
        except BaseException:
            if not message.settled:
                with suppress(ConflictError):
                    await in_thread(message.nack, reason=LEFT)
            raise
        if not message.settled:
            await in_thread(message.ack)

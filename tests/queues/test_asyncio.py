"""Queues in asyncio: nothing waits in a thread, nothing is lost by a cancelled task."""

import asyncio
from contextlib import aclosing

import pytest

from holdfast.context import task
from holdfast.errors import FullError
from holdfast.queues import Message, Queue
from holdfast.queues.stores.memory import MemoryQueueStore


def test_put_take_and_settle() -> None:
    async def main(queue: Queue) -> None:
        with task("run:step"):
            await queue.aput("a", priority=1, headers={"h": "1"})
        await queue.aput_many("bc")
        (first,) = await queue.atake()
        assert (first.body, first.task_id, first.headers) == ("a", "run:step", {"h": "1"})
        await first.anack(reason="later")
        again, second = await queue.atake(2)
        assert (again.reason, second.body) == ("later", "b")
        await again.aack()
        await second.aack()
        assert queue.depth(9) == 1

    with Queue(store=MemoryQueueStore()) as queue:
        asyncio.run(main(queue))


def test_many_tasks_wait_and_none_of_them_in_a_thread() -> None:
    async def main(queue: Queue) -> None:
        takers = [asyncio.create_task(queue.atake(wait=60)) for _ in range(100)]
        await asyncio.sleep(0.01)
        await queue.aput_many(range(100))
        bodies = [message.body for taken in await asyncio.gather(*takers) for message in taken]
        assert sorted(bodies) == list(range(100))

    with Queue(store=MemoryQueueStore()) as queue:
        asyncio.run(main(queue))


def test_waiting_for_room() -> None:
    async def main(queue: Queue) -> None:
        await queue.aput("a")
        with pytest.raises(FullError):
            await queue.aput("b")
        putting = [asyncio.create_task(queue.aput(n, wait=60)) for n in range(50)]
        for _ in range(51):
            (message,) = await queue.atake(wait=60)
            await message.aack()
        await asyncio.gather(*putting)

    with Queue(store=MemoryQueueStore(), max_size=1) as queue:
        asyncio.run(main(queue))


def test_consuming_acknowledges_and_leaving_gives_back() -> None:
    async def main(queue: Queue) -> None:
        await queue.aput_many("abc")
        async with aclosing(queue.aconsume(wait=0)) as messages:
            async for message in messages:
                if message.body == "b":
                    break
        assert [(one.body, one.attempts) for one in await queue.atake(9)] == [("b", 2), ("c", 1)]
        assert [one async for one in queue.aconsume(wait=0.01)] == []
        assert [one async for one in queue.aconsume(stop=lambda: True)] == []

    with Queue(store=MemoryQueueStore()) as queue:
        asyncio.run(main(queue))


def test_what_a_cancelled_task_takes_is_given_back() -> None:
    async def main(queue: Queue) -> None:
        await queue.aput_many(range(20))
        for pause in range(200):
            taking = asyncio.create_task(queue.atake(1, lease=60))
            await asyncio.sleep(pause / 200_000)
            taking.cancel()
            try:
                (message,) = await taking
            except asyncio.CancelledError:
                continue
            message.release()
        taken: list[Message] = []
        while len(taken) < 20:
            taken += await queue.atake(20, wait=60)
        assert {message.attempts for message in taken} == {1}

    with Queue(store=MemoryQueueStore()) as queue:
        asyncio.run(main(queue))

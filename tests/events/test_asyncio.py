"""The event log in asyncio: nothing waits in a thread, no position is lost by a cancelled task."""

import asyncio
from contextlib import aclosing

import pytest

from holdfast.errors import ConflictError, UsageError
from holdfast.events import EventLog


def test_append_and_read() -> None:
    async def main(log: EventLog) -> None:
        assert await log.aappend("s", "t", 1, expect="new", metadata={"by": "me"}) == (1, 1)
        assert await log.aappend_many("s", [("t", 2), ("u", 3)], expect=1) == (3, 3)
        with pytest.raises(ConflictError, match="version 3"):
            await log.aappend("s", "t", 4, expect=1)
        assert [event.data async for event in log.aread("s")] == [1, 2, 3]
        assert [event.data async for event in log.aread(types=["u"])] == [3]
        await log.aappend_many("many", [("t", n) for n in range(1200)])
        assert [event.data async for event in log.aread("many")] == list(range(1200))

    with EventLog() as log:
        asyncio.run(main(log))


def test_many_tasks_follow_and_none_of_them_in_a_thread() -> None:
    async def first(log: EventLog) -> int:
        async for event in log.afollow("s", wait=60):
            return int(event.data)
        return -1

    async def main(log: EventLog) -> None:
        readers = [asyncio.create_task(first(log)) for _ in range(100)]
        await asyncio.sleep(0.01)
        await log.aappend("s", "t", 7)
        assert set(await asyncio.gather(*readers)) == {7}

    with EventLog() as log:
        asyncio.run(main(log))


def test_a_subscription_goes_on_where_it_was_left() -> None:
    async def main(log: EventLog) -> None:
        await log.aappend_many("s", [("t", n) for n in range(10)])
        async with aclosing(log.asubscribe("a", wait=0)) as events:
            async for event in events:
                if event.data == 6:
                    break  # in hand: comes again
        assert log.subscriptions() == {"a": 6}
        assert [event.data async for event in log.asubscribe("a", wait=0)] == [6, 7, 8, 9]
        assert log.subscriptions() == {"a": 10}
        with pytest.raises(UsageError):
            await anext(log.asubscribe("a", batch=0))

    with EventLog() as log:
        asyncio.run(main(log))


def test_a_cancelled_subscriber_keeps_its_position() -> None:
    async def handle(log: EventLog, seen: list[int]) -> None:
        async for event in log.asubscribe("a"):
            seen.append(event.data)  # noqa: PERF401 - looked at meanwhile

    async def main(log: EventLog) -> None:
        seen: list[int] = []
        await log.aappend_many("s", [("t", n) for n in range(3)])
        task = asyncio.create_task(handle(log, seen))
        while len(seen) < 3:
            await asyncio.sleep(0.001)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        await log.aappend("s", "t", 3)
        again = [event.data async for event in log.asubscribe("a", wait=0)]
        assert again[-1] == 3
        assert set(seen) | set(again) == {0, 1, 2, 3}

    with EventLog() as log:
        asyncio.run(main(log))

"""Takers that wait are woken by whoever puts, in this process or another, and hardly look."""

import asyncio
import threading
import time
from collections.abc import Callable
from functools import partial

import pytest

from holdfast.queues import Message, Queue, StoredMessage, Topic
from holdfast.queues.patience import Patience
from holdfast.queues.stores import listening
from holdfast.queues.stores.memory import MemoryQueueStore
from tests.servers import PostgresServer, RedisServer


class _Counting(MemoryQueueStore):
    """Counts the looks."""

    looks = 0

    def take(self, limit: int, lease: float, max_attempts: int, now: float) -> list[StoredMessage]:
        self.looks += 1
        return super().take(limit, lease, max_attempts, now)


def until(condition: Callable[[], bool]) -> None:
    """Return once it holds."""
    deadline = time.monotonic() + 60
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.005)


class _Taker:
    """A thread that waits for messages."""

    def __init__(self, queue: Queue) -> None:
        self.taken: list[Message] = []
        self.thread = threading.Thread(target=lambda: self.taken.extend(queue.take(wait=60)))
        self.thread.start()
        until(lambda: bool(queue.bell._ears))

    def result(self) -> Message:
        self.thread.join()
        (message,) = self.taken
        return message


def test_a_taker_that_waits_for_long_hardly_looks() -> None:
    store = _Counting()
    with Queue(store=store) as queue:
        taker = _Taker(queue)
        time.sleep(0.7)
        assert store.looks < 15  # a look every 50 ms would be more
        queue.put("a")
        message = taker.result()
        taker = _Taker(queue)
        message.nack()
        message = taker.result()
        taker = _Taker(queue)
        message.release()
        assert taker.result().body == "a"


def test_a_delayed_message_comes_in_time_to_a_sleeping_taker() -> None:
    with Queue(store=MemoryQueueStore()) as queue:
        queue.put("later", delay=0.3)
        assert [one.body for one in queue.take(wait=60)] == ["later"]
        queue.put("leased")
        queue.take(lease=0.3)
        assert [one.body for one in queue.take(wait=60)] == ["leased"]
        queue.pause()
        queue.put("paused")
        resuming = threading.Timer(0.05, queue.resume)
        resuming.start()
        assert [one.body for one in queue.take(wait=60)] == ["paused"]
        resuming.join()


def test_asyncio_takers_are_woken_from_other_threads() -> None:
    async def main(queue: Queue) -> int:
        takers = [asyncio.create_task(queue.atake(wait=60)) for _ in range(20)]
        await asyncio.sleep(0.3)
        putting = threading.Thread(target=queue.put_many, args=(range(20),))
        putting.start()
        await asyncio.gather(*takers)
        putting.join()
        return queue.depth(99)

    with Queue(store=MemoryQueueStore()) as queue:
        assert asyncio.run(main(queue)) == 20


def test_subscriptions_wake_when_their_topic_is_put_to() -> None:
    store_of: list[str] = []
    with Topic("woken") as topic, topic.subscribe("a") as a, topic.subscribe("b") as b:
        takers = [
            threading.Thread(
                target=lambda one=one: store_of.extend(m.body for m in one.take(wait=60))
            )
            for one in (a, b)
        ]
        for taker in takers:
            taker.start()
        time.sleep(0.2)
        topic.put("x")
        for taker in takers:
            taker.join()
    assert store_of == ["x", "x"]


@pytest.fixture(params=["redis", "postgres"])
def server(request: pytest.FixtureRequest) -> tuple[RedisServer | PostgresServer, str]:
    """A server of the test's own, and the URL of a database in it."""
    server = request.getfixturevalue(f"own_{request.param}")
    return server, server.url(0) if request.param == "redis" else server.new_database()


def _heard(queue: Queue) -> bool:
    return bool(queue._store.watch())  # type: ignore[attr-defined]


def test_what_other_processes_put_is_heard(
    server: tuple[RedisServer | PostgresServer, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    process, url = server
    # Only a bell can end the sleep of this test's taker.
    monkeypatch.setattr(Patience, "seconds", lambda self: 60.0 if self._watch() else 0.05)
    more = "?socket_timeout=30" if isinstance(process, RedisServer) else "&connect_timeout=9"
    with (
        Queue("q", url=url) as queue,
        Topic("t", url=url) as topic,
        topic.subscribe("s") as subscription,
        # Another URL has other bells, as another process would.
        Queue("q", url=url + more) as other,
        Topic("t", url=url + more) as other_topic,
    ):
        changes: list[tuple[Queue, Callable[[], object]]] = [
            (queue, lambda: other.put("a")),
            (queue, lambda: other.put("b", priority=1)),
            (queue, lambda: other.put_many(range(60))),
            (subscription, lambda: other_topic.put("c")),
        ]
        for waiting, change in changes:
            until(partial(_heard, waiting))
            while queue.take(100):
                pass
            taker = _Taker(waiting)
            time.sleep(0.1)
            change()
            assert taker.result().attempts == 1
        process.kill()
        until(lambda: not _healthy(queue))
        process.start()
        until(lambda: _healthy(queue))
    urls = {url for _, url in listening._listeners}
    assert not urls & {url, url + more}


def _healthy(queue: Queue) -> bool:
    return bool(queue._store._watch.healthy)  # type: ignore[attr-defined]

"""Servers that die, cut connections or run full: nothing acknowledged is lost, and it goes on."""

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from urllib.parse import urlsplit

import pytest

from holdfast.durable.faults import armed
from holdfast.errors import BusyError, ConflictError, StorageError
from holdfast.queues import Queue, Retention, Topic
from tests.servers import PostgresServer, RedisServer


@dataclass
class Load:
    """What threads at work on a queue were told, and how often they were refused."""

    put: set[str] = field(default_factory=set)
    acked: set[str] = field(default_factory=set)
    unsure: set[str] = field(default_factory=set)  # the answer to the ack was lost
    refused: int = 0
    errors: list[BaseException] = field(default_factory=list)
    topic: bool = False
    stop: threading.Event = field(default_factory=threading.Event)

    def work(self, url: str, name: str) -> None:
        try:
            with self.open(url) as (put, queue):
                number = 0
                while not self.stop.is_set():
                    number += 1
                    self._step(put, queue, f"{name}-{number}")
        except BaseException as error:
            self.errors.append(error)

    @contextmanager
    def open(self, url: str) -> Iterator[tuple[Callable[[str], object], Queue]]:
        """Where to put, and what to take from."""
        if self.topic:
            with (
                Topic("t", url=url, retain=Retention(count=20)) as topic,
                topic.subscribe("a", lease=0.5, max_attempts=1_000_000) as subscription,
            ):
                yield topic.put, subscription
        else:
            with Queue("q", url=url, lease=0.5, max_attempts=1_000_000) as queue:
                yield queue.put, queue

    def _step(self, put: Callable[[str], object], queue: Queue, body: str) -> None:
        try:
            put(body)
            self.put.add(body)
            for message in queue.take(1):
                self.unsure.add(message.body)
                message.ack()
                self.acked.add(message.body)
                self.unsure.discard(message.body)
        except (StorageError, BusyError):
            self.refused += 1
            time.sleep(0.02)
        except ConflictError:
            pass  # the lease ran out while the server was away

    def wait_for_more(self, count: int) -> None:
        """Return when that many more were put."""
        deadline = time.monotonic() + 60
        goal = len(self.put) + count
        while len(self.put) < goal:
            assert time.monotonic() < deadline
            assert not self.errors
            time.sleep(0.01)


@contextmanager
def load_on(url: str, *, topic: bool = False) -> Iterator[Load]:
    """Four threads at work; at the end all they were told must be so."""
    load = Load(topic=topic)
    threads = [threading.Thread(target=load.work, args=(url, f"t{n}")) for n in range(4)]
    for thread in threads:
        thread.start()
    try:
        load.wait_for_more(50)
        yield load
        load.wait_for_more(50)  # recovered by itself
    finally:
        load.stop.set()
        for thread in threads:
            thread.join()
    assert load.errors == []
    time.sleep(0.6)  # the last leases run out
    left: list[str] = []
    with load.open(url) as (_, queue):
        while taken := queue.take(100):
            left += [message.body for message in taken]
            queue.ack(*(message.receipt for message in taken))
    assert len(left) == len(set(left))
    assert load.acked.isdisjoint(left)
    assert load.put - load.acked - set(left) <= load.unsure


Cut = Callable[[], object]


@pytest.fixture(params=["redis", "postgres"])
def server(request: pytest.FixtureRequest) -> tuple[RedisServer | PostgresServer, str]:
    """A server of the test's own, and the URL of a database in it."""
    server = request.getfixturevalue(f"own_{request.param}")
    return server, server.url(0) if request.param == "redis" else server.new_database()


@pytest.mark.parametrize("topic", [False, True], ids=["queue", "topic"])
def test_a_server_killed_under_load(
    server: tuple[RedisServer | PostgresServer, str], topic: bool
) -> None:
    process, url = server
    with load_on(url, topic=topic) as load:
        for _ in range(2):
            process.kill()
            time.sleep(0.2)
            process.start()
            load.wait_for_more(50)
    assert load.refused > 0


@pytest.mark.parametrize("topic", [False, True], ids=["queue", "topic"])
def test_connections_cut_under_load(
    server: tuple[RedisServer | PostgresServer, str], topic: bool
) -> None:
    process, url = server
    with load_on(url, topic=topic) as load:
        deadline = time.monotonic() + 60
        while load.refused < 5:  # an idle connection that was cut is noticed and replaced
            assert time.monotonic() < deadline
            if isinstance(process, PostgresServer):
                process.execute(
                    "SELECT pg_terminate_backend(pid) FROM pg_stat_activity"
                    " WHERE backend_type = 'client backend' AND pid <> pg_backend_pid()"
                )
            else:
                _tell_redis(process, "CLIENT", "KILL", "TYPE", "normal", "SKIPME", "yes")
        load.wait_for_more(50)


def test_redis_out_of_memory_refuses_puts_and_lets_takers_drain(own_redis: RedisServer) -> None:
    url = own_redis.url(0)
    with Queue("q", url=url) as queue:
        kept = queue.put_many(["x" * 1000] * 100)
        used = _tell_redis(own_redis, "INFO", "memory")["used_memory"]
        _tell_redis(own_redis, "CONFIG", "SET", "maxmemory", str(used // 2))
        with pytest.raises(StorageError, match="out of memory"):
            queue.put("y" * 100_000)
        with pytest.raises(StorageError, match="out of memory"):
            queue.put("y" * 100_000, group="g", key="k")
        first, second, *others = queue.take(200)
        assert [message.id for message in (first, second, *others)] == kept
        first.nack(reason="later")
        second.extend(60)
        second.ack()
        queue.ack(*(message.receipt for message in others))
        assert queue.depth(10) == 1
        _tell_redis(own_redis, "CONFIG", "SET", "maxmemory", "0")
        queue.put("room again", group="g", key="k")
        assert [message.body[0] for message in queue.take(9)] == ["x", "r"]


def test_redis_out_of_memory_keeps_a_topic_whole(own_redis: RedisServer) -> None:
    url = own_redis.url(0)
    with Topic("t", url=url) as topic, topic.subscribe("a") as one, topic.subscribe("b") as other:
        topic.put_many(["x" * 1000] * 50)
        assert len(one.take(50)) == 50
        used = _tell_redis(own_redis, "INFO", "memory")["used_memory"]
        _tell_redis(own_redis, "CONFIG", "SET", "maxmemory", str(used // 2))
        with pytest.raises(StorageError, match="out of memory"):
            topic.put_many(["y" * 10_000] * 10)
        with pytest.raises(StorageError, match="out of memory"):
            other.take()  # to feed needs memory
        assert topic.bounds() == (1, 50)
        _tell_redis(own_redis, "CONFIG", "SET", "maxmemory", "0")
        assert topic.put("room again") == 51
        assert [message.position for message in other.take(100)] == list(range(1, 52))
        assert [message.body for message in one.take(100)] == ["room again"]


def test_a_connection_cut_inside_a_transaction(postgres_server: PostgresServer) -> None:
    url = postgres_server.new_database()
    with (
        Queue("q", url=url, max_attempts=1) as queue,
        Topic("t", url=url) as topic,
        topic.subscribe("a") as one,
    ):
        queue.put("a")
        queue.take()[0].nack()
        topic.put("first")
        calls: list[tuple[str, Callable[[], object]]] = [
            ("queue.postgres.written", lambda: queue.put("b", priority=1)),
            ("queue.postgres.topic.written", lambda: topic.put("second")),
            ("queue.postgres.written", lambda: one.take(9)),
            ("queue.postgres.written", lambda: queue.requeue_dead()),
            ("queue.postgres.written", lambda: one.replay("all")),
        ]

        def state() -> tuple[int, int, tuple[int, int], int]:
            stats = queue.stats()
            return stats.ready, stats.dead, topic.bounds(), one._fed.waiting(99)

        for point, call in calls:
            before = state()
            with (
                armed(f"{point}=pause:2@1"),
                _cutting(postgres_server, url),
                pytest.raises(StorageError),
            ):
                call()
            assert state() == before
            call()
        assert sorted(message.body for message in queue.take(9)) == ["a", "b"]
        assert [message.body for message in one.take(9)] == ["first", "second"]


@contextmanager
def _cutting(server: PostgresServer, url: str) -> Iterator[None]:
    """Cut the first connection that is seen inside a transaction."""
    name = urlsplit(url).path[1:]
    done = threading.Event()

    def cut() -> None:
        while not done.is_set() and not server.execute(
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity"
            f" WHERE datname = '{name}' AND state = 'idle in transaction'"
        ):
            time.sleep(0.01)

    cutter = threading.Thread(target=cut)
    cutter.start()
    try:
        yield
    finally:
        done.set()
        cutter.join()


def test_postgres_with_too_many_connections(own_postgres: PostgresServer) -> None:
    import psycopg

    url = own_postgres.new_database()
    with Queue("q", url=url) as queue:
        queue.put("a")
        with ExitStack() as stack:
            for _ in range(100):
                try:
                    stack.enter_context(psycopg.connect(url))
                except psycopg.OperationalError:
                    break
            with pytest.raises(BusyError, match="too many connections"):
                Queue("q", url=url)
            queue.put("b")  # its own connection stays
        with Queue("q", url=url) as other:
            assert [message.body for message in other.take(9)] == ["a", "b"]


def _tell_redis(server: RedisServer, *command: str) -> dict[str, int]:
    import redis

    with redis.Redis(port=server.port) as client:
        answer = client.execute_command(*command)
    return answer if isinstance(answer, dict) else {}

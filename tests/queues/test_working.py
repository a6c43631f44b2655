"""Workers in threads: concurrency, heartbeats, failing handlers, graceful stops."""

import threading
import time
from pathlib import Path

import pytest

from holdfast.context import current_task_id, task
from holdfast.engines.urls import url_for
from holdfast.errors import StorageError, UsageError
from holdfast.queues import Message, Queue, StoredMessage
from holdfast.queues.stores.memory import MemoryQueueStore


def test_messages_are_worked_on_at_the_same_time() -> None:
    meeting = threading.Barrier(3)
    with Queue(store=MemoryQueueStore()) as queue:
        queue.put_many(range(6))
        done = queue.work(lambda message: meeting.wait(60), concurrency=3, wait=0.05)
        assert (done, queue.depth(9)) == (6, 0)
        with pytest.raises(UsageError):
            queue.work(print, concurrency=0)


def test_a_failing_handler_gives_the_message_back_and_the_others_go_on() -> None:
    seen: list[str | None] = []

    def handle(message: Message) -> None:
        seen.append(current_task_id())
        if message.body == "bad":
            raise ValueError("no bees")
        if message.body == "own":
            message.ack()

    with Queue(store=MemoryQueueStore(), max_attempts=2) as queue:
        with task("run:step"):
            queue.put_many(["bad", "good", "own"])
        assert queue.work(handle, wait=0.05) == 2
        assert [(one.attempts, one.reason) for one in queue.dead()] == [(2, "ValueError: no bees")]
        assert seen == ["run:step"] * 4


def test_leases_are_kept_while_a_handler_runs(tmp_path: Path) -> None:
    stop = threading.Event()

    def handle(message: Message) -> None:
        time.sleep(1.7)  # several leases
        assert other.take() == []
        stop.set()

    url = url_for("file", tmp_path)
    with Queue("q", url=url, lease=0.5) as queue, Queue("q", url=url) as other:
        queue.put("a")
        assert queue.work(handle, concurrency=2, stop=stop.is_set) == 1
        assert other.depth(9) == 0


def test_a_stop_finishes_what_is_in_hand() -> None:
    stop = threading.Event()

    def handle(message: Message) -> None:
        stop.set()
        time.sleep(0.05)

    with Queue(store=MemoryQueueStore()) as queue:
        queue.put_many(range(100))
        done = queue.work(handle, concurrency=2, stop=stop.is_set)
        assert 1 <= done <= 2
        stats = queue.stats()
        assert (stats.ready, stats.leased) == (100 - done, 0)


class _Failing(MemoryQueueStore):
    """A store whose disk is full from the third take on."""

    takes = 0

    def take(self, limit: int, lease: float, max_attempts: int, now: float) -> list[StoredMessage]:
        self.takes += 1
        if self.takes > 2:
            raise StorageError("the disk is full")
        return super().take(limit, lease, max_attempts, now)


def test_an_error_of_the_store_ends_all_workers_and_is_raised() -> None:
    with Queue(store=_Failing()) as queue:
        queue.put_many(range(9))
        with pytest.raises(StorageError, match="full"):
            queue.work(lambda message: None, concurrency=3)
        assert queue.stats().leased == 0

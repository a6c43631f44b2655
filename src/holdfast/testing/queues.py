"""The conformance suite of queue engines: an engine that passes it holds what Holdfast promises.

::

    class TestMyEngine(QueueSuite):
        persistent = True
        shared = True

        def open_store(self, folder: Path) -> QueueStore:
            return MyStore(folder)

        def open_topic_store(self, folder: Path) -> TopicStore:  # if the engine keeps topics
            return MyTopicStore(folder)

    TestMyEngineMachine = queue_machine(lambda folder: MyStore(folder), persistent=True)

Optional capabilities are detected; `holdfast.testing.report` tells at the end of a run which engine
has them. Needs pytest; `holdfast.testing.queue_machine` also needs hypothesis.
"""

import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any, ClassVar

import pytest

from holdfast.context import current_task_id, task
from holdfast.errors import ConflictError, FullError, NotFoundError, UsageError
from holdfast.queues import Message, Queue, QueueStore
from holdfast.testing.clock import Clock as Clock
from holdfast.testing.moving import QueueMoveChecks
from holdfast.testing.report import absent
from holdfast.testing.topics import TopicChecks


class QueueSuite(QueueMoveChecks, TopicChecks):
    """What every engine must do. `open_store` opens the queue that lives in `folder`.

    `persistent`: a queue that was closed and opened again is the same one. `shared`: two stores
    opened on one folder are the same queue.
    """

    conformance: ClassVar[str] = "queues"
    persistent: ClassVar[bool]
    shared: ClassVar[bool]

    def open_store(self, folder: Path) -> QueueStore:
        """The store under test."""
        raise NotImplementedError

    @pytest.fixture
    def clock(self) -> Clock:
        return Clock()

    @pytest.fixture
    def queue(self, tmp_path: Path, clock: Clock) -> Iterator[Queue]:
        with self.open_queue(tmp_path, clock) as queue:
            yield queue

    def open_queue(self, folder: Path, clock: Clock, **options: Any) -> Queue:
        """A queue of the store under test, with a lease of 60 seconds and 3 attempts."""
        settings: dict[str, Any] = {"lease": 60, "max_attempts": 3, **options}
        return Queue("suite", clock=clock, store=self.open_store(folder), **settings)

    def test_what_is_put_comes_out_in_order(self, queue: Queue) -> None:
        bodies: list[Any] = [{"a": [1, 2.5, None]}, "tëxt \n\0 😀", 3, [], True, None, {"rec": {}}]
        ids = [queue.put(body) for body in bodies]
        taken = queue.take(100)
        assert [message.body for message in taken] == bodies
        assert [message.id for message in taken] == ids
        assert len(set(ids)) == len(bodies)

    def test_a_batch_keeps_its_order(self, queue: Queue) -> None:
        ids = queue.put_many(range(1000))
        taken = [queue.take()[0] for _ in range(10)] + queue.take(2000)
        assert [message.body for message in taken] == list(range(1000))
        assert [message.id for message in taken] == ids
        assert queue.put_many([]) == []

    def test_large_bodies(self, queue: Queue) -> None:
        bodies = ["x" * size for size in (65_500, 65_536, 1_000_000, 3)]
        queue.put_many(bodies)
        assert [message.body for message in queue.take(9)] == bodies

    def test_an_empty_queue_gives_nothing(self, queue: Queue) -> None:
        assert queue.take() == []
        assert queue.peek() == []
        assert queue.take(wait=0.01) == []

    def test_a_leased_message_is_nobody_elses(self, queue: Queue) -> None:
        queue.put("a")
        assert queue.take()
        assert queue.take() == []

    def test_an_acknowledged_message_is_gone(self, queue: Queue, clock: Clock) -> None:
        queue.put("a")
        queue.take()[0].ack()
        clock.advance(1000)
        assert queue.take() == []
        assert queue.stats().oldest_age is None

    def test_acknowledging_twice_is_a_conflict(self, queue: Queue) -> None:
        queue.put("a")
        message = queue.take()[0]
        message.ack()
        with pytest.raises(ConflictError, match="stale"):
            message.ack()

    def test_acknowledging_many_is_all_or_nothing(self, queue: Queue, clock: Clock) -> None:
        queue.put_many("abc")
        first, second, third = queue.take(3)
        first.ack()
        with pytest.raises(ConflictError):
            queue.ack(second.receipt, first.receipt)
        queue.ack(second.receipt, third.receipt, third.receipt)
        clock.advance(100)
        assert queue.take(9) == []

    def test_what_is_no_receipt_is_refused(self, queue: Queue) -> None:
        for text in ("", "nonsense", "1-2", "a-b-c"):
            with pytest.raises((UsageError, ConflictError)):
                queue.ack(text)
        with pytest.raises(ConflictError):
            queue.ack("00000000-1-1")

    def test_a_lease_that_ran_out_gives_the_message_to_another(
        self, queue: Queue, clock: Clock
    ) -> None:
        queue.put("a")
        late = queue.take()[0]
        clock.advance(61)
        second = queue.take()[0]
        assert (second.body, second.attempts) == ("a", 2)
        with pytest.raises(ConflictError):
            late.ack()
        second.ack()

    def test_a_late_ack_is_fine_while_nobody_took_the_message(
        self, queue: Queue, clock: Clock
    ) -> None:
        queue.put("a")
        late = queue.take()[0]
        clock.advance(61)
        assert queue.stats().ready == 1
        late.ack()
        assert queue.take() == []

    def test_extending_keeps_the_lease(self, queue: Queue, clock: Clock) -> None:
        queue.put("a")
        message = queue.take(lease=10)[0]
        clock.advance(9)
        message.extend(10)
        clock.advance(9)
        assert queue.take() == []
        clock.advance(2)
        assert queue.take()[0].attempts == 2

    def test_given_back_comes_again_at_once_or_later(self, queue: Queue, clock: Clock) -> None:
        queue.put("a")
        queue.take()[0].nack(reason="busy")
        again = queue.take()[0]
        assert (again.attempts, again.reason) == (2, "busy")
        again.nack(delay=30)
        assert queue.take() == []
        assert queue.stats().delayed == 1
        clock.advance(31)
        assert queue.take()[0].attempts == 3
        with pytest.raises(ConflictError):
            again.nack()

    def test_dead_after_max_attempts_with_the_reason(self, queue: Queue, clock: Clock) -> None:
        queue.put("given back")
        for _ in range(3):
            queue.take()[0].nack(reason="no bees")
        queue.put("forgotten")
        for _ in range(3):
            queue.take()
            clock.advance(61)
        assert queue.take() == []
        dead = queue.dead()
        assert [(message.body, message.attempts) for message in dead] == [
            ("given back", 3),
            ("forgotten", 3),
        ]
        assert dead[0].reason == "no bees"
        assert "lease ran out 3 times" in str(dead[1].reason)
        assert queue.stats().dead == 2

    def test_dead_letters_can_be_requeued(self, queue: Queue) -> None:
        ids = queue.put_many("abc")
        for _ in range(3):
            for message in queue.take(3):
                message.nack()
        with pytest.raises(NotFoundError):
            queue.requeue_dead([ids[0], "nothing"])
        assert queue.stats().dead == 3
        assert queue.requeue_dead([ids[1]]) == 1
        assert [(one.id, one.attempts) for one in queue.take(9)] == [(ids[1], 1)]
        assert queue.requeue_dead() == 2
        assert queue.requeue_dead() == 0
        assert [one.id for one in queue.take(9)] == [ids[0], ids[2]]

    def test_delay_and_priority(self, queue: Queue, clock: Clock) -> None:
        queue.put("later", delay=30)
        for priority in (-1, 0, 5, 1):
            clock.advance(0.001)
            queue.put(priority, priority=priority)
        assert [one.body for one in queue.peek(9)] == [5, 1, 0, -1]
        assert [one.body for one in queue.take(2)] == [5, 1]
        clock.advance(31)
        assert [one.body for one in queue.take(9)] == ["later", 0, -1]

    def test_a_key_stands_for_one_message(self, queue: Queue) -> None:
        first = queue.put("a", key="bees")
        assert queue.put("b", key="bees") == first
        assert queue.put("c", key="wasps") != first
        message = queue.take()[0]
        assert queue.put("d", key="bees") == first
        message.ack()
        assert queue.put("e", key="bees") != first

    def test_a_group_is_worked_on_one_at_a_time_and_in_order(
        self, queue: Queue, clock: Clock
    ) -> None:
        for body in ("a1", "b1", "a2", "a3", "plain"):
            queue.put(body, group=body[0] if body != "plain" else None)
            clock.advance(0.001)
        assert [one.body for one in queue.peek(9)] == ["a1", "b1", "plain"]
        first, other, plain = queue.take(9)
        queue.ack(other.receipt, plain.receipt)
        assert queue.take(9) == []
        assert (queue.stats().blocked, queue.stats().ready) == (2, 0)
        first.nack(delay=30)
        assert queue.take(9) == []  # the one before comes again: nothing overtakes it
        clock.advance(31)
        again = queue.take(9)
        assert [one.body for one in again] == ["a1"]
        clock.advance(61)
        assert [one.body for one in queue.take(9)] == ["a1"]
        clock.advance(61)
        (last,) = queue.take(9)  # the first is dead, the second follows
        assert last.body == "a2"
        assert queue.requeue_dead() == 1
        assert queue.take(9) == []
        last.ack()
        (revived,) = queue.take(9)
        assert (revived.body, queue.stats().blocked) == ("a1", 1)
        revived.ack()
        assert [one.body for one in queue.take(9)] == ["a3"]

    def test_releasing_does_not_count_as_an_attempt(self, queue: Queue, clock: Clock) -> None:
        queue.put("a")
        clock.advance(0.001)
        queue.put("b", group="g")
        for _ in range(5):
            receipts = [message.receipt for message in queue.take(2)]
            queue.release(*receipts)
            with pytest.raises(ConflictError):
                queue.ack(receipts[0])
            queue.release(*receipts)
        assert [(one.body, one.attempts) for one in queue.take(9)] == [("a", 1), ("b", 1)]

    def test_the_depth_counts_what_is_not_dead(self, tmp_path: Path, clock: Clock) -> None:
        with self.open_queue(tmp_path, clock, max_attempts=1) as queue:
            assert queue.depth(10) == 0
            queue.put_many("abcd")
            queue.put("later", delay=60)
            queue.put("first", group="g")
            queue.put("second", group="g")
            queue.take()
            queue.take()[0].nack()
            assert (queue.depth(4), queue.depth(100)) == (4, 6)

    def test_what_nobody_took_in_time_is_a_dead_letter(self, queue: Queue, clock: Clock) -> None:
        queue.put("a", ttl=10)
        clock.advance(0.001)
        queue.put("b", ttl=10, group="g")
        queue.put("c", ttl=30, group="g")
        queue.put("d")
        clock.advance(10)
        assert sorted(one.body for one in queue.take(9)) == ["c", "d"]
        assert [(one.body, one.reason) for one in queue.dead()] == [
            ("a", "expired"),
            ("b", "expired"),
        ]

    def test_a_full_queue_takes_no_more(self, tmp_path: Path, clock: Clock) -> None:
        with self.open_queue(tmp_path, clock, max_size=3) as queue:
            queue.put_many("ab")
            with pytest.raises(FullError, match="it may hold 3"):
                queue.put_many("cd")
            queue.put("c", delay=60)
            with pytest.raises(FullError):
                queue.put("d", wait=0.01)
            queue.take()[0].ack()
            queue.put("d")

    def test_prefetching_acknowledges_together(self, queue: Queue) -> None:
        queue.put_many(range(25))
        seen = [message.body for message in queue.consume(wait=0, prefetch=10)]
        assert seen == list(range(25))
        assert queue.depth(9) == 0

    def test_peeking_takes_nothing(self, queue: Queue) -> None:
        queue.put_many("ab")
        seen = queue.peek(5)
        assert [one.body for one in seen] == ["a", "b"]
        assert seen[0].receipt == ""
        assert queue.take()[0].attempts == 1

    def test_a_paused_queue_gives_nothing(self, queue: Queue) -> None:
        queue.put("a")
        queue.pause()
        assert queue.take() == []
        assert queue.stats().paused
        queue.put("b")
        queue.resume()
        assert [one.body for one in queue.take(9)] == ["a", "b"]

    def test_purging_hands_everything_over_first(self, queue: Queue) -> None:
        queue.put_many("ab")
        queue.put("c", delay=60, key="k")
        leased = queue.take()[0]

        def refuse(messages: Iterator[Message]) -> None:
            next(messages)
            raise OSError("no room")

        with pytest.raises(OSError, match="no room"):
            queue.purge(keep=refuse)
        assert queue.stats().ready == 1
        kept: list[Message] = []
        assert queue.purge(keep=kept.extend) == 3
        assert sorted(one.body for one in kept) == ["a", "b", "c"]
        with pytest.raises(ConflictError):
            leased.ack()
        stats = queue.stats()
        assert (stats.ready, stats.delayed, stats.leased, stats.dead) == (0, 0, 0, 0)
        queue.put("d", key="k")
        assert [one.body for one in queue.take(9)] == ["d"]

    def test_stats(self, queue: Queue, clock: Clock) -> None:
        queue.put_many("abc")
        queue.put("d", delay=100)
        queue.take()
        clock.advance(5)
        stats = queue.stats()
        assert (stats.ready, stats.delayed, stats.leased, stats.dead) == (2, 1, 1, 0)
        assert stats.oldest_age == pytest.approx(5, abs=0.01)

    def test_headers_and_the_task_go_with_the_message(self, queue: Queue) -> None:
        with task("run-1:step-2"):
            queue.put("a", headers={"reply-to": "b"})
        (message,) = queue.take()
        assert message.headers == {"reply-to": "b"}
        assert message.task_id == "run-1:step-2"
        assert current_task_id() is None
        with message:
            assert current_task_id() == "run-1:step-2"
        assert current_task_id() is None

    def test_a_body_that_is_no_json_is_refused(self, queue: Queue) -> None:
        with pytest.raises(UsageError, match=r"object at steps\[1\]\.what"):
            queue.put({"steps": [1, {"what": object()}]})
        with pytest.raises(UsageError, match="body 1"):
            queue.put_many(["fine", object()])
        assert queue.stats().ready == 0

    def test_with_message_settles_it(self, queue: Queue) -> None:
        queue.put_many("ab")
        with queue.take()[0]:
            pass
        message = queue.take()[0]
        with pytest.raises(ValueError, match="bad"), message:
            raise ValueError("bad")
        (again,) = queue.take(9)
        assert (again.body, again.reason) == ("b", "ValueError: bad")

    def test_consuming_acknowledges_what_was_finished(self, queue: Queue) -> None:
        with task("run:step"):
            queue.put("a")
        queue.put_many("bc")
        seen = [(message.body, current_task_id()) for message in queue.consume(wait=0)]
        assert seen == [("a", "run:step"), ("b", None), ("c", None)]
        assert queue.stats().leased == 0
        assert queue.peek() == []

    def test_leaving_the_loop_gives_the_message_back(self, queue: Queue) -> None:
        queue.put_many("abc")

        def work() -> None:
            for message in queue.consume(wait=0):
                if message.body == "b":
                    raise ValueError("broken")

        with pytest.raises(ValueError, match="broken"):
            work()
        for message in queue.consume(wait=0):
            assert (message.body, message.attempts) == ("b", 2)
            message.ack()
            break
        assert [one.body for one in queue.take(9)] == ["c"]

    def test_stop_ends_between_messages(self, queue: Queue) -> None:
        queue.put_many("abc")
        answers = iter([False, False, True])
        seen = [message.body for message in queue.consume(stop=lambda: next(answers))]
        assert seen == ["a", "b"]
        assert [one.body for one in queue.take(9)] == ["c"]

    def test_a_clock_stepped_back_loses_nothing(self, queue: Queue, clock: Clock) -> None:
        queue.put_many("ab")
        first = queue.take(lease=10)[0]
        clock.advance(-3600)
        queue.put("c")
        assert sorted(one.body for one in queue.take(9, lease=10)) == ["b", "c"]
        clock.advance(11)
        again = queue.take(9)
        assert sorted(one.body for one in again) == ["a", "b", "c"]
        with pytest.raises(ConflictError):
            first.ack()
        queue.ack(*(one.receipt for one in again))

    def test_threads_share_a_queue(self, queue: Queue) -> None:
        done: list[int] = []

        def produce(start: int) -> None:
            for number in range(start, start + 50):
                queue.put(number)

        def consume() -> None:
            done.extend(message.body for message in queue.consume(wait=0.5))

        threads = [threading.Thread(target=produce, args=(n * 50,)) for n in range(4)]
        threads += [threading.Thread(target=consume) for _ in range(4)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert sorted(done) == list(range(200))

    def test_two_handles_are_one_queue(self, tmp_path: Path, clock: Clock) -> None:
        if not self.shared:
            absent("sharing between handles")
        with self.open_queue(tmp_path, clock) as one, self.open_queue(tmp_path, clock) as two:
            one.put("a")
            message = two.take()[0]
            assert one.take() == []
            one.ack(message.receipt)
            with pytest.raises(ConflictError):
                message.ack()
            two.put("b", priority=1)
            two.pause()
            assert one.stats().paused
            one.resume()
            assert [each.body for each in two.take()] == ["b"]
            clock.advance(61)
            assert one.take()[0].attempts == 2

    def test_a_queue_opened_again_is_the_same(self, tmp_path: Path, clock: Clock) -> None:
        if not self.persistent:
            absent("persistence")
        with self.open_queue(tmp_path, clock) as queue:
            queue.put_many("abc")
            queue.put("d", priority=2, headers={"h": "1"})
            clock.advance(0.001)
            queue.put("e", delay=50)
            queue.put("f", priority=1, group="g")
            queue.put("g", priority=1, group="g")
            urgent, grouped, leased = queue.take(3)
            urgent.nack(reason="not now", delay=5)
        with self.open_queue(tmp_path, clock) as queue:
            assert [one.body for one in queue.peek(9)] == ["b", "c"]
            queue.ack(leased.receipt)
            queue.ack(grouped.receipt)
            queue.take()[0].ack()
            clock.advance(6)
            again = queue.take()[0]
            assert (again.body, again.attempts, again.headers) == ("d", 2, {"h": "1"})
            assert again.reason == "not now"
        with self.open_queue(tmp_path, clock) as queue:
            clock.advance(61)
            taken = [one.body for one in queue.take(9)]
            assert taken == ["d", "b", "c", "e"]

"""What is decided above the engines: expiry, backoff, size and rate limits, prefetching."""

import threading
import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from holdfast.errors import ConflictError, UsageError
from holdfast.queues import Backoff, Queue, Rate
from holdfast.queues.rates import Allowance
from holdfast.queues.stores.memory import MemoryQueueStore
from holdfast.testing.queues import Clock


def test_expired_messages_may_be_forgotten() -> None:
    clock = Clock()
    with Queue(clock=clock, store=MemoryQueueStore(), on_expiry="forget") as queue:
        queue.put("short", ttl=5)
        queue.put("long", ttl=50)
        queue.put("ever")
        clock.advance(5)
        assert [message.body for message in queue.take(9)] == ["long", "ever"]
        assert queue.dead() == []


def test_a_backoff_keeps_a_failed_message_away() -> None:
    clock = Clock()
    backoff = Backoff(first=10, factor=3, longest=25, jitter=0)
    with Queue(clock=clock, store=MemoryQueueStore(), backoff=backoff) as queue:
        queue.put("a")
        for seconds in (10, 25, 25):
            with pytest.raises(ValueError, match="bad"), queue.take()[0]:
                raise ValueError("bad")
            clock.advance(seconds - 0.01)
            assert queue.take() == []
            clock.advance(0.01)
            assert queue.stats().ready == 1
        queue.take()[0].nack(delay=0)
        assert queue.take()[0].attempts == 5


@given(
    first=st.floats(0.01, 100),
    factor=st.floats(1, 10),
    longest=st.floats(100, 1e9),
    jitter=st.floats(0, 1),
    attempts=st.integers(1, 10_000),
)
def test_backoffs_grow_to_their_longest(
    first: float, factor: float, longest: float, jitter: float, attempts: int
) -> None:
    backoff = Backoff(first, factor, longest, jitter)
    assert first <= backoff.delay(attempts) <= longest * (1 + jitter)
    calm = Backoff(first, factor, longest, 0)
    assert calm.delay(attempts) <= calm.delay(attempts + 1)


def test_bad_policies_are_refused() -> None:
    for bad in (
        lambda: Backoff(first=0),
        lambda: Backoff(first=9, longest=3),
        lambda: Backoff(jitter=2),
        lambda: Rate(0),
        lambda: Rate(1, 0),
        lambda: Queue(max_size=0),
        lambda: Queue(max_attempts=0),
        lambda: Queue(on_expiry="keep"),  # type: ignore[arg-type]
        lambda: Queue().put(1, ttl=0),
        lambda: Queue().put(1, priority=2**40),
        lambda: Queue().consume(prefetch=0),
        lambda: Queue(max_size=3).put_many(range(4)),
    ):
        with pytest.raises(UsageError):
            bad()


def test_a_put_waits_for_room() -> None:
    with Queue(store=MemoryQueueStore(), max_size=2) as queue:
        queue.put_many("ab")
        putting = threading.Thread(target=lambda: queue.put("c", wait=60))
        putting.start()
        time.sleep(0.02)
        assert queue.depth(9) == 2
        queue.take()[0].ack()
        putting.join()
        assert [message.body for message in queue.take(9)] == ["b", "c"]


def test_an_allowance_is_never_passed() -> None:
    allowance = Allowance(Rate(5, per=3600))
    assert allowance.take(3) == 3
    allowance.give_back(1)
    assert [allowance.take(9), allowance.take(9)] == [3, 0]


def test_a_rate_bounds_what_is_taken() -> None:
    with Queue(store=MemoryQueueStore(), rate=Rate(3, per=3600)) as queue:
        queue.put_many("abcde")
        assert len(queue.take(2)) == 2
        assert len(queue.take(2)) == 1
        assert queue.take(2, wait=0.01) == []
    with Queue(store=MemoryQueueStore(), rate=Rate(3, per=0.05)) as queue:
        queue.put_many("abcdefgh")
        assert len([*queue.consume(wait=5, stop=lambda: queue.depth(1) == 0)]) == 8


def test_a_lease_lost_among_prefetched_ones_is_told_after_the_others_were_acknowledged() -> None:
    clock = Clock()
    with Queue(clock=clock, store=MemoryQueueStore(), lease=60) as queue:
        queue.put_many("abc")

        def work() -> None:
            for message in queue.consume(wait=0, prefetch=3):
                if message.body == "b":
                    clock.advance(61)
                    assert queue.take()[0].body == "a"

        with pytest.raises(ConflictError):
            work()
        assert queue.depth(9) == 1


def test_prefetched_messages_that_were_not_begun_go_back_untouched() -> None:
    with Queue(store=MemoryQueueStore()) as queue:
        queue.put_many("abcde")

        def work() -> None:
            for message in queue.consume(wait=0, prefetch=4):
                if message.body == "c":
                    raise ValueError("broken")

        with pytest.raises(ValueError, match="broken"):
            work()
        assert [(one.body, one.attempts) for one in queue.take(9)] == [("c", 2), ("d", 1), ("e", 1)]
    with Queue(store=MemoryQueueStore()) as queue:
        queue.put_many("abcde")
        answers = iter([False, False, True, True])
        seen = [one.body for one in queue.consume(prefetch=9, stop=lambda: next(answers))]
        assert seen == ["a", "b"]
        (third, *_) = queue.take(9)
        assert (third.body, third.attempts) == ("c", 1)

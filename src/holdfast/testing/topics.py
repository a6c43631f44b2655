"""The part of the queue suite about topics, an optional capability of an engine."""

import threading
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from holdfast.context import task
from holdfast.errors import ConflictError, NotFoundError, UsageError
from holdfast.queues import Message, Retention, Topic, TopicStore
from holdfast.queues.retention import position_at
from holdfast.testing.clock import Clock
from holdfast.testing.moving import TopicMoveChecks
from holdfast.testing.report import absent


def bodies(messages: list[Message]) -> list[Any]:
    """What the messages say."""
    return [message.body for message in messages]


class TopicChecks(TopicMoveChecks):
    """What an engine must do that keeps topics; `open_topic_store` opens the one in `folder`."""

    def open_topic_store(self, folder: Path) -> TopicStore:
        """The topic store under test."""
        absent("topics")

    def open_topic(self, folder: Path, clock: Clock, **options: Any) -> Topic:
        """A topic of the store under test."""
        return Topic("topic", clock=clock, store=self.open_topic_store(folder), **options)

    @pytest.fixture
    def topic(self, tmp_path: Path, clock: Clock) -> Iterator[Topic]:
        with self.open_topic(tmp_path, clock) as topic:
            yield topic

    def test_every_subscription_gets_all(self, topic: Topic) -> None:
        values: list[Any] = [{"a": [1, 2.5, None]}, "tëxt \n\0 😀", 3, [], True, None, {"rec": {}}]
        assert topic.put_many(values[:3]) == [1, 2, 3]
        with topic.subscribe("a") as a, topic.subscribe("b") as b:
            assert [topic.put(value) for value in values[3:]] == [4, 5, 6, 7]
            for one in (a, b):
                taken = one.take(100)
                assert bodies(taken) == values
                assert [message.position for message in taken] == [1, 2, 3, 4, 5, 6, 7]
                one.ack(*(message.receipt for message in taken))
                assert one.take() == []
        assert topic.put_many([]) == []
        assert [(s.name, s.position, s.lag) for s in topic.subscriptions()] == [
            ("a", 7, 0),
            ("b", 7, 0),
        ]

    def test_what_one_does_is_nothing_to_the_others(self, topic: Topic, clock: Clock) -> None:
        topic.put_many("abc")
        with topic.subscribe("a", max_attempts=1) as a, topic.subscribe("b") as b:
            first, second, third = a.take(3)
            first.ack()
            second.nack(reason="no bees")
            a.pause()
            clock.advance(61)
            assert bodies(b.take(9)) == ["a", "b", "c"]
            a.resume()
            assert a.take(9) == []
            assert [(one.body, one.reason) for one in a.dead()] == [
                ("b", "no bees"),
                ("c", "its lease ran out 1 times"),
            ]
            assert a.requeue_dead([second.id]) == 1
            assert bodies(a.take(9)) == ["b"]
            with pytest.raises(ConflictError):
                third.ack()
            assert a.status().lag == 1
            assert b.status().lag == 3

    def test_the_options_of_a_put_hold_in_each_subscription(
        self, topic: Topic, clock: Clock
    ) -> None:
        topic.put("plain")
        with task("run:step"):
            topic.put("urgent", priority=5, headers={"h": "1"})
        topic.put("later", delay=30)
        topic.put("g1", group="g")
        topic.put("g2", group="g")
        topic.put("k1", key="k")
        topic.put("k2", key="k")
        topic.put("short", ttl=20)
        for name in ("a", "b"):
            with topic.subscribe(name) as one:
                taken = one.take(9)
                assert bodies(taken) == ["urgent", "plain", "g1", "k1", "short"]
                assert (taken[0].task_id, taken[0].headers) == ("run:step", {"h": "1"})
                taken[2].ack()
                assert bodies(one.take(9)) == ["g2"]
                assert one.stats().delayed == 1
        clock.advance(31)
        with topic.subscribe("a") as one:
            assert bodies(one.take(9)) == ["later"]

    def test_messages_say_when_they_were_put(self, topic: Topic, clock: Clock) -> None:
        moment = clock.now
        topic.put("a")
        clock.advance(100)
        with topic.subscribe("a") as one:
            assert one.stats().oldest_age == pytest.approx(0, abs=101)
            assert one.take()[0].enqueued_at == pytest.approx(moment)

    def test_where_a_subscription_begins(self, topic: Topic, clock: Clock) -> None:
        topic.put_many("ab")
        clock.advance(10)
        noon = datetime.fromtimestamp(clock.now, UTC)
        topic.put_many("cd")
        starts: dict[str, Any] = {"all": "all", "new": "new", "third": 3, "since": noon}
        made = {name: topic.subscribe(name, start=start) for name, start in starts.items()}
        topic.put("e")
        seen = {name: "".join(bodies(one.take(9))) for name, one in made.items()}
        assert seen == {"all": "abcde", "new": "e", "third": "de", "since": "cde"}
        with topic.subscribe("new", start="all") as again:  # it is there: it goes on
            assert again.take(9) == []
        for one in made.values():
            one.close()
        for wrong in ("old", -1, True, datetime(2026, 1, 1)):  # noqa: DTZ001
            with pytest.raises(UsageError):
                topic.subscribe("wrong", start=wrong)

    def test_replaying_gives_all_again_in_order(self, topic: Topic, clock: Clock) -> None:
        topic.put_many("abcdef")
        with topic.subscribe("a", max_attempts=1) as one, topic.subscribe("other") as other:
            done, early, dead, held = one.take(4)
            done.ack()
            dead.nack(reason="bad")
            assert one.replay(2) == 2
            # "b" came before that place, and is still in hand
            assert one.dead() == []
            with pytest.raises(ConflictError):
                held.ack()
            assert bodies(one.take(9)) == ["c", "d", "e", "f"]
            early.ack()
            one.replay("all")
            assert bodies(one.take(9)) == list("abcdef")
            assert bodies(other.take(9)) == list("abcdef")
            one.replay("new")
            topic.put("g")
            assert bodies(one.take(9)) == ["g"]
            assert one.status().lag == 7  # all of them in hand

    def test_a_replay_asked_for_elsewhere_is_noticed(self, topic: Topic) -> None:
        topic.put_many("abc")
        with topic.subscribe("a") as one, topic.subscription("a") as another:
            for count in range(3):
                taken = one.take(9)
                assert bodies(taken) == ["a", "b", "c"]
                one.ack(*(message.receipt for message in taken))
                assert one.take() == []
                if count < 2:
                    another.replay("all")

    def test_replaying_from_a_moment(self, topic: Topic, clock: Clock) -> None:
        moments = []
        for number in range(50):
            moments.append(datetime.fromtimestamp(clock.now, UTC))
            topic.put(number)
            clock.advance(1)
        with topic.subscribe("a", start="new") as one:
            for number in (0, 17, 49):
                one.replay(moments[number])
                taken = one.take(100)
                assert bodies(taken) == list(range(number, 50))
                one.ack(*(message.receipt for message in taken))

    def test_replaying_keeps_the_order_of_groups(self, topic: Topic) -> None:
        for body in "abcd":
            topic.put(body, group="g")
        topic.put("k", key="k")
        with topic.subscribe("one") as one:
            one.take(1)[0].ack()
            assert bodies(one.take(9)) == ["b", "k"]
            for start, expected in ((1, "bcd"), (0, "abcd")):
                one.replay(start)
                seen = []
                while taken := one.take(1):
                    seen += bodies(taken)
                    taken[0].ack()
                assert [each for each in seen if each != "k"] == list(expected)
                assert seen.count("k") == 1
            one.replay(0)
            first = one.take(2)[0]
            one.replay(1)  # the first of the group is from before, and in hand
            assert bodies(one.take(9)) == ["k"]
            first.ack()
            assert bodies(one.take(9)) == ["b"]

    def test_a_backlog_stays_in_the_log(self, topic: Topic) -> None:
        topic.put_many(range(2500))
        with topic.subscribe("a") as one:
            assert one.stats().ready == 2500
            assert one.depth(10) == 10
            assert one._fed.queue.depth(5000) == 1000
            topic.put("urgent", priority=1)
            seen = [message.body for message in one.consume(wait=0, prefetch=300)]
            assert [body for body in seen if body != "urgent"] == list(range(2500))
            assert seen.count("urgent") == 1

    def test_large_bodies_in_a_topic(self, topic: Topic) -> None:
        values = ["x" * size for size in (65_500, 65_536, 1_000_000, 3, 70_000, 5)]
        topic.put_many(values)
        with topic.subscribe("a") as one:
            assert bodies(one.take(9)) == values
            one.replay(3)
            assert bodies(one.take(9)) == values[3:]

    def test_retention_keeps_what_is_needed(self, topic: Topic, clock: Clock) -> None:
        topic.retain = Retention(count=10)
        with topic.subscribe("slow") as slow:
            topic.put_many(range(100))
            assert topic.bounds() == (1, 100)
            slow.ack(*(message.receipt for message in slow.take(50)))
            slow.replay(50)
            topic.put_many(range(100, 200))
            topic.trim()
            first, last = topic.bounds()
            assert first <= 51
            assert last == 200
            assert bodies(slow.take(500)) == list(range(50, 200))
            topic.trim()
            assert topic.bounds()[0] <= 191
            slow.replay("all")
            expected = list(range(200))[topic.bounds()[0] - 1 :]
            assert bodies(slow.take(500)) == expected
            assert expected[-10:] == list(range(190, 200))

    def test_retention_by_age(self, topic: Topic, clock: Clock) -> None:
        topic.retain = Retention(seconds=60)
        for number in range(20):
            topic.put(number)
            clock.advance(10)
        topic.trim()
        assert topic.bounds()[0] <= 15
        with topic.subscribe("a") as one:
            assert bodies(one.take(100))[-6:] == list(range(14, 20))
        clock.advance(1000)
        topic.trim()
        assert topic.bounds()[1] == 20
        assert topic.put("goes on") == 21

    def test_a_purge_hands_over_what_was_still_to_come(self, topic: Topic) -> None:
        topic.put_many(range(1500))
        kept: list[Any] = []
        with topic.subscribe("a") as one, topic.subscribe("b") as other:
            one.take(2)
            purged = one.purge(keep=lambda messages: kept.extend(each.body for each in messages))
            assert purged == 1500
            assert sorted(kept) == list(range(1500))
            assert one.take(9) == []
            assert one.status().lag == 0
            assert other.status().lag == 1500

    def test_nobody_puts_to_a_subscription(self, topic: Topic) -> None:
        with topic.subscribe("a") as one:
            with pytest.raises(UsageError, match=r"Topic\.put"):
                one.put("a")
            with pytest.raises(UsageError):
                one.put_many("a")

    def test_subscriptions_come_and_go(self, topic: Topic) -> None:
        with pytest.raises(NotFoundError):
            topic.subscription("a")
        topic.put("a")
        topic.subscribe("a").close()
        topic.subscribe("b-2.x").close()
        assert [one.name for one in topic.subscriptions()] == ["a", "b-2.x"]
        topic.unsubscribe("a")
        topic.unsubscribe("a")
        with topic.subscribe("a") as one:
            assert bodies(one.take(9)) == ["a"]
        for wrong in ("", "a@b", "a/b", "../x"):
            with pytest.raises(UsageError):
                topic.subscribe(wrong)

    def test_a_log_is_found_at_any_position(self, tmp_path: Path, clock: Clock) -> None:
        store = self.open_topic_store(tmp_path)
        with Topic("topic", clock=clock, store=store) as topic:
            for number in range(300):
                topic.put({"number": number, "fill": "x" * (number * 7 % 900)})
                clock.advance(1)
            for position in (0, 1, 17, 150, 298, 299):
                assert store.read_after(position, 1)[0].position == position + 1
            assert [one.position for one in store.read_after(100, 50)] == list(range(101, 151))
            assert store.read_after(300, 10) == []
            assert position_at(store, clock.now - 100) == 200

    def test_several_feed_one_subscription(self, tmp_path: Path, clock: Clock) -> None:
        done: list[Any] = []
        with self.open_topic(tmp_path, clock) as topic:
            topic.subscribe("a").close()

            def produce(start: int) -> None:
                for number in range(start, start + 100):
                    topic.put(number)

            def consume() -> None:
                with topic.subscription("a") as one:
                    for message in one.consume(wait=0.5):
                        done.append(message.body)

            threads = [threading.Thread(target=produce, args=(n * 100,)) for n in range(3)]
            threads += [threading.Thread(target=consume) for _ in range(3)]
            for thread in threads:
                thread.start()
            for thread in threads:
                thread.join()
            with topic.subscription("a") as one:
                done += bodies(one.take(1000))
        assert sorted(done) == list(range(300))

    def test_a_clock_stepped_back_skips_nothing(self, topic: Topic, clock: Clock) -> None:
        topic.retain = Retention(seconds=60)
        topic.put_many("ab")
        with topic.subscribe("one") as one, topic.subscribe("late") as late:
            assert bodies(one.take(lease=10)) == ["a"]
            clock.advance(-3600)
            topic.put("c")
            topic.trim()
            assert sorted(bodies(one.take(9, lease=10))) == ["b", "c"]
            clock.advance(11)
            again = one.take(9)
            assert sorted(bodies(again)) == ["a", "b", "c"]
            one.ack(*(message.receipt for message in again))
            clock.advance(5000)
            topic.trim()
            assert sorted(bodies(late.take(9))) == ["a", "b", "c"]

    def test_a_topic_opened_again_is_the_same(self, tmp_path: Path, clock: Clock) -> None:
        if not getattr(self, "persistent", False):
            absent("persistence")
        with self.open_topic(tmp_path, clock, retain=Retention(count=5)) as topic:
            topic.put_many("abc")
            with topic.subscribe("a") as one:
                one.take()[0].ack()
                one.take()[0].nack(delay=5, reason="later")
        with self.open_topic(tmp_path, clock) as topic:
            assert topic.retain == Retention(count=5)
            assert topic.put("d") == 4
            with topic.subscription("a") as one:
                assert bodies(one.take(9)) == ["c", "d"]
                clock.advance(6)
                (again,) = one.take(9)
                assert (again.body, again.reason, again.position) == ("b", "later", 2)
            with topic.subscribe("b") as fresh:
                assert bodies(fresh.take(9)) == ["a", "b", "c", "d"]

"""A state machine that drives a topic and its subscriptions against a model (needs hypothesis)."""

import shutil
import tempfile
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from holdfast.errors import ConflictError
from holdfast.queues import Retention, Subscription, Topic, TopicStore
from holdfast.testing.clock import Clock
from holdfast.testing.queue_machine import ATTEMPTS, LEASE, ModelMessage, QueueModel

_NAMES = ("a", "b")


@dataclass
class FedMessage(ModelMessage):
    """A message of a subscription, and where it stands in the log."""

    position: int = 0


@dataclass
class LogRecord:
    """What was put to the topic."""

    body: int
    priority: int
    due: float
    key: str | None
    group: str | None


@dataclass
class SubscriptionModel:
    """A queue that is fed from the log, slow and obvious."""

    queue: QueueModel = field(default_factory=QueueModel)
    cursor: int = 0
    receipts: list[str] = field(default_factory=list)

    def feed(self, log: list[LogRecord], first: int, now: float) -> None:
        """Get everything that the log has beyond the cursor."""
        for position in range(max(self.cursor + 1, first), len(log) + 1):
            one = log[position - 1]
            known = one.key and any(m.live and m.key == one.key for m in self.queue.messages)
            if not known:
                place = "blocked" if one.group else "delayed" if one.due else "ready"
                facts = (one.priority, one.due, one.key, one.group, place)
                fed = FedMessage("", one.body, now, *facts, position=position)
                self.queue.messages.append(fed)
                self.queue.next_of_groups(now)
        self.cursor = len(log)
        self.queue.promote(now)

    def replay(self, position: int, now: float) -> None:
        """Forget what came from beyond `position`."""
        self.queue.messages = [
            one
            for one in self.queue.messages
            if isinstance(one, FedMessage) and one.position <= position
        ]
        self.cursor = position
        self.queue.next_of_groups(now)


class TopicMachine(RuleBasedStateMachine):
    """Random calls to a topic of two subscriptions, each answer compared with the model's."""

    persistent = False

    def open_store(self, folder: Path) -> TopicStore:
        """The store under test."""
        raise NotImplementedError

    def __init__(self) -> None:
        super().__init__()
        self.folder = Path(tempfile.mkdtemp(prefix="holdfast-topic-"))
        self.clock = Clock()
        self.log: list[LogRecord] = []
        self.models = {name: SubscriptionModel() for name in _NAMES}
        self._open()

    def _open(self) -> None:
        self.topic = Topic("machine", clock=self.clock, store=self.open_store(self.folder))
        options: Any = {"lease": LEASE, "max_attempts": ATTEMPTS}
        self.subscriptions = {name: self.topic.subscribe(name, **options) for name in _NAMES}

    def _close(self) -> None:
        for one in self.subscriptions.values():
            one.close()
        self.topic.close()

    def teardown(self) -> None:
        self._close()
        shutil.rmtree(self.folder)

    @rule(
        priority=st.integers(-1, 1),
        delay=st.sampled_from([0, 0, 0, 5]),
        key=st.sampled_from([None, None, "k", "l"]),
        group=st.sampled_from([None, None, "g", "h"]),
    )
    def put(self, priority: int, delay: float, key: str | None, group: str | None) -> None:
        body = len(self.log)
        position = self.topic.put(body, priority=priority, delay=delay, key=key, group=group)
        due = self.clock.now + delay if delay else 0.0
        self.log.append(LogRecord(body, priority, due, key, group))
        assert position == len(self.log)

    @rule(count=st.integers(1, 4))
    def put_many(self, count: int) -> None:
        first = len(self.log) + 1
        bodies = range(first - 1, first - 1 + count)
        assert self.topic.put_many(bodies) == [body + 1 for body in bodies]
        self.log += [LogRecord(body, 0, 0.0, None, None) for body in bodies]

    @rule(name=st.sampled_from(_NAMES), limit=st.integers(1, 4))
    def take(self, name: str, limit: int) -> None:
        model = self.models[name]
        expected = model.queue.take(limit, self.clock.now)
        taken = self.subscriptions[name].take(limit)
        assert [(one.body, one.attempts, one.position) for one in taken] == [
            (one.body, one.attempts, one.body + 1) for one in expected
        ]
        for one, message in zip(expected, taken, strict=True):
            one.receipt = message.receipt
            model.receipts.append(message.receipt)

    def _settle(self, name: str, data: Any, call: Callable[[Subscription, str], None]) -> Any:
        model = self.models[name]
        if not model.receipts:
            return None
        receipt = data.draw(st.sampled_from(model.receipts[-8:]))
        holder = model.queue.holder(receipt)
        try:
            call(self.subscriptions[name], receipt)
        except ConflictError:
            assert holder is None
            return None
        assert holder is not None
        return holder

    @rule(name=st.sampled_from(_NAMES), data=st.data())
    def ack(self, name: str, data: Any) -> None:
        one = self._settle(name, data, lambda queue, receipt: queue.ack(receipt))
        if one is not None:
            one.place, one.receipt = "gone", ""

    @rule(name=st.sampled_from(_NAMES), data=st.data(), delay=st.sampled_from([0, 4]))
    def nack(self, name: str, data: Any, delay: float) -> None:
        one = self._settle(name, data, lambda queue, receipt: queue.nack(receipt, delay=delay))
        if one is not None:
            one.receipt = ""
            one.due = self.clock.now + delay
            one.place = "delayed" if delay else "ready"
            if one.attempts >= ATTEMPTS:
                one.place = "dead"

    @rule(name=st.sampled_from(_NAMES))
    def requeue(self, name: str) -> None:
        model = self.models[name].queue
        assert self.subscriptions[name].requeue_dead() == model.count("dead")
        for one in model.messages:
            if one.place == "dead":
                one.place, one.attempts, one.due = "blocked" if one.group else "ready", 0, 0.0
        model.next_of_groups(self.clock.now)

    @rule(seconds=st.sampled_from([1.0, 4.5, 11.0]))
    def time_passes(self, seconds: float) -> None:
        self.clock.advance(seconds)

    @rule(
        name=st.sampled_from(_NAMES),
        back=st.integers(0, 6),
        keep=st.one_of(st.none(), st.integers(0, 6)),
    )
    def replay(self, name: str, back: int, keep: int | None) -> None:
        position = max(0, len(self.log) - back)
        assert self.subscriptions[name].replay(position) == position
        self.models[name].replay(position, self.clock.now)
        if keep is not None:  # before it got anything
            self.trim_to(keep)

    @rule(keep=st.integers(0, 6))
    def trim(self, keep: int) -> None:
        self.trim_to(keep)

    def trim_to(self, keep: int) -> None:
        """Trim, and see that nothing goes that a subscription has yet to get."""
        before = self.topic.bounds()[0]
        self.topic.retain = Retention(count=keep)
        self.topic.trim()
        needed = min(one.cursor for one in self.models.values()) + 1
        assert before <= self.topic.bounds()[0] <= max(before, needed)

    @precondition(lambda self: self.persistent)
    @rule()
    def open_again(self) -> None:
        self._close()
        self._open()

    @invariant()
    def agrees(self) -> None:
        first, last = self.topic.bounds()
        assert last == len(self.log)
        for name, model in self.models.items():
            model.feed(self.log, first, self.clock.now)
            subscription = self.subscriptions[name]
            stats = subscription.stats()
            for place in ("ready", "delayed", "leased", "blocked", "dead"):
                assert getattr(stats, place) == model.queue.count(place), place
            ready = [one.body for one in model.queue.ready()[:5]]
            assert [one.body for one in subscription.peek(5)] == ready
            assert subscription.status().lag == sum(one.live for one in model.queue.messages)


def topic_machine(
    open_store: Callable[[Path], TopicStore], *, persistent: bool
) -> type[RuleBasedStateMachine]:
    """The machine for the engine that `open_store` opens on a folder; its ``TestCase`` runs it."""

    class Machine(TopicMachine):
        def open_store(self, folder: Path) -> TopicStore:
            return open_store(folder)

    Machine.persistent = persistent
    return Machine

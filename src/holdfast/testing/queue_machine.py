"""A state machine that drives any queue engine against a model (needs hypothesis)."""

import shutil
import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from holdfast.errors import ConflictError
from holdfast.queues import Queue, QueueStore
from holdfast.testing.queues import Clock

ATTEMPTS = 2
LEASE = 10.0


@dataclass
class ModelMessage:
    """What the model knows of one message.

    `place` is ready, delayed, leased, blocked, dead or gone.
    """

    id: str
    body: int
    at: float
    priority: int
    due: float
    key: str | None
    group: str | None
    place: str
    attempts: int = 0
    until: float = 0.0
    receipt: str = ""

    @property
    def live(self) -> bool:
        return self.place not in ("dead", "gone")


class QueueModel:
    """The meaning of a queue in a list, slow and obvious."""

    def __init__(self) -> None:
        self.messages: list[ModelMessage] = []
        self.paused = False

    def next_of_groups(self, now: float) -> None:
        """In every group the first is in play, unless another is already."""
        busy = {one.group for one in self.messages if one.live and one.place != "blocked"}
        for one in self.messages:
            if one.place == "blocked" and one.group not in busy:
                one.place = "delayed" if one.due > now else "ready"
                busy.add(one.group)

    def promote(self, now: float) -> None:
        """What time alone changes."""
        self.next_of_groups(now)
        for one in self.messages:
            if (one.place == "delayed" and one.due <= now) or (
                one.place == "leased" and one.until <= now
            ):
                one.place = "ready"

    def ready(self) -> list[ModelMessage]:
        """The ready messages in the order they are taken."""
        ready = [one for one in self.messages if one.place == "ready"]
        return sorted(ready, key=lambda one: (-one.priority, one.at))

    def take(self, limit: int, now: float) -> list[ModelMessage]:
        """The messages that must be given out now."""
        self.promote(now)
        taken: list[ModelMessage] = []
        while not self.paused and len(taken) < limit and (ready := self.ready()):
            one = ready[0]
            if one.receipt and one.attempts >= ATTEMPTS:
                one.place, one.receipt = "dead", ""
                self.next_of_groups(now)
                continue
            one.place, one.until = "leased", now + LEASE
            one.attempts += 1
            taken.append(one)
        return taken

    def holder(self, receipt: str) -> ModelMessage | None:
        """The message that `receipt` still stands for."""
        return next((one for one in self.messages if receipt and one.receipt == receipt), None)

    def count(self, place: str) -> int:
        """How many messages are there."""
        return sum(one.place == place for one in self.messages)


class QueueMachine(RuleBasedStateMachine):
    """Random calls to an engine, each answer compared with the model's."""

    persistent = False

    def open_store(self, folder: Path) -> QueueStore:
        """The store under test."""
        raise NotImplementedError

    def __init__(self) -> None:
        super().__init__()
        self.folder = Path(tempfile.mkdtemp(prefix="holdfast-queue-"))
        self.clock = Clock()
        self.model = QueueModel()
        self.receipts: list[str] = []
        self.bodies = 0
        self.queue = self._open()

    def teardown(self) -> None:
        self.queue.close()
        shutil.rmtree(self.folder)

    def _open(self) -> Queue:
        store = self.open_store(self.folder)
        return Queue("machine", clock=self.clock, store=store, lease=LEASE, max_attempts=ATTEMPTS)

    def _added(
        self,
        id_: str,
        priority: int = 0,
        due: float = 0.0,
        key: str | None = None,
        group: str | None = None,
    ) -> None:
        place = "blocked" if group else "delayed" if due else "ready"
        self.model.messages.append(
            ModelMessage(id_, self.bodies, self.clock.now, priority, due, key, group, place)
        )
        self.model.next_of_groups(self.clock.now)
        self.bodies += 1
        self.clock.advance(0.001)

    @rule(
        priority=st.integers(-1, 1),
        delay=st.sampled_from([0, 0, 0, 5]),
        key=st.sampled_from([None, None, "k", "l"]),
        group=st.sampled_from([None, None, "g", "h"]),
    )
    def put(self, priority: int, delay: float, key: str | None, group: str | None) -> None:
        known = [one for one in self.model.messages if key and one.key == key and one.live]
        id_ = self.queue.put(self.bodies, priority=priority, delay=delay, key=key, group=group)
        if known:
            assert id_ in [one.id for one in known]
        else:
            due = self.clock.now + delay if delay else 0.0
            self._added(id_, priority, due, key, group)

    @rule(count=st.integers(1, 4))
    def put_plain(self, count: int) -> None:
        for _ in range(count):
            self._added(self.queue.put(self.bodies))

    @rule(limit=st.integers(1, 4))
    def take(self, limit: int) -> None:
        expected = self.model.take(limit, self.clock.now)
        taken = self.queue.take(limit)
        assert [(one.id, one.body, one.attempts) for one in taken] == [
            (one.id, one.body, one.attempts) for one in expected
        ]
        for one, message in zip(expected, taken, strict=True):
            one.receipt = message.receipt
            self.receipts.append(message.receipt)

    def _settle(self, data: Any, call: Callable[[str], None]) -> ModelMessage | None:
        receipt = data.draw(st.sampled_from(self.receipts[-8:]))
        holder = self.model.holder(receipt)
        try:
            call(receipt)
        except ConflictError:
            assert holder is None
            return None
        assert holder is not None
        return holder

    @precondition(lambda self: self.receipts)
    @rule(data=st.data())
    def ack(self, data: Any) -> None:
        if (one := self._settle(data, lambda receipt: self.queue.ack(receipt))) is not None:
            one.place, one.receipt = "gone", ""

    @precondition(lambda self: self.receipts)
    @rule(data=st.data(), delay=st.sampled_from([0, 4]))
    def nack(self, data: Any, delay: float) -> None:
        one = self._settle(data, lambda receipt: self.queue.nack(receipt, delay=delay))
        if one is not None:
            one.receipt = ""
            one.due = self.clock.now + delay
            one.place = "delayed" if delay else "ready"
            if one.attempts >= ATTEMPTS:
                one.place = "dead"

    @precondition(lambda self: self.receipts)
    @rule(data=st.data())
    def release(self, data: Any) -> None:
        receipt = data.draw(st.sampled_from(self.receipts[-8:]))
        self.queue.release(receipt)
        holder = self.model.holder(receipt)
        if holder is not None:
            holder.place, holder.receipt = "ready", ""
            holder.attempts -= 1

    @precondition(lambda self: self.receipts)
    @rule(data=st.data())
    def extend(self, data: Any) -> None:
        one = self._settle(data, lambda receipt: self.queue.extend(receipt, 7))
        if one is not None:
            one.place, one.until = "leased", self.clock.now + 7

    @rule(seconds=st.sampled_from([1.0, 4.5, 11.0]))
    def time_passes(self, seconds: float) -> None:
        self.clock.advance(seconds)

    @rule(paused=st.booleans())
    def pause(self, paused: bool) -> None:
        (self.queue.pause if paused else self.queue.resume)()
        self.model.paused = paused

    @rule()
    def requeue(self) -> None:
        assert self.queue.requeue_dead() == self.model.count("dead")
        for one in self.model.messages:
            if one.place == "dead":
                one.place, one.attempts, one.due = "blocked" if one.group else "ready", 0, 0.0
        self.model.next_of_groups(self.clock.now)

    @rule(really=st.sampled_from([False, False, False, True]))
    def purge(self, really: bool) -> None:
        if really:
            assert self.queue.purge() == len(self.model.messages) - self.model.count("gone")
            self.model.messages.clear()

    @precondition(lambda self: self.persistent)
    @rule()
    def open_again(self) -> None:
        self.queue.close()
        self.queue = self._open()

    @invariant()
    def agrees(self) -> None:
        self.model.promote(self.clock.now)
        stats = self.queue.stats()
        for place in ("ready", "delayed", "leased", "blocked", "dead"):
            assert getattr(stats, place) == self.model.count(place), place
        assert stats.paused == self.model.paused
        assert [one.id for one in self.queue.peek(5)] == [one.id for one in self.model.ready()[:5]]


def queue_machine(
    open_store: Callable[[Path], QueueStore], *, persistent: bool
) -> type[RuleBasedStateMachine]:
    """The machine for the engine that `open_store` opens on a folder; its ``TestCase`` runs it."""

    class Machine(QueueMachine):
        def open_store(self, folder: Path) -> QueueStore:
            return open_store(folder)

    Machine.persistent = persistent
    return Machine

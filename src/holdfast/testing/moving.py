"""The part of the suites about moving to another engine, an optional capability of an engine.

Each check moves from one store of the engine to a second one of the same, in another folder.
"""

from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from holdfast.errors import NotFoundError
from holdfast.events.store import EventStore, NewEvent, StoredEvent
from holdfast.events.store import MovableStore as MovableEvents
from holdfast.queues.store import (
    LogEntry,
    MovableStore,
    MovableTopicStore,
    MovedMessage,
    NewMessage,
    QueueStore,
    TopicStore,
)
from holdfast.testing.report import absent
from holdfast.workflows.store import RunRow, WorkflowStore, movable

_NOW = 1_763_874_000.25

MOVED = [
    MovedMessage("q-7", b'"a"', _NOW, attempts=1, reason="once"),
    MovedMessage("q-s1", b'"b"', _NOW, priority=5, key="k", lapsed=True, attempts=1),
    MovedMessage("q-8", b'"c"', _NOW, "dead", attempts=3, reason="last", died=2),
    MovedMessage("q-9", b'"d"', _NOW + 1, group="g", due=_NOW + 50),
    MovedMessage("q-10", b'"e"', _NOW + 1, "blocked", group="g"),
    MovedMessage("q-11", b'"f"', _NOW + 2, "dead", attempts=3, died=1),
]
"""Messages of another engine, in every place."""


class QueueMoveChecks:
    """What an engine of queues must do that can take over a queue of another one."""

    def open_store(self, folder: Path) -> QueueStore:
        """The store under test."""
        raise NotImplementedError

    def test_a_queue_is_taken_over_as_it_was(self, tmp_path: Path) -> None:
        with closing(self.open_store(tmp_path)) as store:
            if not isinstance(store, MovableStore):
                absent("moving")
            assert store.take_over(iter(MOVED), paused=True)
            assert list(store.export(_NOW)) == MOVED
            assert store.stats(_NOW).paused
            assert not store.take_over(MOVED, paused=False)
            assert list(store.export(_NOW)) == MOVED
            store.pause(False)
            new = NewMessage(b'"g"', key="k")
            assert len(store.put([new, NewMessage(b'"h"', group="g")], _NOW + 3)) == 2
            taken = store.take(9, 60, 3, _NOW + 3)
            assert [(one.id, one.attempts) for one in taken] == [("q-s1", 2), ("q-7", 2)]
            store.ack([one.receipt for one in taken], _NOW + 3)
            (later,) = store.take(9, 60, 3, _NOW + 60)
            assert later.id == "q-9"
            assert [one.id for one in store.dead(9)] == ["q-11", "q-8"]
            assert store.requeue(["q-8"], _NOW + 60) == 1
            with pytest.raises(NotFoundError):
                store.requeue(["q-8"], _NOW + 60)

    def test_nothing_is_taken_over_when_the_source_fails(self, tmp_path: Path) -> None:
        def torn() -> Any:
            yield MOVED[0]
            raise NotFoundError("torn")

        with closing(self.open_store(tmp_path)) as store:
            if not isinstance(store, MovableStore):
                absent("moving")
            with pytest.raises(NotFoundError):
                store.take_over(torn(), paused=False)
            assert list(store.export(_NOW)) == []
            assert store.take_over([], paused=False)
            assert store.take_over(MOVED, paused=False)


class TopicMoveChecks:
    """What an engine of topics must do that can take over a topic of another one."""

    def open_topic_store(self, folder: Path) -> TopicStore:
        """The topic store under test."""
        absent("topics")

    @pytest.mark.parametrize("before", [0, 40])
    def test_a_topic_is_taken_over_as_it_was(self, tmp_path: Path, before: int) -> None:
        entries = [LogEntry(before + n, _NOW + n // 2, b"%d" % n) for n in range(1, 6)]
        with closing(self.open_topic_store(tmp_path)) as store:
            if not isinstance(store, MovableTopicStore):
                absent("moving")
            assert store.put_entries([], before)
            assert store.bounds() == (before, before)
            assert store.put_entries(entries[:3], before)
            assert not store.put_entries(entries[:3], before)
            assert store.put_entries(entries[3:], before + 3)
            assert store.bounds() == (before, before + 5)
            assert store.read_after(before + 1, 9) == entries[1:]
            assert store.append([b"6"], _NOW + 9) == [before + 6]
            fed = [MovedMessage("t-1", b'"x"', _NOW, position=before + 2)]
            assert store.take_over("s", before + 3, fed, paused=True)
            assert not store.take_over("s", before + 4, [], paused=True)
            assert store.cursors() == {"s": before + 3}
            with closing(store.subscription("s")) as queue:
                assert queue.cursor() == (before + 3, True)
                assert isinstance(queue, MovableStore)
                assert list(queue.export(_NOW)) == fed


class EventMoveChecks:
    """What an engine of events must do that can take over the log of another one."""

    def open_store(self, folder: Path) -> EventStore:
        """The store under test."""
        raise NotImplementedError

    def test_a_log_is_taken_over_as_it_was(self, tmp_path: Path) -> None:
        events: list[StoredEvent] = [(2, "s", 1, "t", b"{}"), (5, "s", 2, "u", b'{"key":"k"}')]
        with closing(self.open_store(tmp_path)) as store:
            if not isinstance(store, MovableEvents):
                absent("moving")
            assert store.put_events(events, {5: "k"})
            assert not store.put_events([(5, "other", 1, "t", b"{}")], {})
            assert not store.put_events([(7, "o", 1, "t", b"{}"), (6, "o", 2, "t", b"{}")], {})
            assert store.put_archive("old", 3, b'{"a":1}', 9)
            assert not store.put_archive("old", 4, b"{}", 9)
            assert [tuple(row) for row in self._all(store)] == events
            assert (store.head(), store.version("old")) == (9, 3)
            assert store.archives() == {"old": b'{"a":1}'}
            again = store.append("s", [NewEvent("t", b"1")], expect=None, key="k")
            assert again == (2, 5)
            assert store.append("s", [NewEvent("t", b"1")], expect=2, key=None) == (3, 10)

    @staticmethod
    def _all(store: EventStore) -> list[StoredEvent]:
        return store.read(stream=None, after=0, limit=100, types=None)


class WorkflowMoveChecks:
    """What an engine of workflow state must do that can take over the runs of another one."""

    def test_runs_are_taken_over_as_they_were(self, store: WorkflowStore) -> None:
        into = movable(store)
        if into is None:
            absent("moving")
        ended = RunRow(
            "ended", "demo", "failed", 1, b"{}", None, 7, 9, b"out", 12, None, 2, signals=2
        )
        begun = RunRow("begun", "demo", "running", 2, b"{}", "gone", 3, serial=4)
        asleep = RunRow("asleep", "demo", "waiting", 3, b"{}", None, 3, serial=3, due=500)
        store.save_blob("ended", "digest", b"large")
        steps, signals = [(1, b"one"), (3, b"three")], [(1, b"a"), (2, b"b")]
        assert into.put_run(ended, steps, signals, ["digest"])
        assert into.put_run(begun, steps[:1], [], [])
        assert into.put_run(asleep, [], [], [])
        assert not into.put_run(begun._replace(serial=20), [], [], [])
        assert not into.put_run(ended._replace(id="other"), [], [], [])
        assert store.list_runs() == [ended, begun, asleep]
        assert list(map(tuple, store.read_steps("ended", after=0, limit=9))) == steps
        assert list(map(tuple, store.read_signals("ended", after=0))) == signals
        assert store.read_blob("digest") == b"large"
        assert [run.id for run in store.ready_runs(now=600, limit=9)] == ["asleep"]
        assert store.count_runs() == {"failed": 1, "running": 1, "waiting": 1}
        assert store.claim_run("begun", epoch=3, owner="me")
        assert store.record_step("begun", epoch=4, position=2, body=b"two")
        assert not store.record_step("begun", epoch=4, position=1, body=b"again")
        created = RunRow("later", "demo", "running", 9, b"{}")
        assert store.create_run(created) is None
        newest = store.list_runs(limit=1)[0]
        assert newest.id == "later"
        assert newest.serial > 12
        assert store.delete_runs(finished_before=99, limit=9) == ["ended"]
        assert store.read_blob("digest") is None

    def test_the_names_of_notes(self, store: WorkflowStore) -> None:
        into = movable(store)
        if into is None:
            absent("moving")
        assert into.note_names() == []
        assert store.swap_note("b", None, b"1")
        assert store.swap_note("a", None, b"2")
        assert into.note_names() == ["a", "b"]

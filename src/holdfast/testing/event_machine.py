"""A state machine that drives any event engine against a model (needs hypothesis)."""

import shutil
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from holdfast.errors import ConflictError
from holdfast.events import Event, EventLog, EventStore

_STREAMS = ("a", "a-1", "b")
_TYPES = ("x", "y")
ModelEvent = tuple[int, str, int, str, int]  # position, stream, version, type, data


class EventModel:
    """The meaning of an event log in a list, slow and obvious."""

    def __init__(self) -> None:
        self.events: list[ModelEvent] = []
        self.archived: dict[str, list[ModelEvent]] = {}
        self.keys: dict[tuple[str, str], tuple[int, int]] = {}
        self.head = 0
        self.handled = 0

    def line(self, stream: str) -> list[ModelEvent]:
        """The events of a stream."""
        return [event for event in self.events if event[1] == stream]

    def version(self, stream: str) -> int:
        """The version of the stream, archived or not."""
        line = self.archived.get(stream) or self.line(stream)
        return line[-1][2] if line else 0

    def append(self, stream: str, type_: str, data: int) -> tuple[int, int]:
        """Add an event; its version and position."""
        self.head += 1
        version = self.version(stream) + 1
        self.events.append((self.head, stream, version, type_, data))
        return version, self.head


class EventMachine(RuleBasedStateMachine):
    """Random calls to an engine, each answer compared with the model's."""

    persistent = False

    def open_store(self, folder: Path) -> EventStore:
        """The store under test."""
        raise NotImplementedError

    def __init__(self) -> None:
        super().__init__()
        self.folder = Path(tempfile.mkdtemp(prefix="holdfast-events-"))
        self.model = EventModel()
        self.data = 0
        self.files = 0
        self.log = EventLog(store=self.open_store(self.folder))

    def teardown(self) -> None:
        self.log.close()
        shutil.rmtree(self.folder)

    @rule(
        stream=st.sampled_from(_STREAMS),
        type_=st.sampled_from(_TYPES),
        off=st.sampled_from([None, None, 0, -1, 1]),
        key=st.sampled_from([None, None, None, "k", "l"]),
    )
    def append(self, stream: str, type_: str, off: int | None, key: str | None) -> None:
        version = self.model.version(stream)
        expect = None if off is None else max(0, version + off)
        known = self.model.keys.get((stream, key)) if key is not None else None
        refused = stream in self.model.archived or expect not in (None, version)
        self.data += 1
        try:
            appended = self.log.append(stream, type_, self.data, expect=expect, key=key)
        except ConflictError:
            assert refused
            assert known is None or stream in self.model.archived
            return
        if known is not None:
            assert appended == known
            return
        assert not refused
        assert appended == self.model.append(stream, type_, self.data)
        if key is not None:
            self.model.keys[stream, key] = (appended.version, appended.position)

    @rule(stream=st.sampled_from(_STREAMS), types=st.lists(st.sampled_from(_TYPES), min_size=1))
    def append_many(self, stream: str, types: list[str]) -> None:
        events = [(type_, self.data + number) for number, type_ in enumerate(types)]
        self.data += len(types)
        if stream in self.model.archived:
            with _refused():
                self.log.append_many(stream, events)
            return
        appended = self.log.append_many(stream, events, expect=self.model.version(stream))
        places = [self.model.append(stream, *event) for event in events]
        assert appended == places[-1]

    @rule(
        stream=st.sampled_from([None, *_STREAMS]),
        from_=st.integers(1, 12),
        limit=st.sampled_from([None, 1, 3]),
        types=st.sampled_from([None, ["x"], ["x", "y"], ["z"]]),
    )
    def read(
        self, stream: str | None, from_: int, limit: int | None, types: list[str] | None
    ) -> None:
        line = self.model.events if stream is None else self.model.line(stream)
        expected = [
            event
            for event in line
            if (event[0] if stream is None else event[2]) >= from_
            and (types is None or event[3] in types)
        ]
        found = self.log.read(stream, from_=from_, limit=limit, types=types)
        assert [_facts(event) for event in found] == expected[:limit]

    @rule(count=st.integers(0, 5))
    def handle(self, count: int) -> None:
        seen: list[Event] = []
        for event in self.log.subscribe("s", wait=0, batch=2):
            if len(seen) == count:
                break  # what is in hand now comes again
            seen.append(event)
        left = [event for event in self.model.events if event[0] > self.model.handled]
        assert [_facts(event) for event in seen] == left[:count]
        if seen:
            self.model.handled = seen[-1].position
        if len(left) <= count:
            self.model.handled = max(self.model.handled, self.model.head)

    @precondition(lambda self: self.model.events)
    @rule(stream=st.sampled_from(_STREAMS))
    def archive(self, stream: str) -> None:
        if stream in self.model.archived or not self.model.version(stream):
            return
        self.files += 1
        self.log.archive(stream, self.folder / f"{self.files}.jsonl")
        self.model.archived[stream] = self.model.line(stream)
        self.model.events = [event for event in self.model.events if event[1] != stream]

    @precondition(lambda self: self.model.archived)
    @rule()
    def unarchive(self) -> None:
        stream, events = self.model.archived.popitem()
        assert [_facts(event) for event in self.log.read(stream, archived=True)] == events
        assert self.log.unarchive(stream) == len(events)
        self.model.events = sorted([*self.model.events, *events])

    @precondition(lambda self: self.persistent)
    @rule()
    def open_again(self) -> None:
        self.log.close()
        self.log = EventLog(store=self.open_store(self.folder))

    @invariant()
    def agrees(self) -> None:
        model = self.model
        assert [_facts(event) for event in self.log.read()] == model.events
        assert self.log.position() == model.head
        listed = [(name, model.version(name)) for name in _STREAMS if model.line(name)]
        assert list(self.log.streams()) == listed
        assert self.log.subscriptions().get("s", 0) == model.handled


def _facts(event: Event) -> ModelEvent:
    return (event.position, event.stream, event.version, event.type, event.data)


def _refused() -> Any:
    import pytest

    return pytest.raises(ConflictError)


def event_machine(
    open_store: Callable[[Path], EventStore], *, persistent: bool
) -> type[RuleBasedStateMachine]:
    """The machine for the engine that `open_store` opens on a folder; its ``TestCase`` runs it."""

    class Machine(EventMachine):
        def open_store(self, folder: Path) -> EventStore:
            return open_store(folder)

    Machine.persistent = persistent
    return Machine

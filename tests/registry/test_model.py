"""A state machine: the registry against a plain dict, over reopening, undo and hand edits."""

import json
import tempfile
from pathlib import Path
from typing import Any

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule

from holdfast.durable.documents import encode
from holdfast.errors import ConflictError, NotFoundError
from holdfast.registry import GROUPS
from tests.registry.conftest import open_registry

Model = dict[str, dict[str, dict[str, Any]]]

IDS = st.sampled_from(["a", "b", "c", "director-agent", "x.1"])
TEXTS = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"), min_size=1)
VALUES = st.recursive(
    st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | TEXTS,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(TEXTS, inner, max_size=3),
    max_leaves=5,
)


class RegistryMachine(RuleBasedStateMachine):
    """`published` holds the bytes the history must consist of, `model` what the file must say."""

    def __init__(self) -> None:
        super().__init__()
        self.folder = tempfile.TemporaryDirectory()
        self.root = Path(self.folder.name)
        self.registry = open_registry(self.root, durability="process", keep=6)
        self.model: Model = {group: {} for group in GROUPS}
        self.published: list[bytes] = []
        self.edits = 0

    def teardown(self) -> None:
        self.folder.cleanup()

    def home_of(self, agent_id: str) -> str | None:
        return next((group for group, entries in self.model.items() if agent_id in entries), None)

    def publish(self, content: bytes) -> None:
        if self.published[-1:] != [content]:
            self.published = [*self.published, content][-6:]

    def changed(self) -> None:
        """The model was changed by a call: the file must now hold it as people read JSON."""
        self.publish(encode({"agentRegistry": self.model}))

    @rule(agent_id=IDS, group=st.sampled_from(GROUPS), name=TEXTS, owner=VALUES)
    def add(self, agent_id: str, group: str, name: str, owner: Any) -> None:
        if self.home_of(agent_id) is not None:
            with pytest.raises(ConflictError):
                self.registry.add(agent_id, path="/p", group=group)
            return
        self.registry.add(agent_id, path="/p", group=group, name=name, owner=owner)
        entry = {"name": name, "path": "/p", "status": "active", "owner": owner}
        self.model[group][agent_id] = entry
        self.changed()

    @rule(agent_id=IDS, number=st.integers(), key=st.sampled_from("km"), value=st.none() | VALUES)
    def update(self, agent_id: str, number: int, key: str, value: Any) -> None:
        home = self.home_of(agent_id)
        if home is None:
            with pytest.raises(NotFoundError):
                self.registry.update(agent_id, status="x")
            return
        entry = self.model[home][agent_id]
        before = encode(entry)
        self.registry.update(agent_id, number=number, **{key: value})
        entry["number"] = number
        entry.pop(key, None) if value is None else entry.update({key: value})
        if encode(entry) != before:
            self.changed()

    @rule(agent_id=IDS, group=st.sampled_from(GROUPS))
    def move(self, agent_id: str, group: str) -> None:
        home = self.home_of(agent_id)
        if home is None or home == group:
            return
        self.registry.update(agent_id, group=group)
        self.model[group][agent_id] = self.model[home].pop(agent_id)
        self.changed()

    @rule(agent_id=IDS)
    def remove(self, agent_id: str) -> None:
        home = self.home_of(agent_id)
        if home is None:
            with pytest.raises(NotFoundError):
                self.registry.remove(agent_id)
            return
        self.registry.remove(agent_id)
        del self.model[home][agent_id]
        self.changed()

    @rule()
    def undo(self) -> None:
        earlier = [content for content in self.published if content != self.published[-1]]
        if not earlier:
            with pytest.raises(NotFoundError):
                self.registry.undo()
            return
        self.registry.undo()
        self.brought_back(earlier[-1])

    @rule(position=st.integers(0, 5))
    def undo_to(self, position: int) -> None:
        if position < len(self.published):
            self.registry.undo(self.registry.generations()[position].number)
            self.brought_back(self.published[position])

    def brought_back(self, content: bytes) -> None:
        self.model = json.loads(content)["agentRegistry"]
        self.publish(content)

    @rule(undone=st.booleans())
    def edit_by_hand(self, undone: bool) -> None:
        """Another program writes the file; whatever is called next must keep that version."""
        if not self.published:
            return
        self.edits += 1
        self.model["production"]["by-hand"] = {"name": "x", "path": "/p", "status": "active"}
        self.model["production"]["by-hand"]["edits"] = self.edits
        content = json.dumps({"agentRegistry": self.model}).encode()
        self.registry.path.write_bytes(content)
        self.publish(content)
        if undone:
            self.undo()
        else:
            self.remove("by-hand")

    @rule()
    def reopen(self) -> None:
        self.registry = open_registry(self.root, durability="process", keep=6)

    @invariant()
    def agrees(self) -> None:
        shown = {(agent.group, agent.id): agent for agent in self.registry.list()}
        wanted = {
            (g, i): entry for g, entries in self.model.items() for i, entry in entries.items()
        }
        assert shown.keys() == wanted.keys()
        for key, entry in wanted.items():
            agent = shown[key]
            known = {"name": agent.name, "path": agent.path, "status": agent.status}
            assert {**known, **agent.further} == entry
        kept = [generation.path.read_bytes() for generation in self.registry.generations()]
        assert kept == self.published
        assert not kept or self.registry.path.read_bytes() == kept[-1]


TestRegistry = RegistryMachine.TestCase
TestRegistry.settings = settings(max_examples=40, stateful_step_count=25, deadline=None)

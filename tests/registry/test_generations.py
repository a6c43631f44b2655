import json
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from holdfast.errors import CorruptError, NotFoundError, UsageError
from holdfast.registry import AgentRegistry
from tests.registry.conftest import SEED, open_registry, write


def ids(registry: AgentRegistry) -> list[str]:
    return [agent.id for agent in registry.list()]


def test_every_published_version_is_a_plain_file_named_by_order_and_time(
    registry: AgentRegistry, tmp_path: Path
) -> None:
    registry.add("a", path="/a")
    registry.add("b", path="/b")
    folder = tmp_path / "state" / "generations" / "agent-registry"
    first, second = registry.generations()
    assert [first.path, second.path] == sorted(folder.iterdir())
    assert (first.number, second.number) == (1, 2)
    assert datetime.now(UTC) - second.published_at < timedelta(minutes=5)
    assert second.path.read_bytes() == registry.path.read_bytes()
    assert list(json.loads(first.path.read_bytes())["agentRegistry"]["production"]) == ["a"]
    assert [agent.id for agent in registry.agents_in(first)] == ["a"]


def test_the_version_found_at_first_and_those_edited_by_hand_are_kept(
    registry: AgentRegistry,
) -> None:
    found = write(registry.path, SEED)
    registry.add("b", path="/b")
    edited = write(registry.path, {**SEED, "note": "by hand"})
    registry.add("c", path="/c")
    kept = [generation.path.read_bytes() for generation in registry.generations()]
    assert len(kept) == 4
    assert (kept[0], kept[2], kept[3]) == (found, edited, registry.path.read_bytes())


def test_undo_goes_back_and_can_be_undone(registry: AgentRegistry) -> None:
    registry.add("a", path="/a")
    registry.add("b", path="/b")
    registry.add("c", path="/c")
    assert registry.undo().number == 2
    assert ids(registry) == ["a", "b"]
    assert registry.undo().number == 3
    assert ids(registry) == ["a", "b", "c"]
    assert registry.undo(1).number == 1
    assert ids(registry) == ["a"]
    assert [generation.number for generation in registry.generations()] == [1, 2, 3, 4, 5, 6]


def test_undo_after_an_edit_by_hand_keeps_the_edit(registry: AgentRegistry) -> None:
    registry.add("a", path="/a")
    write(registry.path, SEED)
    assert registry.undo().number == 1
    assert ids(registry) == ["a"]
    assert registry.undo().number == 2
    assert ids(registry) == ["agent-id"]


def test_generations_are_bounded_and_their_numbers_go_on(tmp_path: Path) -> None:
    registry = open_registry(tmp_path, keep=3)
    for number in range(6):
        registry.add(f"a{number}", path=f"/{number}")
    assert [generation.number for generation in registry.generations()] == [4, 5, 6]
    with pytest.raises(NotFoundError, match="no generation 3"):
        registry.undo(3)
    with pytest.raises(UsageError):
        open_registry(tmp_path, keep=1)


def test_there_is_nothing_before_the_first(registry: AgentRegistry) -> None:
    with pytest.raises(NotFoundError):
        registry.undo()
    registry.add("a", path="/a")
    with pytest.raises(NotFoundError):
        registry.undo()
    assert ids(registry) == ["a"]


def test_a_damaged_generation_is_never_brought_back(registry: AgentRegistry) -> None:
    registry.add("a", path="/a")
    registry.add("b", path="/b")
    registry.add("c", path="/c")
    second = registry.generations()[1]
    second.path.write_bytes(second.path.read_bytes()[:-9])
    with pytest.raises(CorruptError, match="generation 2 was damaged"):
        registry.undo(2)
    assert ids(registry) == ["a", "b", "c"]
    assert registry.undo().number == 1


def test_foreign_files_beside_the_generations_are_left_alone(registry: AgentRegistry) -> None:
    registry.add("a", path="/a")
    folder = registry.generations()[0].path.parent
    (folder / "notes.txt").write_text("mine", encoding="utf-8")
    (folder / "000009-20269999T999999Z-0123456789abcdef.json").write_text("{}", encoding="utf-8")
    registry.add("b", path="/b")
    assert [generation.number for generation in registry.generations()] == [1, 2]
    assert (folder / "notes.txt").read_text(encoding="utf-8") == "mine"

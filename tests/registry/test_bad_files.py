"""Promise 2: what cannot be read is never taken for empty and never overwritten."""

import json
from pathlib import Path

import pytest

from holdfast.durable.quarantine import Quarantine
from holdfast.errors import NewerFormatError, NotFoundError, UnreadableError
from holdfast.registry import AgentRegistry
from tests.registry.conftest import SEED, write

GOOD = json.dumps(SEED, indent=2).encode()

BAD = {
    "empty": (b"", 1, 1),
    "blank": (b" \n\n", 1, 1),
    "NUL-filled": (b"\0" * 4096, 1, 1),
    "truncated": (GOOD[: len(GOOD) // 2], None, None),
    "NUL tail": (GOOD[:-20] + b"\0" * 20, None, None),
    "no JSON": (b"name: x\n", 1, 1),
    "not UTF-8": (b'{"agentRegistry": {"\xff": {}}}', 1, 21),
    "duplicate id": (b'{"agentRegistry": {"p": {"a": {},\n "a": {}}}}', 2, 2),
    "duplicate root": (b'{"agentRegistry": {},\n  "agentRegistry": {}}', 2, 3),
    "array": (b"[]", 1, 1),
    "null": (b"null", 1, 1),
    "no root key": (b"{}", 1, 1),
    "root of a wrong type": (b'{"agentRegistry": []}', 1, 2),
    "group of a wrong type": (b'{"agentRegistry": {\n"p": 3}}', 2, 1),
    "entry of a wrong type": (b'{"agentRegistry": {"p": {"b": {},\n "a": "x"}}}', 2, 2),
    "path of a wrong type": (b'{"agentRegistry": {"p": {"a":\n  {"path": 7}}}}', 2, 4),
    "version of a wrong type": (b'{"agentRegistry": {},\n"formatVersion": "1"}', 2, 1),
    "NaN": (b'{"agentRegistry": {}, "x": NaN}', None, None),
    "a number beyond any": (b'{"agentRegistry": {}, "x": 1e999}', None, None),
    "half a surrogate pair": (b'{"agentRegistry": {}, "x": "\\ud800"}', None, None),
    "nested too deeply": (b'{"agentRegistry": ' + b"[" * 100_000, 1, 1),
}


def calls_of(registry: AgentRegistry, tmp_path: Path) -> list[object]:
    return [
        registry.list,
        registry.validate,
        lambda: registry.get("a"),
        lambda: registry.add("b", path="/b"),
        lambda: registry.update("a", status="x"),
        lambda: registry.remove("a"),
        lambda: registry.discover_agents(tmp_path),
    ]


@pytest.mark.parametrize("kind", BAD)
def test_an_unreadable_file_is_an_error_with_its_place_and_stays_as_it_is(
    registry: AgentRegistry, tmp_path: Path, kind: str
) -> None:
    content, line, column = BAD[kind]
    write(registry.path, content)
    for call in calls_of(registry, tmp_path):
        with pytest.raises(UnreadableError) as caught:
            call()  # type: ignore[operator]
        assert caught.value.path == registry.path
        assert "nothing was changed" in (caught.value.hint or "")
        if line is not None:
            assert (caught.value.line, caught.value.column) == (line, column)
    assert registry.path.read_bytes() == content
    assert registry.generations() == []


@pytest.mark.parametrize("kind", BAD)
def test_undo_keeps_the_unreadable_file_and_brings_the_newest_generation_back(
    registry: AgentRegistry, tmp_path: Path, kind: str
) -> None:
    registry.add("a", path="/a")
    registry.add("b", path="/b")
    good = registry.path.read_bytes()
    write(registry.path, BAD[kind][0])
    with pytest.raises(UnreadableError, match="holdfast agents undo"):
        registry.list()
    assert registry.undo().number == 2
    assert registry.path.read_bytes() == good
    (kept,) = Quarantine(tmp_path / "state" / "quarantine").list_entries()
    item = tmp_path / "state" / "quarantine" / kept.id / "item"
    assert item.read_bytes() == BAD[kind][0]


def test_without_a_generation_undo_of_an_unreadable_file_changes_nothing(
    registry: AgentRegistry,
) -> None:
    write(registry.path, b"{")
    with pytest.raises(NotFoundError, match="no earlier generation"):
        registry.undo()
    assert registry.path.read_bytes() == b"{"


def test_a_newer_file_is_refused_also_by_undo(registry: AgentRegistry, tmp_path: Path) -> None:
    registry.add("a", path="/a")
    content = write(registry.path, {"agentRegistry": {"p": []}, "formatVersion": 2})
    for call in [*calls_of(registry, tmp_path), registry.undo]:
        with pytest.raises(NewerFormatError, match="upgrade Holdfast"):
            call()  # type: ignore[operator]
    assert registry.path.read_bytes() == content


def test_a_registry_that_is_gone_is_no_empty_one(registry: AgentRegistry) -> None:
    registry.add("a", path="/a")
    content = registry.path.read_bytes()
    registry.path.unlink()
    for call in (registry.list, lambda: registry.add("b", path="/b")):
        with pytest.raises(UnreadableError, match=r"gone.*holdfast agents undo"):
            call()
    registry.undo()
    assert registry.path.read_bytes() == content


def test_a_folder_in_the_files_place_is_an_error(registry: AgentRegistry) -> None:
    registry.path.mkdir()
    with pytest.raises(Exception, match="cannot read the file"):
        registry.list()

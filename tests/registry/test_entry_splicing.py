"""The fast way to change entries writes exactly what the slow way would."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from holdfast.registry import GroupedRegistry
from holdfast.registry.entries import AGENTS
from holdfast.registry.grouped import Groups

_texts = st.text(max_size=4)
_entries = st.dictionaries(
    st.sampled_from(["name", "path", "x", "y"]),
    st.none() | _texts | st.dictionaries(_texts, st.lists(_texts, max_size=2), max_size=2),
    max_size=3,
)
_steps = st.lists(
    st.tuples(
        st.sampled_from(["set", "drop", "change", "move", "all", "none"]),
        st.sampled_from(["production", "staging"]),
        st.sampled_from(["a", "b", 'a"b', "ä", "production"]),
        _entries,
    ),
    max_size=8,
)


def edit_of(step: tuple[str, str, str, dict[str, Any]]) -> Callable[[Groups], None]:
    kind, group, key, entry = step
    typed = {name: value for name, value in entry.items() if name in ("x", "y")}

    def edit(groups: Groups) -> None:
        entries = groups[group]
        if kind == "set":
            entries[key] = typed
        elif kind == "drop":
            entries.pop(key, None)
        elif kind == "change" and key in entries:
            entries[key].update(typed)
        elif kind == "move" and key in entries:
            groups["development"][key] = entries.pop(key)
        elif kind == "all":
            for each in entries.values():
                each["x"] = "all"

    return edit


@given(steps=_steps)
def test_both_ways_write_the_same(tmp_path_factory: pytest.TempPathFactory, steps: Any) -> None:
    folder = tmp_path_factory.mktemp("r")

    def registry(name: str) -> GroupedRegistry:
        return GroupedRegistry(
            AGENTS,
            folder / name,
            generations=folder / f"{name}.generations",
            locks=folder / "locks",
            durability="process",
        )

    fast = registry("fast.json")
    for step in steps:
        fast.change("test", edit_of(step))
        registry("slow.json").change("test", edit_of(step))  # knows nothing of the file before
        present = [folder / "fast.json", folder / "slow.json"]
        texts = [each.read_bytes() for each in present if each.exists()]
        assert len(set(texts)) <= 1
        if texts:
            assert fast.read().groups == json.loads(texts[0])["agentRegistry"]
            assert texts[0] == msgspec.json.format(texts[0], indent=2) + b"\n"


def test_what_an_edit_keeps_does_not_reach_the_cache(tmp_path: Path) -> None:
    registry = GroupedRegistry(
        AGENTS, tmp_path / "r.json", generations=tmp_path / "g", locks=tmp_path / "l"
    )
    registry.change("add", lambda groups: groups["production"].update(a={"x": [1]}))
    kept: list[Any] = []

    def keep(groups: Groups) -> None:
        kept.append(groups["production"]["a"])
        kept[0]["x"].append(2)

    registry.change("keep", keep)
    kept[0]["x"].append(3)
    assert registry.read().groups["production"]["a"] == {"x": [1, 2]}
    registry.change("again", lambda groups: groups["production"]["a"].update(y=1))
    assert json.loads(registry.path.read_bytes())["agentRegistry"]["production"]["a"] == {
        "x": [1, 2],
        "y": 1,
    }


def adding(name: str) -> Callable[[Groups], None]:
    return lambda groups: groups["production"].update({name: {}})


def test_a_change_by_another_is_seen(tmp_path: Path) -> None:
    def registry() -> GroupedRegistry:
        return GroupedRegistry(
            AGENTS, tmp_path / "r.json", generations=tmp_path / "g", locks=tmp_path / "l"
        )

    first, second = registry(), registry()
    for number in range(3):
        for one, name in ((first, f"a{number}"), (second, f"b{number}")):
            one.change("add", adding(name))
    assert len(first.read().groups["production"]) == 6
    assert [each.read() for each in first.generations()][-1] == first.path.read_bytes()
    assert len(first.generations()) == 6

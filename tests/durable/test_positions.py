"""Positions agree with what json.loads reads."""

import json
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from holdfast.durable import positions

texts = st.text(st.characters(exclude_categories=["Cs"]), max_size=8)
scalars = st.none() | st.booleans() | st.integers() | texts | st.floats(allow_nan=False)
values = st.recursive(
    scalars,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(texts, inner, max_size=4),
    max_leaves=20,
)


def places(data: Any, path: positions.Path = ()) -> list[tuple[positions.Path, Any]]:
    found = [(path, data)]
    if isinstance(data, dict):
        for key, value in data.items():
            found += places(value, (*path, key))
    elif isinstance(data, list):
        for index, value in enumerate(data):
            found += places(value, (*path, index))
    return found


@given(values, st.sampled_from([None, 2]), st.booleans())
def test_walk_agrees_with_json(data: Any, indent: int | None, ascii_only: bool) -> None:
    text = " \r\n" + json.dumps(data, indent=indent, ensure_ascii=ascii_only) + "\n"
    walked = list(positions.walk(text))
    assert [path for path, _, _ in walked] == [path for path, _ in places(data)]
    decoder = json.JSONDecoder()
    for (_, key_at, at), (path, value) in zip(walked, places(data), strict=True):
        assert decoder.raw_decode(text, at)[0] == value
        if key_at >= 0:
            assert decoder.raw_decode(text, key_at)[0] == path[-1]


@given(st.text(max_size=60), st.data())
def test_position_and_offset_are_one(text: str, draw: st.DataObject) -> None:
    offset = draw.draw(st.integers(0, len(text)))
    at = positions.position_at(text, offset)
    lines = text.split("\n")
    assert sum(len(line) + 1 for line in lines[: at.line - 1]) + at.column - 1 == offset


def test_deep_nesting_does_not_exhaust_the_stack() -> None:
    depth = 3000
    text = "[" * depth + "]" * depth
    assert sum(1 for _ in positions.walk(text)) == depth


def test_duplicates_in_nested_objects() -> None:
    text = '{"a": [{"b": 1}, {"b": 1, "\\u0062": 2}],\n "c": {"a": 1}}'
    found = positions.first_duplicate_key(text)
    assert found == ("b", positions.Position(1, text.index('"\\u0062"') + 1))
    assert positions.first_duplicate_key('{"a": {"a": {"a": 1}}}') is None


def test_bytes_count_as_characters() -> None:
    data = "é\né€x".encode()
    assert positions.position_of_byte(data, data.index(b"x")) == positions.Position(2, 3)


def test_an_unknown_path_has_no_position() -> None:
    assert positions.position_of_path('{"a": 1}', ("b",)) is None
    assert positions.position_of_path('{"a": [5, 6]}', ("a", 1)) == positions.Position(1, 11)

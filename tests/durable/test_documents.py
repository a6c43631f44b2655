"""Documents: read strictly, refused with line and column, round-tripped exactly."""

from pathlib import Path
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from holdfast.durable.documents import (
    Document,
    convert,
    digest_of,
    encode,
    parse_object,
    read_document,
    write_document,
)
from holdfast.errors import ConflictError, NewerFormatError, NotFoundError, UnreadableError

PATH = Path("registry.json")

numbers = st.integers() | st.floats(allow_nan=False, allow_infinity=False)
texts = st.text(st.characters(exclude_categories=["Cs"]))
values = st.recursive(
    st.none() | st.booleans() | numbers | texts,
    lambda inner: st.lists(inner, max_size=5) | st.dictionaries(texts, inner, max_size=5),
    max_leaves=20,
)
objects = st.dictionaries(texts.filter(lambda key: key != "formatVersion"), values, max_size=6)


@given(objects)
def test_any_object_round_trips(data: dict[str, Any]) -> None:
    assert parse_object(encode(data), PATH) == data


@given(objects)
def test_a_mark_and_windows_newlines_are_accepted(data: dict[str, Any]) -> None:
    content = b"\xef\xbb\xbf" + encode(data).replace(b"\n", b"\r\n")
    assert parse_object(content, PATH) == data


@given(objects, st.data())
def test_any_truncation_is_refused_where_it_is(data: dict[str, Any], draw: st.DataObject) -> None:
    content = encode(data).rstrip(b"\n")
    cut = content[: draw.draw(st.integers(0, len(content) - 1))]
    with pytest.raises(UnreadableError) as caught:
        parse_object(cut, PATH)
    lines = cut.decode("utf-8", "replace").split("\n")
    assert caught.value.line is not None
    assert 1 <= caught.value.line <= len(lines)
    assert caught.value.column is not None
    assert 1 <= caught.value.column <= len(lines[caught.value.line - 1]) + 1


@pytest.mark.parametrize(
    ("content", "cause", "line", "column"),
    [
        (b"", "is empty", 1, 1),
        (b"\xef\xbb\xbf", "is empty", 1, 1),
        (b" \r\n", "nothing but blanks or NULs", 1, 1),
        (bytes(4096), "nothing but blanks or NULs", 1, 1),
        (b'{"a": 1,\n "b": ', "not valid JSON", 2, 7),
        (b'{"a": 1}\0\0\0\0', "not valid JSON", 1, 9),
        (b'{\r\n"a": 1\r\n}}', "not valid JSON", 3, 2),
        (b'{"a": 1}{"a": 2}', "not valid JSON", 1, 9),
        (b"[1, 2]", "an array", 1, 1),
        (b'"text"', "a string", 1, 1),
        (b"null", "null", 1, 1),
        (b"true", "a boolean", 1, 1),
        (b"1.5", "a number", 1, 1),
        (b'{"a": {"b": 1,\n  "c": 2, "b": 3}}', "the key 'b' stands twice", 2, 11),
        (b'{"\xc3\xa9": 1,\n "e": "\xff"}', "not UTF-8", 2, 8),
        (b"\xff\xfe{\0}\0", "not UTF-8", 1, 1),
        (b'{"a": NaN}', "NaN is no number", 1, 7),
        (b'{"a":\n [1, -Infinity]}', "-Infinity is no number", 2, 6),
        (b'{"a": 1e999}', "1e999 is no number", 1, 7),
        (b'{"a": ' + b"9" * 5000 + b"}", "is no number", 1, 7),
        (b'{"a":' * 200_000, "nested too deeply", 1, 1),
        (b'{"a": 1, /* x */ "b": 2}', "not valid JSON", 1, 10),
    ],
)
def test_bad_input_names_cause_line_and_column(
    tmp_path: Path, content: bytes, cause: str, line: int, column: int
) -> None:
    path = tmp_path / "registry.json"
    path.write_bytes(content)
    with pytest.raises(UnreadableError) as caught:
        read_document(path)
    assert cause in caught.value.message
    assert (caught.value.line, caught.value.column) == (line, column)
    assert caught.value.path == path
    assert caught.value.hint
    assert path.read_bytes() == content


def test_absent_is_not_empty(tmp_path: Path) -> None:
    with pytest.raises(NotFoundError):
        read_document(tmp_path / "none.json")


@pytest.mark.parametrize("version", ["2", None, 1.5, True, 0, -1, [1]])
def test_a_version_that_is_none_is_refused(tmp_path: Path, version: object) -> None:
    write_document(tmp_path / "d.json", {"name": "x", "formatVersion": version})
    with pytest.raises(UnreadableError, match="whole number") as caught:
        read_document(tmp_path / "d.json")
    assert caught.value.line == 3


def test_newer_formats_are_refused_and_kept(tmp_path: Path) -> None:
    path = tmp_path / "d.json"
    write_document(path, {"formatVersion": 3})
    before = path.read_bytes()
    with pytest.raises(NewerFormatError, match="format 3"):
        read_document(path, newest=2)
    assert path.read_bytes() == before
    assert read_document(path, newest=3).data == {"formatVersion": 3}


def test_writing_is_readable_and_exact(tmp_path: Path) -> None:
    path = tmp_path / "d.json"
    digest = write_document(path, {"b": 1, "a": ["é"]})
    assert path.read_bytes() == '{\n  "b": 1,\n  "a": [\n    "é"\n  ]\n}\n'.encode()
    assert digest == digest_of(path.read_bytes()) == read_document(path).digest
    with pytest.raises(ConflictError):
        write_document(path, {}, exclusive=True)


def test_what_json_cannot_hold_is_not_written(tmp_path: Path) -> None:
    for value in (float("nan"), float("inf")):
        with pytest.raises(ValueError, match="JSON"):
            write_document(tmp_path / "d.json", {"a": value})
    assert not (tmp_path / "d.json").exists()


def test_file_names_that_are_no_text_survive(tmp_path: Path) -> None:
    write_document(tmp_path / "d.json", {"origin": "/srv/caf\udce9"})
    assert read_document(tmp_path / "d.json").data == {"origin": "/srv/caf\udce9"}


class Agent(msgspec.Struct):
    name: str
    path: str
    tags: list[str] = []
    more: dict[str, int] = {}


class Registry(msgspec.Struct):
    production: dict[str, Agent]
    other: dict[str, dict[str, Agent]] = {}


GOOD = {"name": "n", "path": "p"}


@pytest.mark.parametrize(
    ("data", "where"),
    [
        ({"production": []}, "production"),
        ({"production": {"a": GOOD, "b": {"name": "n"}}}, "production.b"),
        ({"production": {"a": GOOD, "b": {**GOOD, "path": 1}}}, "production.b.path"),
        ({"production": {"a": {**GOOD, "tags": ["x", 2]}}}, "production.a.tags.1"),
        ({"production": {"a": {**GOOD, "more": {"x": 1, "y": "2"}}}}, "production.a.more.y"),
        (
            {"production": {}, "other": {"g": {"ok": GOOD, "bad": {}}, "h": {"bad too": {}}}},
            "other.g.bad",
        ),
        ({"production": {"a.b[0]": {**GOOD, "name": None}}}, "production.a.b[0].name"),
    ],
)
def test_a_wrong_type_names_the_very_place(tmp_path: Path, data: object, where: str) -> None:
    path = tmp_path / "registry.json"
    write_document(path, data)
    with pytest.raises(UnreadableError) as caught:
        convert(read_document(path), Registry)
    assert caught.value.message.endswith(f" at {where}")
    line = path.read_text("utf-8").split("\n")[(caught.value.line or 0) - 1]
    assert line[(caught.value.column or 0) - 1 :].startswith(
        '"' if not where[-1].isdigit() else "2"
    )


def test_a_missing_key_at_the_root(tmp_path: Path) -> None:
    write_document(tmp_path / "d.json", {})
    with pytest.raises(UnreadableError, match="`production` at the document") as caught:
        convert(read_document(tmp_path / "d.json"), Registry)
    assert (caught.value.line, caught.value.column) == (1, 1)


def test_conversion_needs_no_file() -> None:
    made = Document(PATH, {"production": {"a": GOOD}}, "")
    assert convert(made, Registry).production["a"].path == "p"
    with pytest.raises(UnreadableError):
        convert(Document(PATH, {"production": 1}, ""), Registry)

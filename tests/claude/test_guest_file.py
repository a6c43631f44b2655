"""A guest's file keeps every byte that nobody asked to change, in every form it comes in."""

import json
import os
import sys
import threading
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from holdfast.claude.guest_file import GuestFile, Put, Remove, value_at
from holdfast.claude.splicing import apply_changes
from holdfast.durable.faults import armed
from holdfast.errors import (
    BusyError,
    ConflictError,
    NotFoundError,
    RefusedError,
    UnreadableError,
    UsageError,
)
from tests.conftest import Runner, was_killed

CLIENT = b"""{
  "firstStartTime": "2026-11-25T15:13:41.111Z",
  "numbers": [1.50, 1e3, -0],
  "mcpServers": {
    "foo": {
      "type": "stdio",
      "command": "echo",
      "args": [
        "hi"
      ],
      "env": {}
    }
  },
  "projects": {
    "C:/Users/Corbin": {"allowedTools": [ ], "mcpServers": {}},
    "c:/users/corbin": {"allowedTools": []}
  },
  "half": "\\ud83d"
}"""

SERVER = {"type": "stdio", "command": "python", "args": ["-m", "x"], "env": {}}


def guest(tmp_path: Path, content: bytes, *, lock: Any = "folder") -> GuestFile:
    path = tmp_path / ".claude.json"
    path.write_bytes(content)
    return GuestFile(path, lock=lock, lock_timeout=0.2)


def test_a_new_server_takes_on_the_style_of_its_neighbours(tmp_path: Path) -> None:
    file = guest(tmp_path, CLIENT)
    edit = file.edit([Put(("mcpServers", "bar"), SERVER)])
    expected = CLIENT.replace(
        b"""      "env": {}
    }
  },""",
        b"""      "env": {}
    },
    "bar": {
      "type": "stdio",
      "command": "python",
      "args": [
        "-m",
        "x"
      ],
      "env": {}
    }
  },""",
    )
    assert file.path.read_bytes() == expected == edit.after
    assert [(each.keys, each.kind) for each in edit.differences] == [
        (("mcpServers", "bar"), "added")
    ]
    file.edit([Remove(("mcpServers", "bar"))])
    assert file.path.read_bytes() == CLIENT


def test_what_is_there_already_is_not_written(tmp_path: Path) -> None:
    file = guest(tmp_path, CLIENT)
    before = file.path.stat().st_mtime_ns
    reordered = {"env": {}, "args": ["hi"], "command": "echo", "type": "stdio"}
    edit = file.edit([Put(("mcpServers", "foo"), reordered), Remove(("mcpServers", "nobody"))])
    assert not edit.changed
    assert not edit.differences
    assert file.path.stat().st_mtime_ns == before


def test_missing_parents_are_made_and_compact_objects_stay_compact(tmp_path: Path) -> None:
    file = guest(tmp_path, CLIENT)
    file.edit(
        [
            Put(("projects", "C:/Users/Corbin", "mcpServers", "a"), {"url": "x"}),
            Put(("projects", "D:/new", "mcpServers", "b"), {}),
        ]
    )
    text = file.path.read_bytes()
    assert b'"C:/Users/Corbin": {"allowedTools": [ ], "mcpServers": {"a": {"url": "x"}}}' in text
    assert value_at(text, ("projects", "D:/new")) == {"mcpServers": {"b": {}}}
    assert b'"half": "\\ud83d"' in text


@pytest.mark.parametrize("newline", [b"\n", b"\r\n"])
@pytest.mark.parametrize("bom", [b"", b"\xef\xbb\xbf"])
@pytest.mark.parametrize("end", [b"", b"\n", b"\r\n  "])
def test_marks_and_newlines_stay(tmp_path: Path, newline: bytes, bom: bytes, end: bytes) -> None:
    content = bom + CLIENT.replace(b"\n", newline) + end
    file = guest(tmp_path, content)
    assert file.read()["mcpServers"]["foo"]["command"] == "echo"
    file.edit([Put(("mcpServers", "bar"), SERVER)])
    text = file.path.read_bytes()
    assert text.startswith(bom)
    assert text.endswith(b"}" + end)
    body = text.removesuffix(end)
    assert body.count(newline) == body.count(b"\n")
    file.edit([Remove(("mcpServers", "bar"))])
    assert file.path.read_bytes() == content


@pytest.mark.parametrize(
    ("content", "line"),
    [
        (CLIENT[:200], None),
        (CLIENT[:100] + b"\0" * 400, None),
        (b"\0" * 500, 1),
        (b"", 1),
        (b" \n", 1),
        (b"[]", 1),
        (b'{"mcpServers": {}}garbage', 1),
        (b'{\n"mcpServers": {},\n"mcpServers": {"a": {}}}', 3),
        (b'{\n"mcpServers": {"a": 1,\n"a": 2}}', 3),
        (b'{"a": NaN, "mcpServers": {}}', 1),
        (b'{"mcpServers": {}, "a": "\xff"}', 1),
        (b'{\n"mcpServers": []}', 2),
        (b'{\n"mcpServers": null}', 2),
        (b'{"mcpServers": ' + b"[" * 100_000, 1),
    ],
)
def test_what_cannot_be_read_is_refused_and_stays(
    tmp_path: Path, content: bytes, line: int | None
) -> None:
    file = guest(tmp_path, content)
    with pytest.raises(UnreadableError) as caught:
        file.edit([Put(("mcpServers", "bar"), SERVER)])
    assert caught.value.line is not None
    assert line in (None, caught.value.line)
    assert file.path.read_bytes() == content
    assert sorted(each.name for each in tmp_path.iterdir()) == [".claude.json"]


def test_a_file_that_is_not_there(tmp_path: Path) -> None:
    file = GuestFile(tmp_path / ".claude.json", lock="folder")
    with pytest.raises(NotFoundError):
        file.read()
    assert not file.edit([Remove(("mcpServers", "a"))]).changed
    file.edit([Put(("mcpServers", "a"), {"command": "x"})])
    made = b'{\n  "mcpServers": {\n    "a": {\n      "command": "x"\n    }\n  }\n}'
    assert file.path.read_bytes() == made
    if sys.platform != "win32":
        assert file.path.stat().st_mode & 0o777 == 0o600


def test_contradictions_and_values_that_are_no_json(tmp_path: Path) -> None:
    file = guest(tmp_path, b"{}")
    contradictions: list[list[Put | Remove]] = [
        [Put(("a",), 1), Remove(("a",))],
        [Put(("a",), {}), Put(("a", "b"), 1)],
        [Put(("a",), float("nan"))],
        [Put(("a",), object())],
        [Put((), 1)],
    ]
    for changes in contradictions:
        with pytest.raises(UsageError):
            file.edit(changes)
    assert file.path.read_bytes() == b"{}"


def test_a_link_stays_a_link_and_a_mode_stays(tmp_path: Path) -> None:
    real = tmp_path / "dotfiles" / "claude.json"
    real.parent.mkdir()
    real.write_bytes(CLIENT)
    real.chmod(0o640)
    link = tmp_path / ".claude.json"
    try:
        link.symlink_to(real)
    except OSError:
        pytest.skip("this user may make no links")
    GuestFile(link, lock="folder").edit([Put(("mcpServers", "bar"), SERVER)])
    assert link.is_symlink()
    assert b'"bar"' in real.read_bytes()
    if sys.platform != "win32":
        assert real.stat().st_mode & 0o777 == 0o640


def test_a_read_only_file_is_refused(tmp_path: Path) -> None:
    file = guest(tmp_path, CLIENT)
    file.path.chmod(0o444)
    with pytest.raises(RefusedError):
        file.edit([Put(("mcpServers", "bar"), SERVER)])
    file.path.chmod(0o644)
    assert file.path.read_bytes() == CLIENT


def test_the_owners_lock_is_waited_for(tmp_path: Path) -> None:
    file = guest(tmp_path, CLIENT)
    lock = tmp_path / ".claude.json.lock"
    lock.mkdir()
    with pytest.raises(BusyError):
        file.edit([Put(("mcpServers", "bar"), SERVER)])
    assert lock.is_dir()
    timer = threading.Timer(0.1, lock.rmdir)
    timer.start()
    patient = GuestFile(file.path, lock="folder")
    patient.edit([Put(("mcpServers", "bar"), SERVER)])
    timer.join()
    assert b'"bar"' in file.path.read_bytes()
    assert not lock.exists()


def test_a_lock_left_over_by_a_crash_is_taken_over(tmp_path: Path) -> None:
    file = guest(tmp_path, CLIENT)
    lock = tmp_path / ".claude.json.lock"
    lock.mkdir()
    os.utime(lock, (lock.stat().st_atime, lock.stat().st_mtime - 15))
    file.edit([Put(("mcpServers", "bar"), SERVER)])
    assert sorted(each.name for each in tmp_path.iterdir()) == [".claude.json"]


def test_a_lost_lock_prevents_the_write(tmp_path: Path) -> None:
    file = guest(tmp_path, CLIENT)
    lock = tmp_path / ".claude.json.lock"

    def steal(_: object) -> None:
        lock.rename(tmp_path / "aside")
        lock.mkdir()
        (tmp_path / "aside").rmdir()

    with pytest.raises((ConflictError, BusyError)):
        file.edit([Put(("mcpServers", "bar"), SERVER)], keep=steal)
    assert lock.is_dir()
    assert file.path.read_bytes() == CLIENT


def test_somebody_who_writes_in_between_is_noticed(tmp_path: Path) -> None:
    file = guest(tmp_path, CLIENT, lock="none")
    others = iter(range(2))

    def interfere(_: object) -> None:
        number = next(others, None)
        if number is not None:
            GuestFile(file.path, lock="none").edit([Put(("mcpServers", f"other{number}"), {})])

    file.edit([Put(("mcpServers", "bar"), SERVER)], keep=interfere)
    assert set(file.read()["mcpServers"]) == {"foo", "bar", "other0", "other1"}

    def insist(_: object) -> None:
        file.path.write_bytes(file.path.read_bytes() + b" ")

    with pytest.raises(ConflictError):
        file.edit([Put(("mcpServers", "more"), SERVER)], keep=insist)
    assert "more" not in file.read()["mcpServers"]


def test_secrets_are_masked_in_the_difference(tmp_path: Path) -> None:
    file = guest(tmp_path, CLIENT)
    secret = "tops3cret-Value-98765"
    server = {
        "command": "x",
        "args": ["--api-key", secret, f"--token={secret}", "--verbose"],
        "env": {"API_TOKEN": secret, "REFERENCE_TOKEN": "${TOKEN}", "LEVEL": "debug"},
        "headers": {"Authorization": f"Bearer {secret}"},
        "url": f"https://u:{secret}@h/?token={secret}",
    }
    edit = file.plan([Put(("mcpServers", "s"), server)])
    shown = repr(edit) + json.dumps(edit.differences[0].after)
    assert secret not in shown
    for kept in ("${TOKEN}", "debug", "--verbose", "Bearer "):
        assert kept in json.dumps(edit.differences[0].after)


def test_a_crash_at_any_point_leaves_the_file_whole(tmp_path: Path, run_python: Runner) -> None:
    code = """
        import sys
        from pathlib import Path
        from holdfast.claude.guest_file import GuestFile, Put
        GuestFile(Path(sys.argv[1]), lock="folder").edit([Put(("mcpServers", "bar"), {"a": 1})])
    """
    file = guest(tmp_path, CLIENT)
    trace = tmp_path / "trace"
    run_python(code, file.path, trace=trace)
    after = file.path.read_bytes()
    for point in dict.fromkeys(trace.read_text(encoding="utf-8").split()):
        file.path.write_bytes(CLIENT)
        assert was_killed(run_python(code, file.path, faults=f"{point}=crash"))
        assert file.path.read_bytes() in (CLIENT, after)
        lock = tmp_path / ".claude.json.lock"
        if lock.exists():
            lock.rmdir()


def test_a_full_disk_leaves_the_file(tmp_path: Path) -> None:
    file = guest(tmp_path, CLIENT)
    with armed("files.temporary.written=error:ENOSPC"), pytest.raises(Exception, match="space"):
        file.edit([Put(("mcpServers", "bar"), SERVER)])
    assert file.path.read_bytes() == CLIENT
    assert sorted(each.name for each in tmp_path.iterdir()) == [".claude.json"]


_scalars = st.none() | st.booleans() | st.integers(-9, 9) | st.text(max_size=4)
_values = st.recursive(
    _scalars,
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=3), inner, max_size=3)
    ),
    max_leaves=8,
)
_objects = st.dictionaries(st.sampled_from("abcdef"), _values, max_size=5)
_layouts = st.sampled_from(
    [
        {"indent": 2},
        {"indent": 4},
        {"indent": "\t"},
        {},
        {"separators": (",", ":")},
        {"indent": 2, "ensure_ascii": False},
        {"separators": (" ,\n", " : ")},
    ]
)


@given(
    data=st.dictionaries(st.sampled_from("abcd"), _objects | _values, max_size=5),
    layout=_layouts,
    outer=st.sampled_from("abcd"),
    changes=st.dictionaries(st.sampled_from("abcdefg"), st.none() | _values, max_size=5),
)
def test_splicing_does_what_a_dictionary_does(
    data: dict[str, Any], layout: dict[str, Any], outer: str, changes: dict[str, Any]
) -> None:
    data[outer] = data[outer] if isinstance(data.get(outer), dict) else {}
    text = json.dumps(data, **layout).encode("utf-8", "surrogatepass")
    expected = json.loads(text)
    for key, value in changes.items():
        if value is None:
            expected[outer].pop(key, None)
        else:
            expected[outer][key] = value
    edits = [
        Remove((outer, key)) if value is None else Put((outer, key), value)
        for key, value in changes.items()
    ]
    after, touched = apply_changes(text, edits)
    assert json.loads(after) == expected
    assert list(json.loads(after)) == list(expected)
    assert list(json.loads(after)[outer]) == list(expected[outer])
    assert (after != text) == bool(touched)
    again, nothing = apply_changes(after, edits)
    assert again == after
    assert not nothing


@pytest.mark.slow
def test_a_file_of_two_hundred_megabytes(tmp_path: Path) -> None:
    path = tmp_path / ".claude.json"
    line = b',\n        {"display": "mend the module please", "pasted": {}}'
    tail = b'\n      ]\n    }\n  },\n  "mcpServers": {}\n}'
    with path.open("wb") as large:
        large.write(b'{\n  "projects": {\n    "/x": {\n      "history": [\n        1')
        large.write(line * (200_000_000 // len(line)))
        large.write(tail)
    size = path.stat().st_size
    file = GuestFile(path, lock="folder")
    file.edit([Put(("mcpServers", "a"), {"command": "x"})])
    with path.open("rb") as large:
        large.seek(size - len(tail))
        expected = b'{\n    "a": {\n      "command": "x"\n    }\n  }\n}'
        assert large.read() == tail.removesuffix(b"{}\n}") + expected
    os.truncate(path, size // 2)
    with pytest.raises(UnreadableError) as caught:
        file.edit([Put(("mcpServers", "b"), {"command": "x"})])
    assert caught.value.line is not None
    assert path.stat().st_size == size // 2

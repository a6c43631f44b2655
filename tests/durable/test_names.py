"""Names: never outside of the folder, the same on every system."""

import os
import sys
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from holdfast.durable.names import (
    check_identifier,
    inside,
    is_within,
    long_path,
    same_path,
    windows_problem,
)
from holdfast.errors import UsageError

parts = st.sampled_from(["..", ".", "", "a", "C:", "\\", "..\\", "... ", ".. ", "nul", "b.txt"])
paths = st.lists(parts, max_size=6).map("/".join) | st.text(max_size=20)


@given(paths)
def test_inside_never_leads_out(relative: str) -> None:
    root = Path("top").absolute()
    try:
        found = inside(root, relative)
    except UsageError:
        return
    assert found != root
    normal = os.path.normpath(found)
    assert normal.startswith(str(root) + os.sep)
    assert os.path.commonpath([root, normal]) == str(root)


@pytest.mark.parametrize("bad", ["", ".", "/", "/etc", "../x", "a/../../x", "a\0b", "//host/x"])
def test_inside_refuses(bad: str) -> None:
    with pytest.raises(UsageError, match="leads out"):
        inside(Path("top"), bad)


@pytest.mark.skipif(sys.platform != "win32", reason="how Windows reads paths")
@pytest.mark.parametrize("bad", ["C:/x", "a/C:", "..\\x", "a/.. /x", "a/.../x", "name:stream"])
def test_inside_refuses_what_windows_would_follow(bad: str) -> None:
    with pytest.raises(UsageError, match="leads out"):
        inside(Path("top"), bad)


@pytest.mark.parametrize(
    "name",
    [
        *("nul", "NUL", "con.txt", "aux .h", "COM1", "lpt9.log", "com¹", "conin$"),
        *("a:b", "a?", "x\n", "tail.", "tail ", "", ".", ".."),
    ],
)
def test_windows_refuses(name: str) -> None:
    assert windows_problem(name)


@pytest.mark.parametrize("name", ["null", "console", "com10", "a.nul", ".git", "é", "a b", "com"])
def test_windows_takes(name: str) -> None:
    assert windows_problem(name) is None


@given(st.text(max_size=140))
def test_identifiers_are_file_names(value: str) -> None:
    try:
        assert check_identifier(value, "agent id") == value
    except UsageError:
        return
    assert windows_problem(value) is None
    assert value.isascii()
    assert inside(Path("top"), value).name == value


@pytest.mark.parametrize("bad", ["", ".hidden", "-x", "a b", "a/b", "nul", "a.", "x" * 129, "é"])
def test_bad_identifiers(bad: str) -> None:
    with pytest.raises(UsageError, match="cannot be a agent id"):
        check_identifier(bad, "agent id")


def test_within(tmp_path: Path) -> None:
    (tmp_path / "a" / "b").mkdir(parents=True)
    assert is_within(tmp_path / "a" / "b", tmp_path / "a")
    assert is_within(tmp_path / "a", tmp_path / "a")
    assert not is_within(tmp_path / "ab", tmp_path / "a")
    assert not is_within(tmp_path, tmp_path / "a")
    assert is_within(tmp_path, Path(tmp_path.anchor))
    assert same_path(tmp_path / "a" / ".." / "a", tmp_path / "a")
    assert not same_path(tmp_path / "none", tmp_path / "none")


def test_long_paths(tmp_path: Path) -> None:
    deep = tmp_path
    for _ in range(12):
        deep = deep / ("long" * 8)
        long_path(deep).mkdir()
    long_path(deep / "file").write_bytes(b"x")
    assert long_path(long_path(deep / "file")).read_bytes() == b"x"


@pytest.mark.skipif(sys.platform != "win32", reason="the long form of Windows")
@pytest.mark.parametrize(
    ("path", "long"),
    [
        ("C:/a/../b", "\\\\?\\C:\\b"),
        ("//server/share/x", "\\\\?\\UNC\\server\\share\\x"),
        ("C:/a/nul", "\\\\?\\C:\\a\\nul"),
        ("C:/a/tail.", "\\\\?\\C:\\a\\tail."),
        ("\\\\?\\C:\\a", "\\\\?\\C:\\a"),
    ],
)
def test_the_long_form(path: str, long: str) -> None:
    assert str(long_path(Path(path))) == long

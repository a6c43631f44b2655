"""Walking: in order, never through links, past what cannot be read."""

import os
import sys
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from holdfast.durable.trees import walk

names = st.text("ab.-_é", min_size=1, max_size=4).filter(lambda n: n.strip(".") and n[-1] != ".")


@given(tree=st.lists(st.lists(names, min_size=1, max_size=4), max_size=12))
def test_every_entry_once_and_parents_first(
    tree: list[list[str]], tmp_path_factory: pytest.TempPathFactory
) -> None:
    root = tmp_path_factory.mktemp("tree")
    for parts in tree:
        root.joinpath(*parts).mkdir(parents=True, exist_ok=True)
    found = [entry.path for entry in walk(root)]
    assert len(found) == len(set(found))
    assert set(found) == {path.relative_to(root).as_posix() for path in root.rglob("*")}
    for path in found:
        parent = path.rpartition("/")[0]
        assert not parent or found.index(parent) < found.index(path)
    assert found == [entry.path for entry in walk(root)]


def test_links_are_seen_and_not_followed(tmp_path: Path) -> None:
    if sys.platform == "win32":
        pytest.skip("NOT TESTED: making links needs a privilege on Windows")
    (tmp_path / "real").mkdir()
    (tmp_path / "real" / "file").write_bytes(b"12")
    (tmp_path / "link").symlink_to("real")
    (tmp_path / "real" / "up").symlink_to("..")
    (tmp_path / "dangling").symlink_to("none")
    found = {entry.path: entry for entry in walk(tmp_path)}
    assert sorted(found) == ["dangling", "link", "real", "real/file", "real/up"]
    assert [path for path in sorted(found) if found[path].is_link] == [
        "dangling",
        "link",
        "real/up",
    ]
    assert found["real"].is_folder
    assert found["real/file"].is_file
    assert found["real/file"].status.st_size == 2


def test_names_that_are_no_text(tmp_path: Path) -> None:
    if sys.platform in ("win32", "darwin"):
        pytest.skip("NOT TESTED: names are always text here")
    Path(os.fsdecode(bytes(tmp_path) + b"/caf\xe9")).write_bytes(b"")
    assert [entry.path for entry in walk(tmp_path)] == ["caf\udce9"]


def test_leaving_out(tmp_path: Path) -> None:
    for name in ("keep/a", "node_modules/b", "keep/node_modules/c"):
        (tmp_path / name).mkdir(parents=True)
    found = walk(tmp_path, skip=lambda path, entry: entry.name == "node_modules")
    assert [entry.path for entry in found] == ["keep", "keep/a"]


def test_what_cannot_be_listed_is_told_and_passed(tmp_path: Path) -> None:
    (tmp_path / "gone").mkdir()
    (tmp_path / "here").mkdir()
    told: list[str] = []
    found = []
    for entry in walk(tmp_path, on_error=lambda path, error: told.append(path)):
        found.append(entry.path)
        if entry.path == "gone":
            (tmp_path / "gone").rmdir()
    assert found == ["gone", "here"]
    assert told == ["gone"]
    with pytest.raises(FileNotFoundError):
        list(walk(tmp_path / "none"))

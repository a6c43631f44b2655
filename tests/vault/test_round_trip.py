"""Properties: any tree comes back; any name can be written; fast excludes are git's."""

import os
import sys
import tempfile
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pathspec import GitIgnoreSpec

from holdfast.vault.entries import escape, unescape
from holdfast.vault.excludes import REGENERATED, Excludes
from tests.vault.access import create
from tests.vault.trees import facts, write

pytestmark = pytest.mark.usefixtures("each_kind")

raw_names = st.binary(min_size=1, max_size=12).filter(
    lambda name: not {0, ord("/")} & set(name) and name not in (b".", b"..")
)
safe_names = st.text("abcdefgäß -_", min_size=1, max_size=8).filter(lambda n: n.strip() == n)
names = safe_names if sys.platform == "win32" else raw_names.map(os.fsdecode)
leaves = st.binary(max_size=2000)
trees = st.recursive(
    leaves, lambda inner: st.dictionaries(names, inner, max_size=4), max_leaves=12
).filter(lambda tree: isinstance(tree, dict))


def build(place: Path, tree: object) -> None:
    if isinstance(tree, bytes):
        write(place, tree)
        return
    assert isinstance(tree, dict)
    place.mkdir()
    for name, inner in tree.items():
        if not os.path.lexists(place / name):
            build(place / name, inner)


@settings(max_examples=25, deadline=None)
@given(trees, trees)
def test_any_two_trees_in_turn(first: object, second: object) -> None:
    with tempfile.TemporaryDirectory() as folder:
        vault = create(Path(folder) / "vault")
        for number, tree in enumerate((first, second)):
            root = Path(folder) / f"tree-{number}"
            build(root, tree)
            assert not vault.snapshot(root, everything=True).findings
            out = Path(folder) / f"out-{number}"
            assert vault.restore("latest", to=out).healthy
            assert facts(out) == facts(root)
        assert vault.verify(full=True).healthy


@pytest.mark.skipif(sys.platform == "win32", reason="names are bytes on POSIX only")
@given(st.binary(min_size=1, max_size=40).filter(lambda name: 0 not in name))
def test_any_name_can_be_written_and_read_back(raw: bytes) -> None:
    name = os.fsdecode(raw)
    text = escape(name)
    text.encode("utf-8")
    assert os.fsencode(unescape(text)) == raw


segments = st.sampled_from(["a", "b.log", "node_modules", "x.pyc", "keep", "venv", ".venv", "deep"])
patterns = st.lists(
    st.sampled_from(
        ["a", "a/", "*.log", "!keep", "/a", "deep/a", "**/b.log", "keep/", "!b.log", "x.*", "# c"]
    ),
    max_size=5,
)


@given(patterns, st.lists(segments, min_size=1, max_size=4), st.booleans())
def test_the_fast_excludes_are_gitignore(
    lines: list[str], parts: list[str], is_folder: bool
) -> None:
    rules = [*REGENERATED, *lines]
    path = "/".join(parts)
    slow = GitIgnoreSpec.from_lines(rules)
    if any(slow.match_file("/".join(parts[:at]) + "/") for at in range(1, len(parts))):
        return  # below a folder that is left out, nothing is asked
    expected = slow.match_file(path + "/" if is_folder else path)
    assert Excludes(rules)(path, parts[-1], is_folder) == expected

"""Any name a file system takes is saved, shown and restored byte by byte."""

import os
import sys
from pathlib import Path

from hypothesis import given, settings
from hypothesis import strategies as st

from holdfast.durable.files import remove_tree
from holdfast.durable.names import windows_problem
from holdfast.durable.quarantine import Quarantine
from holdfast.history import History
from tests.history.conftest import call_git

_POSIX = st.binary(min_size=1, max_size=100).filter(lambda n: not set(n) & {0, ord("/")})
_WINDOWS = st.text(st.characters(exclude_categories=["Cs", "Cc"]), min_size=1, max_size=60).filter(
    lambda name: windows_problem(name) is None
)
_MAC = st.text(st.characters(exclude_categories=["Cs", "Cc", "Cn"]), min_size=1, max_size=40)


def is_storable(name: str) -> bool:
    """git keeps names out of trees that some system takes for its own folder."""
    plain = name.casefold().rstrip(" .").partition(":")[0].replace("\u200c", "").rstrip(" .")
    return name not in (".", "..") and not plain.startswith((".git", "git~"))


NAMES = {
    "win32": _WINDOWS,
    "darwin": _MAC.filter(lambda name: "/" not in name),
}.get(sys.platform, _POSIX.map(os.fsdecode)).filter(is_storable)


@settings(max_examples=5 if sys.platform == "win32" else 25)
@given(tree=st.dictionaries(NAMES, st.tuples(NAMES, st.binary(max_size=50)), max_size=5))
def test_names_of_every_kind_are_saved_and_come_back(
    tmp_path: Path, tree: dict[str, tuple[str, bytes]]
) -> None:
    folder = tmp_path / "tree"
    root = folder / "development"
    root.mkdir(parents=True)
    try:
        call_git(folder, "init", "-q")
        (root / ".gitignore").write_bytes(b"")
        files = {}
        for outer, (inner, content) in tree.items():
            if os.path.lexists(root / outer):  # a file system that ignores case
                continue
            (root / outer).mkdir()
            (root / outer / inner).write_bytes(content)
            files[root / outer / inner] = content
        history = History(root, quarantine=Quarantine(tmp_path / "quarantine"))
        report = history.save(allow_secrets=True)
        assert report.healthy, report.problems
        assert report.added.count == len(files) + 1
        assert history.save().commit is None
        for path in files:
            remove_tree(path.parent)
        for path, content in files.items():
            assert history.read(path) == content
            assert history.restore(path).healthy
            assert path.read_bytes() == content
    finally:
        remove_tree(folder)
